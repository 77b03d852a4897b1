"""Tables on a terminal, with colors and bars where the terminal has them."""

from __future__ import annotations

import io
import os
import re
import stat
import sys
from collections.abc import Sequence
from itertools import takewhile
from typing import IO

from rich import box
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from analyzer.core.errors import one_line
from reports.table import MISSING, Cell, Column, Row, Table, cell_text

BAR_WIDTH = 6
EIGHTHS = " ▏▎▍▌▋▊▉█"
ASCII_LINES = box.Box("    \n    \n -- \n    \n    \n -- \n    \n    \n", ascii=True)
ASCII = str.maketrans(
    {"–": "-", "→": "->", "×": "x", "·": ".", "…": "~", **dict(zip("▁▂▃▄▅▆▇█", "_.,-=+*#", strict=True))}
)
MAX_HEADER_WIDTH = 12
# A long header may be broken after one of these; the suffix of a file stays with its name.
PIECE = re.compile(r"(?:[^-@:(.,= ]|\.(?=py\b|pt2\b)){0,23}[-@:(.,= ]?")
MIN_NAME_WIDTH = 12
ENOUGH_OF_A_TEXT = 20  # A wider column of texts gives room to an optional column.
TRAILING_SPACES = re.compile(r"(?: |\x1b\[[\d;]*m)+$")  # Also between the color codes at a line's end.
WARNINGS = frozenset({"only in 1st", "only in 2nd", "DIFFER", "not reproduced", "regressed", "over budget"})


def console(file: IO[str] | None = None, width: int | None = None) -> Console:
    """A console for `file` (standard output if None); 80 columns if neither `width`, COLUMNS nor a terminal gives more.

    A file has no colors, even if FORCE_COLOR is set.
    """
    target = file or sys.stdout
    columns = os.environ.get("COLUMNS", "")
    width = width or (int(columns) if columns.isdecimal() and int(columns) > 0 else None if target.isatty() else 80)
    return Console(file=target, width=width, highlight=False, force_terminal=False if _is_file(target) else None)


def _is_file(target: IO[str]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(target.fileno()).st_mode)
    except (OSError, ValueError):
        return isinstance(target, io.StringIO)  # Text that a file will hold.


def show(tables: Sequence[Table], to: Console) -> None:
    """Prints the tables one below the other. A note that several tables share is printed once, below the last."""
    ascii_only = not str(to.encoding).lower().startswith("utf")
    tables = [part for table in tables for part in split(table, ascii_only, to.width)]
    for index, table in enumerate(tables):
        later_notes = {note for later in tables[index + 1 :] for note in later.notes}
        with to.capture() as capture:
            to.print(Text(_printable(table.title, ascii_only), style="bold cyan"))
            body, omitted = (_prose(table, ascii_only), ()) if table.prose else _grid(table, ascii_only, to.width)
            to.print(body)
            for note in (*omitted, *table.notes):
                if note not in later_notes:
                    to.print(Text(_printable(note, ascii_only), style="dim"))
        # rich pads lines to the table's width, and marks cut names with a character that ASCII lacks.
        lines = [TRAILING_SPACES.sub(lambda end: end[0].replace(" ", ""), line) for line in capture.get().split("\n")]
        text = "\n".join(lines if index == len(tables) - 1 else [*lines, ""])
        to.file.write(text.translate(ASCII) if ascii_only else text)


