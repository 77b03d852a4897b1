"""The one table model. `formats` renders it to a terminal, Markdown, LaTeX and CSV, the page's template to HTML."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen

MISSING = "-"  # No such module on that side, or nothing known; never zero.


Cut: TypeAlias = Literal["start", "end"]


class Column(Frozen):
    """`cut` is the end at which a long name in the first column is cut. A path is cut at its start.

    On a terminal that is too narrow, columns with the largest `drop` are left out first; those with 0 are kept as long
    as possible. `shrinks`: texts may be cut. Columns of one `block` stay together: the terminal repeats a table that
    is too wide, with the columns of block 0 and as many blocks as fit.
    """

    title: str
    align: Literal["left", "right"] = "right"
    cut: Cut = "end"
    drop: int = 0
    shrinks: bool = False
    block: int = 0


class Cell(Frozen):
    """`text` is what a reader sees, `value` the exact number behind it, for sorting and for the page's CSV.

    `share` (0 to 1) draws a bar. `depth` indents a name in a tree. `tone` is good, bad, warn, muted or empty; in the
    first column it is the row's: `same` (nothing changed) or `module`. `anchor` makes the row a link target. `note` is
    small print below the text, on the page alone.
    """

    text: str
    value: int | float | None = None
    share: float | None = None
    depth: int = 0
    tone: str = ""
    anchor: str = ""
    note: str = ""


Row: TypeAlias = tuple[Cell | str, ...]


class Table(Frozen):
    """`total`: the last row is a sum. `prose`: cells are sentences that wrap. `notes` are below the rows.

    For the page alone: its `id` there, its `tools` (of sort, filter, csv, changed), and whether it is folded.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    total: bool = False
    prose: bool = False
    notes: tuple[str, ...] = ()
    id: str = ""
    tools: tuple[str, ...] = ()
    fold: bool = False


def columns(
    name: str,
    *titles: str,
    left: Collection[str] = (),
    cut: Cut = "end",
    drop: Sequence[str] = (),
    shrink: Collection[str] = (),
) -> tuple[Column, ...]:
    """Columns by title. The first, whose names are cut at `cut`, and those in `left` are left-aligned.

    A narrow terminal cuts the texts of those in `shrink` and leaves out those in `drop`, the first one first.
    """
    rank = {title: len(drop) - position for position, title in enumerate(drop)}
    others = (
        Column(title, "left" if title in left else "right", drop=rank.get(title, 0), shrinks=title in shrink)
        for title in titles
    )
    return Column(name, "left", cut), *others


def as_cell(item: Cell | str) -> Cell:
    return Cell(item, tone="muted" if item == MISSING else "") if isinstance(item, str) else item


def cell_text(item: Cell | str) -> str:
    return item if isinstance(item, str) else item.text
