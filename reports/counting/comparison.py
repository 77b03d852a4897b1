"""A comparison as tables: the whole first, then module by module in one metric."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from analyzer.core.units import METRICS, relative_change
from analyzer.records.comparison import TOTAL, Comparison
from analyzer.records.record import Totals
from reports.counting.network import CONVENTIONS, MISSING, base_path, exact, settings, tree_name
from reports.table import Cell, Column, Name, Table

SUMMARY = ("params", "macs", "activations", "traffic")
MODELS_A_TABLE = 3


def tables(comparison: Comparison, metric: str, depth: int) -> list[Table]:
    """The summary, then the modules: difference and ratio for two models, ratios for more.

    At most three models stand in one table, the first in each, so that it fits a terminal.
    """
    count = len(comparison.records)
    if count == 2:
        return [_summary(comparison), _pair(comparison, metric, depth)]
    step = MODELS_A_TABLE - 1
    groups = [[0, *range(start, min(start + step, count))] for start in range(1, count, step)]
    return [_summary(comparison), *(_several(comparison, metric, depth, group) for group in groups)]


def _summary(comparison: Comparison) -> Table:
    """The whole of each record, or of its module, metric by metric; below each other one its ratio to the first."""
    first, *_ = figures = [_figures(totals) for totals in comparison.modules[TOTAL]]
    rows: list[tuple[Cell, ...]] = []
    for other, label in zip(figures, comparison.labels, strict=True):
        # The changes of a network stand under its name, one a line and the first beside the ratios: names stay short.
        name, at, changes = label.partition("@")
        rows.append((Name(name), *_texts(other)))
        below = [_ratios(other, first)] if other is not first and any(figure is not None for figure in other) else []
        for change, ratios in zip_longest(changes.split(",") if at else [], below):
            rows.append((Name(f"@{change}" if change else "", 1), *(ratios or [""] * len(SUMMARY))))
    same = {settings(record) for record in comparison.records}
    scope = f"{comparison.records[0].module}: " if comparison.records[0].module else ""
    title = f"{scope}{' against '.join(comparison.labels)}" + (f" ({same.pop()})" if len(same) == 1 else "")
    notes = [
        f"{record.label}: {exact(record)}" + (f"; {settings(record)}" if same else "") for record in comparison.records
    ]
    notes += [
        f"{record.label}: not counted, no formula for (calls): {record.count.uncounted}"
        for record in comparison.records
        if record.unknown_ops
    ]
    columns = (Column("model", "left"), *(Column(METRICS[metric].title) for metric in SUMMARY))
    return Table(title, columns, tuple(rows), notes=tuple(notes))


def _figures(totals: Totals | None) -> list[int | None]:
    return [None if totals is None else getattr(totals, metric) for metric in SUMMARY]


def _texts(figures: Sequence[int | None]) -> list[str]:
    return [text for metric, figure in zip(SUMMARY, figures, strict=True) for text in map_text([figure], metric)]


def _ratios(figures: Sequence[int | None], first: Sequence[int | None]) -> list[str]:
    pairs = zip(figures, first, strict=True)
    return ["" if figure is None or before is None else relative_change(before, figure) for figure, before in pairs]


def _pair(comparison: Comparison, metric: str, depth: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    text = METRICS[metric].text
    for name, values in _modules(comparison, metric, depth, [0, 1]):
        before, after = values
        if before is None or after is None:
            rows.append((name, *map_text(values, metric), "", f"only in {'1st' if after is None else '2nd'}"))
        else:
            difference = after - before
            sign = "+" if difference > 0 else "-" if difference < 0 else ""
            rows.append(
                (name, text(before), text(after), f"{sign}{text(abs(difference))}", relative_change(before, after))
            )
    first, other = comparison.labels
    columns = (Column("module", "left"), Column(first), Column(other), Column("difference"), Column("ratio to 1st"))
    return Table(_title(metric), columns, tuple(rows), total=True, notes=_notes(metric))


def _several(comparison: Comparison, metric: str, depth: int, chosen: Sequence[int]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, values in _modules(comparison, metric, depth, chosen):
        first = values[0]
        cells = list(map_text(values[:1], metric))
        for value in values[1:]:
            cells += [
                *map_text([value], metric),
                "" if value is None or first is None else relative_change(first, value),
            ]
        rows.append((name, *cells))
    columns = [Column("module", "left"), Column(comparison.labels[chosen[0]])]
    for index in chosen[1:]:
        columns += [Column(comparison.labels[index]), Column("ratio to 1st")]
    return Table(_title(metric), tuple(columns), tuple(rows), total=True, notes=_notes(metric))


def _title(metric: str) -> str:
    return f"{METRICS[metric].title} by module: {METRICS[metric].meaning}"


def _notes(metric: str) -> tuple[str, ...]:
    title = METRICS[metric].title
    return (f"{MISSING}: not in that network. Modules without {title} in any of them are left out.", CONVENTIONS)


def map_text(values: Sequence[int | None], metric: str) -> list[str]:
    """Figures as text; a side that has no such module is not 0."""
    return [MISSING if value is None else METRICS[metric].text(value) for value in values]


def _modules(
    comparison: Comparison, metric: str, depth: int, chosen: Sequence[int]
) -> list[tuple[Name, list[int | None]]]:
    """The rows that say something in this metric, down to `depth` below a restriction; the total last."""
    module = comparison.records[0].module
    base = base_path(module, [(role, role) for role in comparison.modules if role != TOTAL])
    shown = []
    for role, sums in comparison.modules.items():
        name = Name(TOTAL) if role == TOTAL else tree_name(role, base, depth)
        values = [None if sums[index] is None else getattr(sums[index], metric) for index in chosen]
        if name is not None and (any(values) or role in (TOTAL, base)):
            shown.append((name, values))
    return shown[1:] + shown[:1]
