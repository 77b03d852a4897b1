"""A comparison as tables: the networks as a whole first, then module by module in one metric."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.units import METRICS
from analyzer.records.comparable import differences
from analyzer.records.comparison import TOTAL, Comparison
from analyzer.records.rows import Totals
from reports import cells
from reports.counting.network import condition_parts, exact_totals, passes_of_step
from reports.counting.tree import tree_name
from reports.table import MISSING, Cell, Column, Row, Table, columns

MAX_UNMATCHED, MIN_RUN = 20, 3  # Rows of modules of one record only, before runs of them are folded; their length.
MAX_EXACT = 2  # Models with exact totals below the table.


def tables(comparison: Comparison, metric: str, depth: int) -> list[Table]:
    """The summary, then the modules: with difference and ratio for two models, with ratios for more.

    Raises AnalyzerError for a metric that no record has.
    """
    known = [name for name in METRICS if any(totals and totals.value(name) for totals in comparison.modules[TOTAL])]
    if metric not in (*known, "macs"):
        raise AnalyzerError(f"metric is {quoted(metric)}, which these counts lack; {nearest(metric, known)}")
    modules = _pair if len(comparison.records) == 2 else _several
    return [_summary(comparison), modules(comparison, metric, depth)]


def _summary(comparison: Comparison) -> Table:
    """The whole of each record, or of its module; below every other record its change relative to the first."""
    metrics = _summary_metrics(comparison)
    first, *_ = all_values = [_values(totals, metrics) for totals in comparison.modules[TOTAL]]
    parts = list(zip(*map(condition_parts, comparison.records), strict=True))
    differing = [part for part in parts if len(set(part)) > 1]
    rows: list[Row] = []
    for index, (values, label) in enumerate(zip(all_values, comparison.labels, strict=True)):
        # Overrides are below the network's name, one per line, the first next to the ratios: a narrow column.
        name, at, overrides = label.partition("@")
        # So are the conditions: in one line they would be cut.
        conditions = [part[index] for part in differing]
        rows.append((Cell(name), *map(cells.count, metrics, values), *conditions[:1]))
        ratios = [_ratios(metrics, first, values)] if values is not first and values[0] is not None else []
        for override, texts, condition in zip_longest(overrides.split(",") if at else [], ratios, conditions[1:]):
            row = (Cell(f"@{override}" if override else "", depth=1), *(texts or [""] * len(metrics)))
            rows.append((*row, *([condition or ""] if differing else [])))
    module = comparison.records[0].module
    title = (f"{module}: " if module else "") + " against ".join(comparison.labels)
    shared = ", ".join(part[0] for part in parts if part not in differing)
    heading = "; ".join([*differences(comparison.records), *([shared] if shared else [])])
    notes = [
        f"{label}: {exact_totals(record, short=True)}"
        for label, record in zip(comparison.labels, comparison.records, strict=True)
        if len(comparison.records) <= MAX_EXACT
    ]
    notes += [
        f"{label}: no formula for operators (calls): {record.count.uncounted}"
        for label, record in zip(comparison.labels, comparison.records, strict=True)
        if record.unknown_ops
    ]
    names = ["forward" if "step_macs" in metrics and name == "macs" else METRICS[name].title for name in metrics]
    titles = columns(
        "model",
        *names,
        *(["counted at"] if differing else []),
        left=("counted at",),
        drop=("traffic", "activations", METRICS["step_flops"].title),
    )
    return Table(f"{title} ({heading})", titles, tuple(rows), notes=tuple(notes))


def _summary_metrics(comparison: Comparison) -> tuple[str, ...]:
    """In training those of the passes and of the step, in place of FLOPs, activations and traffic."""
    passes = passes_of_step([record.totals for record in comparison.records])
    return (
        ("params", "macs", *passes, "step_flops") if passes else ("params", "macs", "flops", "activations", "traffic")
    )


def _values(totals: Totals | None, metrics: Sequence[str]) -> list[int | None]:
    return [_value(totals, metric) for metric in metrics]


def _value(totals: Totals | None, metric: str) -> int | None:
    return None if totals is None else totals.value(metric)


def _ratios(metrics: Sequence[str], first: Sequence[int | None], values: Sequence[int | None]) -> list[Cell | str]:
    pairs = zip(metrics, first, values, strict=True)
    return ["" if before is None else cells.ratio(metric, before, after) for metric, before, after in pairs]


def _pair(comparison: Comparison, metric: str, depth: int) -> Table:
    rows = [
        (name, *cells.change(metric, before, after))
        for name, (before, after) in _modules(comparison, metric, depth, [0, 1])
    ]
    titles = columns("module", *comparison.labels, "difference", "ratio to 1st")
    return Table(_title(metric), titles, tuple(rows), total=True, notes=_notes(metric))


def _several(comparison: Comparison, metric: str, depth: int) -> Table:
    rows: list[Row] = []
    for name, (first, *others) in _modules(comparison, metric, depth, range(len(comparison.records))):
        row = [name, cells.count(metric, first)]
        for other in others:
            row += [cells.count(metric, other), "" if None in (first, other) else cells.ratio(metric, first, other)]
        rows.append(tuple(row))
    first_label, *labels = comparison.labels
    pairs = (
        Column(title, block=block) for block, label in enumerate(labels, start=1) for title in (label, "ratio to 1st")
    )
    titles = (*columns("module", first_label), *pairs)
    return Table(_title(metric), titles, tuple(rows), total=True, notes=_notes(metric))


def _title(metric: str) -> str:
    return f"{METRICS[metric].title} by module: {METRICS[metric].meaning}"


def _notes(metric: str) -> tuple[str, ...]:
    title = METRICS[metric].title
    return (f"{MISSING}: not in that network. Modules without {title} in any network are left out.",)


def _modules(
    comparison: Comparison, metric: str, depth: int, indices: Sequence[int]
) -> list[tuple[Cell, list[int | None]]]:
    """Modules with the metric in any of the records, down to `depth` below a restriction; the total last.

    If many modules are in one record only, those that follow each other share a row.
    """
    base = comparison.records[0].module or ""
    base = base if base in comparison.modules else ""
    rows: list[tuple[str, Cell, list[int | None]]] = []
    for role, totals in comparison.modules.items():
        name = Cell(TOTAL) if role == TOTAL else tree_name(role, base, depth)
        values = [_value(totals[index], metric) for index in indices]
        if name is not None and (any(values) or role in (TOTAL, base)):
            rows.append((role, name, values))
    if sum(_is_unmatched(values) for *_, values in rows) > MAX_UNMATCHED:
        rows = _fold_unmatched(rows)
    return [(name, values) for _, name, values in rows[1:] + rows[:1]]


def _is_unmatched(values: list[int | None]) -> bool:
    """Whether only one record has the module."""
    return values.count(None) == len(values) - 1


def _fold_unmatched(rows: Sequence[tuple[str, Cell, list[int | None]]]) -> list[tuple[str, Cell, list[int | None]]]:
    """Siblings in a run that only one record has become one row with their sum: `conv3…conv5`."""
    folded: list[tuple[str, Cell, list[int | None]]] = []
    index = 0
    while index < len(rows):
        role, name, values = rows[index]
        parent, missing = role.rpartition(".")[0], [value is None for value in values]
        run = [rows[index]]
        end = index + 1
        while _is_unmatched(values) and end < len(rows):
            other, _, others = rows[end]
            if other.rpartition(".")[0] == parent and [value is None for value in others] == missing:
                run.append(rows[end])
            elif not other.startswith(f"{run[-1][0]}."):
                break
            end += 1
        if len(run) < MIN_RUN:
            folded.append(rows[index])
            index += 1
            continue
        text = f"{name.text}…{run[-1][1].text}"
        sums = [None if lacks else sum(row[2][place] or 0 for row in run) for place, lacks in enumerate(missing)]
        folded.append((role, Cell(text, depth=name.depth), sums))
        index = end
    return folded
