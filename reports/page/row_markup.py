"""Rows of tables as HTML. Written without the template engine, which takes five times as long for thousands of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reports.page.no_break_spaces import keep_together
from reports.table import Cell, Row, Table, as_cell

if TYPE_CHECKING:
    from markupsafe import Markup

FIRST_ROWS = 1000
MAX_NAME = 60  # Characters in a line; a longer name wraps, so that it leaves room for the other columns.


def markup_rows(table: Table) -> int:
    """How many rows of a table are markup. Those after the first thousand are stored deflated, a tenth as large.

    Tables with link targets are markup as a whole, so that links work without scripts.
    """
    return len(table.rows) if any(as_cell(row[0]).anchor for row in table.rows) else FIRST_ROWS


def table_class(table: Table) -> str:
    """`prose`, and `l2` if the second column is aligned to the left: a class per table, not per cell."""
    left = (f"l{place}" for place, column in enumerate(table.columns, 1) if place > 1 and column.align == "left")
    return " ".join((*(["prose"] if table.prose else []), *left))


def first_rows(table: Table) -> Markup:
    return _markup(table, 0, markup_rows(table))


def other_rows(table: Table) -> str:
    return str(_markup(table, markup_rows(table), len(table.rows)))


def _markup(table: Table, start: int, end: int) -> Markup:
    from markupsafe import Markup

    last = len(table.rows) - 1 if table.total else None
    rows = table.rows[start:end]
    text = "\n".join(_row(row, total=start + place == last) for place, row in enumerate(rows))
    return Markup(keep_together(text) if table.prose else text)  # Only the cells of prose wrap, and small print.


def _row(row: Row, *, total: bool) -> str:
    first, *others = map(as_cell, row)
    kind = "total" if total else first.tone
    attributes = (
        f' id="{_escape(first.anchor)}"' if first.anchor else "",
        f" data-depth={first.depth}" if first.depth else "",
        f' class="{_escape(kind)}"' if kind else "",
    )
    name = " class=wrap" if len(first.text) > MAX_NAME else ""
    return f"<tr{''.join(attributes)}><th scope=row{name}{_content(first)}{''.join(map(_cell, others))}"


def _cell(cell: Cell) -> str:
    kind = f' class="{_escape(cell.tone)}"' if cell.tone and not cell.note else ""
    return f"<td{kind}{_content(cell)}"


def _content(cell: Cell) -> str:
    return "".join(_parts(cell))


def _parts(cell: Cell) -> Iterator[str]:
    """The exact value, if the text does not state it; the bar; the text and its small print."""
    value = cell.value
    if value is not None and cell.text != f"{value:,}":
        yield f" data-v={value if isinstance(value, int) else f'{value:.6g}'}"
    yield ">"
    if cell.share is not None:
        yield f"<i style=--s:{cell.share:.3f}></i>"
    yield _escape(cell.text)
    if cell.note:
        kind = f' class="{_escape(cell.tone)}"' if cell.tone else ""
        yield f"<small{kind}>{_escape(keep_together(cell.note))}</small>"


def _escape(text: str) -> str:
    from html import escape

    return escape(text)
