"""Tables on a terminal: colour where there is colour, bars in the characters that the terminal has."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analyzer.core.errors import one_line
from analyzer.core.units import percent
from reports.table import Cell, Column, Name, Share, Table

BAR_CELLS = 6
EIGHTHS = " ▏▎▍▌▋▊▉█"
ASCII_LINES = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
ASCII = str.maketrans({"–": "-", "×": "x", "·": ".", "…": "~", **dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True))})
HEADER_CELLS = 12
NARROWEST = 12  # What is left of a column that gives way.
FILLED = re.compile(r"(?: |\x1b\[[\d;]*m)+$")  # Spaces at a line's end, also among the colours that end there.


def console(file: IO[str] | None = None) -> Console:
    """A console for `file` (standard output if None); 80 columns where nothing says how wide it is."""
    target = file or sys.stdout
    said = os.environ.get("COLUMNS", "")
    width = int(said) if said.isdecimal() and int(said) > 0 else None if target.isatty() else 80
    return Console(file=target, width=width, highlight=False)


def show(tables: Sequence[Table], to: Console) -> None:
    """Prints the tables one below the other; notes that several share are printed once, at the end."""
    plain = not str(to.encoding).lower().startswith("utf")
    for index, table in enumerate(tables):
        later = {note for after in tables[index + 1 :] for note in after.notes}
        with to.capture() as page:
            to.print(Text(_safe(table.title, plain), style="bold cyan"))
            body, left_out = (_prose(table, plain), ()) if table.prose else _grid(table, plain, to.width)
            to.print(body)
            for note in (*left_out, *table.notes):
                if note not in later:
                    to.print(Text(_safe(note, plain), style="dim"))
        # rich fills lines to the table's width, and cuts names with a character that ASCII does not have.
        lines = [FILLED.sub(lambda end: end[0].replace(" ", ""), line) for line in page.get().split("\n")]
        text = "\n".join(lines) if index == len(tables) - 1 else "\n".join([*lines, ""])
        to.file.write(text.translate(ASCII) if plain else text)


def _grid(table: Table, plain: bool, room: int) -> tuple[RichTable, tuple[str, ...]]:
    """Figures: each column is one text of many lines. With a note where not all columns fit.

    rich measures, pads and wraps every cell by itself, which for a cell a figure takes longer than the count.
    """
    grid = _empty(plain)
    cells = [[_cell(cell, plain) for cell in row] for row in table.rows]
    widths = [
        max([len(line) for line in _header(column.title).split("\n")] + [len(row[index]) for row in cells])
        for index, column in enumerate(table.columns)
    ]
    fit, left_out = _fitting(table.columns, widths, room)
    columns, cells, widths = table.columns[:fit], [row[:fit] for row in cells], widths[:fit]
    if columns[0].cut == "start":
        left = room - sum(1 + width for width in widths[1:])
        cells = [[_cut(row[0], max(left, NARROWEST)), *row[1:]] for row in cells]
    body, total = (cells[:-1], cells[-1:]) if table.total else (cells, [])
    for index, column in enumerate(columns):
        yields = _yields(columns, index)
        grid.add_column(
            Text(_header(_safe(column.title, plain)), style="bold"),
            justify=column.align,
            no_wrap=not yields,
            min_width=min(widths[index], NARROWEST) if yields else widths[index],
        )
    for rows in (body, total):
        if rows:
            texts = [Text("\n", no_wrap=True, overflow="ellipsis").join(column) for column in zip(*rows, strict=True)]
            grid.add_row(*texts, style="bold" if rows is total else "", end_section=True)
    return grid, left_out


def _yields(columns: Sequence[Column], index: int) -> bool:
    """Only names and what stands last on the left may give way; a figure cut short would be another figure."""
    return index == 0 or (columns[index].align == "left" and index == len(columns) - 1)


def _fitting(columns: Sequence[Column], widths: Sequence[int], room: int) -> tuple[int, tuple[str, ...]]:
    """How many of the columns fit, the last left out first, and a note of those that do not; two always stay."""
    least = [min(width, NARROWEST) if _yields(columns, index) else width for index, width in enumerate(widths)]
    fit = len(columns)
    while fit > 2 and sum(least[:fit]) + fit - 1 > room:
        fit -= 1
    if fit == len(columns):
        return fit, ()
    names = ", ".join(column.title for column in columns[fit:])
    return fit, (f"Left out for want of room: {names}; a terminal of {sum(least) + len(least) - 1} columns has it.",)


def _prose(table: Table, plain: bool) -> RichTable:
    """Sentences: a cell wraps within its column, and a blank line parts the rows."""
    grid = _empty(plain)
    for index, column in enumerate(table.columns):
        grid.add_column(
            Text(_safe(column.title, plain), style="bold"), justify=column.align, overflow="fold", ratio=index + 1
        )
    for row in table.rows:
        grid.add_row(*(_cell(cell, plain) for cell in row), end_section=True)
    return grid


def _cut(name: Text, room: int) -> Text:
    """The end of a name that is too long."""
    return Text(f"…{name.plain[1 - room :]}", style=name.style) if len(name) > room else name


def _empty(plain: bool) -> RichTable:
    lines = ASCII_LINES if plain else box.SIMPLE_HEAD
    return RichTable(box=lines, show_edge=False, pad_edge=False, padding=0)


def _cell(cell: Cell, plain: bool) -> Text:
    if isinstance(cell, Name):
        return Text("  " * cell.depth + _safe(cell.text, plain), style="" if cell.depth else "bold")
    if isinstance(cell, Share):
        return Text.assemble(f"{percent(cell.value):>6} ", (_bar(cell.value, plain), "green"))
    return Text(_safe(cell, plain), style="yellow" if cell in WARNINGS else "")


WARNINGS = frozenset({"only in 1st", "only in 2nd", "DIFFER", "not reproduced", "regressed", "over budget"})


def _bar(value: float, plain: bool) -> str:
    value = min(max(value, 0.0), 1.0)
    if plain:
        return "#" * round(value * BAR_CELLS)
    whole, part = divmod(round(value * BAR_CELLS * 8), 8)
    return ("█" * whole + (EIGHTHS[part] if part else "")).ljust(BAR_CELLS)


def _header(title: str) -> str:
    """A long model name breaks after its own joints, so that a column is as narrow as its figures."""
    if len(title) <= HEADER_CELLS:
        return title
    lines = [""]
    for piece in re.findall(r"[^-@.,= ]{0,23}[-@.,= ]?", title):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > HEADER_CELLS:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _safe(text: str, plain: bool) -> str:
    """Text from names and files without control or direction marks; in ASCII where the terminal has no more."""
    text = one_line(text)
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode() if plain else text
