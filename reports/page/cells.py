"""Cells and tables of the page from figures and from the terminal's tables; how ratios are said in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from analyzer.core.units import METRICS, percent, seconds
from reports import table as plain
from reports.page.context import Cell, Column, Line, Table

MISSING = "–"
NONE = Cell(MISSING, tone="muted")
ALL = ("sort", "filter", "csv")
NOUNS = {
    "params": "parameters",
    "macs": "multiply-adds",
    "flops": "FLOPs",
    "activations": "activations",
    "memory": "peak memory",
    "time": "time",
}
MASS = ("memory", "time")  # Much rather than many.


def left(title: str) -> Column:
    return Column(title, "left")


def right(title: str) -> Column:
    return Column(title)


def words(text: str, *, depth: int = 0) -> Cell:
    return Cell(text, depth=depth)


def whole(value: int | None) -> Cell:
    """A count to the last unit: its text is its value."""
    return NONE if value is None else Cell(f"{value:,}", value)


def figure(metric: str, value: float | None) -> Cell:
    """A count as a person reads it, the exact one behind it."""
    if value is None:
        return NONE
    return Cell(METRICS[metric].text(value), value)


def size(value: int | None) -> Cell:
    return figure("bytes_read", value)


def time(value: float | None) -> Cell:
    return NONE if value is None else Cell(seconds(value), value)


def verdict(word: str) -> Cell:
    """Whether a time is to be trusted."""
    return Cell(word, tone={"trusted": "good", "noisy": "warn", "void": "bad"}[word])


def part(value: float, of: float) -> Cell:
    """A share of a whole, with its bar."""
    return Cell(percent(value / of), value / of, share=value / of) if of else NONE


def difference(metric: str, before: int | None, after: int | None) -> Cell:
    if before is None or after is None:
        return NONE
    gap = after - before
    sign = "+" if gap > 0 else "−" if gap < 0 else "±"
    return Cell(f"{sign}{METRICS[metric].text(abs(gap))}" if gap else "0", gap, tone=tone(after, before))


def times(metric: str, before: int | None, after: int | None) -> Cell:
    """After ÷ before as a factor."""
    if before is None:
        return NONE if after is None else Cell("only in 2nd", tone="muted")
    if after is None:
        return Cell("only in 1st", tone="muted")
    if before == after:
        return Cell("same", 1.0, tone="muted")
    if not before or not after:
        return Cell("new" if after else "gone", None, tone=tone(after, before))
    return Cell(f"{_factor(after / before)} ×", after / before, tone=tone(after, before))


def _factor(value: float) -> str:
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}" if value >= 0.01 else f"{value:.2g}"


def tone(value: float, reference: float) -> str:
    """Less is better, in every metric of this page."""
    return "good" if value < reference else "bad" if value > reference else ""


def against(value: float, reference: float) -> str:
    """For a card: `2.80 × more`, `8.71 × less`, `same`."""
    if value == reference:
        return "same"
    if not value or not reference:
        return "none" if reference else "new"
    more = value > reference
    factor = value / reference if more else reference / value
    if factor < 1.01:
        return f"{100 * (factor - 1):.2g} % {'more' if more else 'less'}"
    return f"{_factor(factor)} × {'more' if more else 'less'}"


def sentence(metric: str, value: float, reference: float) -> str:
    """In words: `8.7 times fewer parameters`, `as many multiply-adds`, `1.3 times less peak memory`."""
    noun, mass = NOUNS[metric], metric in MASS
    if value == reference:
        return f"{'as much' if mass else 'exactly as many'} {noun}"
    if not value or not reference:
        return f"no {noun}" if reference else f"{noun} where the other has none"
    more = value > reference
    factor = value / reference if more else reference / value
    word = "more" if more else "less" if mass else "fewer"
    if factor < 1.1:
        return f"{100 * (factor - 1):.2g} % {word} {noun}"
    return f"{factor:.2g} times {word} {noun}" if factor < 10 else f"{factor:.3g} times {word} {noun}"


def lines(rows: Iterable[Sequence[Cell]]) -> tuple[Line, ...]:
    return tuple(Line(tuple(row)) for row in rows)


def adopt(table: plain.Table, id: str, *, tools: tuple[str, ...] = ("csv",), fold: bool = False) -> Table:
    """A table that the terminal shows as well."""
    rows = [Line(tuple(map(_adopted, row))) for row in table.rows]
    if table.total and rows:
        rows[-1] = rows[-1].replace(kind="total")
    columns = tuple(Column(column.title, column.align) for column in table.columns)
    return Table(id, table.title, columns, tuple(rows), table.notes, tools, table.prose, fold)


def _adopted(cell: plain.Cell) -> Cell:
    if isinstance(cell, plain.Name):
        return Cell(cell.text, depth=cell.depth)
    if isinstance(cell, plain.Share):
        return Cell(percent(cell.value), cell.value, share=cell.value)
    return NONE if cell == "-" else Cell(cell)
