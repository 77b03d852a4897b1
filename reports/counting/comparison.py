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
from reports.counting.compared_modules import compared_modules
from reports.counting.count_tables import condition_parts, exact_totals, passes_of_step
from reports.table import MISSING, Cell, Column, Row, Table, columns

MAX_EXACT = 2  # Models with exact totals below the table.


def tables(comparison: Comparison, metric: str, depth: int | None = None, *, fold: bool = True) -> list[Table]:
    """The summary, then the modules: with difference and ratio for two models, with ratios for more.

    Without a depth, modules that have nearly everything are divided. `fold` shows equal modules as one.

    Raises AnalyzerError for a metric that no record has.
    """
    known = [name for name in METRICS if any(totals and totals.value(name) for totals in comparison.modules[TOTAL])]
    if metric not in (*known, "macs"):
        raise AnalyzerError(f"metric is {quoted(metric)}, which these counts lack; {nearest(metric, known)}")
    modules = _pair if len(comparison.records) == 2 else _several
    return [_summary(comparison), modules(comparison, metric, depth, fold=fold)]


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


def _pair(comparison: Comparison, metric: str, depth: int | None, *, fold: bool) -> Table:
    modules = compared_modules(comparison, metric, depth, fold=fold)
    folded = any(module.type for module in modules)
    rows = [
        (module.name, *([module.type] if folded else []), *cells.change(metric, *module.values)) for module in modules
    ]
    titles = (*(["type"] if folded else []), *comparison.labels, "difference", "ratio to 1st")
    shown = columns("module", *titles, left=("type",) if folded else (), drop=("type",) if folded else ())
    return Table(_title(metric), shown, tuple(rows), total=True, notes=_notes(metric))


def _several(comparison: Comparison, metric: str, depth: int | None, *, fold: bool) -> Table:
    modules = compared_modules(comparison, metric, depth, fold=fold)
    folded = any(module.type for module in modules)
    rows: list[Row] = []
    for module in modules:
        first, *others = module.values
        row = [module.name, *([module.type] if folded else []), cells.count(metric, first)]
        for other in others:
            row += [cells.count(metric, other), "" if None in (first, other) else cells.ratio(metric, first, other)]
        rows.append(tuple(row))
    first_label, *labels = comparison.labels
    pairs = (
        Column(title, block=block) for block, label in enumerate(labels, start=1) for title in (label, "ratio to 1st")
    )
    types = [Column("type", "left", drop=1)] if folded else []
    titles = (Column("module", "left"), *types, Column(first_label), *pairs)
    return Table(_title(metric), titles, tuple(rows), total=True, notes=_notes(metric))


def _title(metric: str) -> str:
    return f"{METRICS[metric].title} by module: {METRICS[metric].meaning}"


def _notes(metric: str) -> tuple[str, ...]:
    title = METRICS[metric].title
    return (f"{MISSING}: not in that network. Modules without {title} in any network are left out.",)
