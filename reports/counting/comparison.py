"""A comparison as tables: the networks as a whole first, then module by module in one metric."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.units import METRICS
from analyzer.records.comparison import TOTAL, Comparison
from analyzer.records.rows import Totals
from reports import cells
from reports.counting.groups import tree_name
from reports.counting.network import CONVENTIONS, conditions, exact_totals, passes_of_step
from reports.table import MISSING, Cell, Row, Table, columns

MAX_MODELS = 3


def tables(comparison: Comparison, metric: str, depth: int) -> list[Table]:
    """The summary, then the modules: with difference and ratio for two models, with ratios for more.

    A table has at most three models, the first model always among them, so that it fits a terminal. Raises
    AnalyzerError for a metric that no record has.
    """
    known = [name for name in METRICS if any(totals and totals.value(name) for totals in comparison.modules[TOTAL])]
    if metric not in (*known, "macs"):
        raise AnalyzerError(f"metric is {quoted(metric)}, which these counts lack; {nearest(metric, known)}")
    count = len(comparison.records)
    if count == 2:
        return [_summary(comparison), _pair(comparison, metric, depth)]
    step = MAX_MODELS - 1
    groups = [[0, *range(start, min(start + step, count))] for start in range(1, count, step)]
    return [_summary(comparison), *(_several(comparison, metric, depth, group) for group in groups)]


def _summary(comparison: Comparison) -> Table:
    """The whole of each record, or of its module; below every other record its change relative to the first."""
    metrics = _summary_metrics(comparison)
    first, *_ = all_values = [_values(totals, metrics) for totals in comparison.modules[TOTAL]]
    rows: list[Row] = []
    for values, label in zip(all_values, comparison.labels, strict=True):
        # Overrides are below the network's name, one per line, the first next to the ratios: a narrow column.
        name, at, overrides = label.partition("@")
        rows.append((Cell(name), *map(cells.count, metrics, values)))
        ratios = [_ratios(metrics, first, values)] if values is not first and values[0] is not None else []
        for override, texts in zip_longest(overrides.split(",") if at else [], ratios):
            rows.append((Cell(f"@{override}" if override else "", depth=1), *(texts or [""] * len(metrics))))
    module = comparison.records[0].module
    shared = {conditions(record) for record in comparison.records}
    title = (f"{module}: " if module else "") + " against ".join(comparison.labels)
    differ = len(shared) > 1
    notes = [
        f"{label}: {exact_totals(record)}" + (f"; {conditions(record)}" if differ else "")
        for label, record in zip(comparison.labels, comparison.records, strict=True)
    ]
    notes += [
        f"{label}: no formula for operators (calls): {record.count.uncounted}"
        for label, record in zip(comparison.labels, comparison.records, strict=True)
        if record.unknown_ops
    ]
    training = "step_macs" in metrics
    names = ("forward" if training and name == "macs" else METRICS[name].title for name in metrics)
    titles = columns("model", *names)
    return Table(title if differ else f"{title} ({shared.pop()})", titles, tuple(rows), notes=tuple(notes))


def _summary_metrics(comparison: Comparison) -> tuple[str, ...]:
    """In training the MACs of the passes and of the step, in place of activations and traffic of the forward pass."""
    passes = passes_of_step([record.totals for record in comparison.records])
    return ("params", "macs", *passes, "step_flops") if passes else ("params", "macs", "activations", "traffic")


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


def _several(comparison: Comparison, metric: str, depth: int, indices: Sequence[int]) -> Table:
    rows: list[Row] = []
    for name, (first, *others) in _modules(comparison, metric, depth, indices):
        row = [name, cells.count(metric, first)]
        for other in others:
            row += [cells.count(metric, other), "" if None in (first, other) else cells.ratio(metric, first, other)]
        rows.append(tuple(row))
    first_label, *labels = (comparison.labels[index] for index in indices)
    titles = columns("module", first_label, *(title for label in labels for title in (label, "ratio to 1st")))
    return Table(_title(metric), titles, tuple(rows), total=True, notes=_notes(metric))


def _title(metric: str) -> str:
    return f"{METRICS[metric].title} by module: {METRICS[metric].meaning}"


def _notes(metric: str) -> tuple[str, ...]:
    title = METRICS[metric].title
    return (f"{MISSING}: not in that network. Modules with no {title} in any network are left out.", CONVENTIONS)


def _modules(
    comparison: Comparison, metric: str, depth: int, indices: Sequence[int]
) -> list[tuple[Cell, list[int | None]]]:
    """Modules with the metric in any of the records, down to `depth` below a restriction; the total last."""
    base = comparison.records[0].module or ""
    base = base if base in comparison.modules else ""
    rows = []
    for role, totals in comparison.modules.items():
        name = Cell(TOTAL) if role == TOTAL else tree_name(role, base, depth)
        values = [_value(totals[index], metric) for index in indices]
        if name is not None and (any(values) or role in (TOTAL, base)):
            rows.append((name, values))
    return rows[1:] + rows[:1]