def _grid(table: Table, ascii_only: bool, width: int) -> tuple[RichTable, tuple[str, ...]]:
    """The table without optional columns, and then without bars, if it is too wide with them.

    A note lists other columns that do not fit even then.
    Each column is a single text of many lines: rich measures, pads and wraps every cell separately, which for one cell
    per number takes longer than the count.
    """
    for bar_width in (BAR_WIDTH, 0):
        cells, widths = _cells(table, ascii_only, bar_width)
        chosen = _without_optional(table.columns, widths, width)
        columns, widths = tuple(table.columns[index] for index in chosen), [widths[index] for index in chosen]
        cells = [[row[index] for index in chosen] for row in cells]
        count, omitted = _fitting(columns, widths, width)
        if not omitted:
            break
    columns, cells, widths = columns[:count], [row[:count] for row in cells], widths[:count]
    if columns[0].cut == "start":
        name_width = max(width - sum(1 + width for width in widths[1:]), MIN_NAME_WIDTH)
        for row, name in zip(cells, _ends([row[0].plain for row in cells], name_width), strict=True):
            if name != row[0].plain:
                row[0] = Text(name, style=row[0].style)
    if sum(_wanted(columns, widths)) + len(columns) - 1 <= width:  # With shorter types all else is whole.
        widths = _with_shorter_texts(columns, widths, width)
    grid = _empty_grid(ascii_only)
    for index, column in enumerate(columns):
        shrinks = _shrinks(columns, index)
        grid.add_column(
            Text(_header(_printable(column.title, ascii_only)), style="bold"),
            justify=column.align,
            no_wrap=not shrinks,
            min_width=min(widths[index], MIN_NAME_WIDTH) if shrinks else widths[index],
            max_width=widths[index],
        )
    body, total = (cells[:-1], cells[-1:]) if table.total else (cells, [])
    for rows in (body, total):
        if rows:
            texts = [Text("\n", no_wrap=True, overflow="ellipsis").join(column) for column in zip(*rows, strict=True)]
            grid.add_row(*texts, style="bold" if rows is total else "", end_section=True)
    return grid, omitted


