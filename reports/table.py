"""The one table model. `formats` renders it to a terminal, Markdown, LaTeX and CSV, the page's template to HTML."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen

MISSING = "-"  # No such module on that side, or nothing known; never zero.


Cut: TypeAlias = Literal["start", "end"]


class Column(Frozen):
    """`cut` is the end at which a long name in the first column is cut. A path is cut at its start."""

    title: str
    align: Literal["left", "right"] = "right"
    cut: Cut = "end"


class Cell(Frozen):
    """`text` is what a reader sees, `value` the exact number behind it, for sorting and for the page's CSV.

    `share` (0 to 1) draws a bar. `depth` indents a name in a tree. `tone` is good, bad, warn, muted or empty; in the
    first column it is the row's: `same` (nothing changed) or `module`. `anchor` makes the row a link target.
    """

    text: str
    value: int | float | None = None
    share: float | None = None
    depth: int = 0
    tone: str = ""
    anchor: str = ""


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


def columns(name: str, *titles: str, left: Collection[str] = (), cut: Cut = "end") -> tuple[Column, ...]:
    """Columns by title. The first, whose names are cut at `cut`, and those in `left` are left-aligned."""
    return Column(name, "left", cut), *(Column(title, "left" if title in left else "right") for title in titles)


def as_cell(item: Cell | str) -> Cell:
    return Cell(item, tone="muted" if item == MISSING else "") if isinstance(item, str) else item


def cell_text(item: Cell | str) -> str:
    return item if isinstance(item, str) else item.text