def _ends(names: Sequence[str], width: int) -> list[str]:
    """The ends of names that are longer than the width.

    Names with equal ends are cut behind their last difference instead.

    >>> _ends(["models/net_a.py:Transformer", "models/net_b.py:Transformer", "googlenet"], 16)
    ['…/net_a.py:Tran…', '…/net_b.py:Tran…', 'googlenet']
    """
    ends = {name: name if len(name) <= width else f"…{name[1 - width :]}" for name in names}
    for end in {end for name, end in ends.items() if end != name}:
        group = [name for name in ends if ends[name] == end]
        endings = zip(*(reversed(name) for name in group), strict=False)
        shared = sum(1 for _ in takewhile(lambda letters: len(set(letters)) == 1, endings))
        hidden = max(shared - width // 2, 0) if len(group) > 1 else 0
        if hidden:
            ends |= {name: f"…{name[len(name) - hidden - width + 2 : len(name) - hidden]}…" for name in group}
    return [ends[name] for name in names]


def _cells(table: Table, ascii_only: bool, bar_width: int) -> tuple[list[list[Text]], list[int]]:
    """The texts of a table, and the width of each column."""
    cells = [_texts(row, ascii_only, bar_width) for row in table.rows]
    widths = [
        max([len(line) for line in _header(column.title).split("\n")] + [len(row[index]) for row in cells])
        for index, column in enumerate(table.columns)
    ]
    return cells, widths


def split(table: Table, ascii_only: bool, width: int) -> list[Table]:
    """The table as often as its blocks of columns need, each with those that fit."""
    if not any(column.block for column in table.columns):
        return [table]
    _, widths = _cells(table, ascii_only, BAR_WIDTH)
    fixed = [index for index, column in enumerate(table.columns) if not column.block]
    blocks: dict[int, list[int]] = {}
    for index, column in enumerate(table.columns):
        if column.block:
            blocks.setdefault(column.block, []).append(index)
    parts: list[list[int]] = []
    for block in blocks.values():
        if parts and sum(widths[index] + 1 for index in (*fixed, *parts[-1], *block)) <= width + 1:
            parts[-1] += block
        else:
            parts.append(list(block))
    return [_select(table, [*fixed, *part]) for part in parts]


def _select(table: Table, indices: Sequence[int]) -> Table:
    """The columns with these indices, and the rows that have anything there."""
    rows = [tuple(row[index] for index in indices) for row in table.rows]
    return table.replace(
        columns=tuple(table.columns[index] for index in indices),
        rows=tuple(row for row in rows if any(cell_text(item) not in ("", MISSING) for item in row[1:])),
    )


def _shrinks(columns: Sequence[Column], index: int) -> bool:
    """Only names, types and a left-aligned last column may be cut: a number that is cut would be another number."""
    return index == 0 or columns[index].shrinks or (columns[index].align == "left" and index == len(columns) - 1)


def _needed(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """The least width of each column."""
    return [min(full, MIN_NAME_WIDTH) if _shrinks(columns, index) else full for index, full in enumerate(widths)]


def _wanted(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """The width of each column, with less for texts that may be cut."""
    return [min(full, ENOUGH_OF_A_TEXT) if columns[index].shrinks else full for index, full in enumerate(widths)]


def _with_shorter_texts(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """Widths that fit: what is too much is taken from the columns whose texts may be cut."""
    excess = sum(widths) + len(columns) - 1 - width
    shorter = list(widths)
    for index, least in enumerate(_wanted(columns, widths)):
        taken = max(min(excess, shorter[index] - least), 0)
        shorter[index], excess = shorter[index] - taken, excess - taken
    return shorter


def _without_optional(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The indices of the columns, without those that have to be left out so that texts are hardly cut."""
    chosen = list(range(len(columns)))
    wanted = _wanted(columns, widths)
    for index in sorted(chosen, key=lambda index: -columns[index].drop):
        if not columns[index].drop or sum(wanted[index] + 1 for index in chosen) <= width + 1:
            break
        chosen.remove(index)
    return chosen


def _fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> tuple[int, tuple[str, ...]]:
    """How many columns fit, at least two, and a note that lists the columns left out at the right."""
    needed = _needed(columns, widths)
    count = len(columns)
    while count > 2 and sum(needed[:count]) + count - 1 > width:
        count -= 1
    if count == len(columns):
        return count, ()
    names = ", ".join(column.title for column in columns[count:])
    return count, (f"Columns left out: {names}; they need a terminal of {sum(needed) + len(needed) - 1} columns.",)


def _prose(table: Table, ascii_only: bool) -> RichTable:
    """Sentences: a cell wraps within its column, and a blank line separates rows."""
    grid = _empty_grid(ascii_only)
    for index, column in enumerate(table.columns):
        header = Text(_printable(column.title, ascii_only), style="bold")
        grid.add_column(header, justify=column.align, overflow="fold", ratio=index + 1)
    for row in table.rows:
        grid.add_row(*_texts(row, ascii_only), end_section=True)
    return grid


def _texts(row: Row, ascii_only: bool, bar_width: int = BAR_WIDTH) -> list[Text]:
    return [_text(item, ascii_only, bar_width, first=index == 0) for index, item in enumerate(row)]


def _empty_grid(ascii_only: bool) -> RichTable:
    lines = ASCII_LINES if ascii_only else box.SIMPLE_HEAD
    return RichTable(box=lines, show_edge=False, pad_edge=False, padding=0)


def _text(item: Cell | str, ascii_only: bool, bar_width: int, *, first: bool) -> Text:
    if isinstance(item, str):
        return Text(_printable(item, ascii_only), style="yellow" if item in WARNINGS else "")
    if item.share is not None:
        bar = f" {_bar(item.share, ascii_only, bar_width)}" if bar_width else ""
        return Text.assemble(f"{item.text:>6}", (bar, "green"))
    return Text("  " * item.depth + _printable(item.text, ascii_only), style="bold" if first and not item.depth else "")


def _bar(share: float, ascii_only: bool, width: int) -> str:
    share = min(max(share, 0.0), 1.0)
    if ascii_only:
        return "#" * round(share * width)
    whole, part = divmod(round(share * width * 8), 8)
    return ("█" * whole + (EIGHTHS[part] if part else "")).ljust(width)


def _header(title: str) -> str:
    """Breaks a long model name at its punctuation, so that the column is no wider than its numbers."""
    if len(title) <= MAX_HEADER_WIDTH:
        return title
    lines = [""]
    for piece in filter(None, PIECE.findall(title)):
        if lines[-1] and len(lines[-1]) + len(piece.rstrip()) > MAX_HEADER_WIDTH:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _printable(text: str, ascii_only: bool) -> str:
    """Text from names and files without control or direction marks; `ascii_only` escapes all but ASCII."""
    text = one_line(text)
    return text.translate(ASCII).encode("ascii", "backslashreplace").decode() if ascii_only else text
