"""Tables and records as Markdown, LaTeX and CSV. Names from outside are inert in each."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from analyzer.core.errors import one_line
from analyzer.core.shapes import shape_text
from analyzer.core.units import percent
from analyzer.records.record import ROW_KEYS, SUMMED_KEYS, Record
from reports.table import Cell, Name, Share, Table

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "×": r"$\times$",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def titled(table: Table) -> str:
    """A table as Markdown under its title as a heading."""
    return f"### {escaped(table.title)}\n\n{markdown([table.replace(title='')])}"


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's Markdown: a heading, a table and its notes each."""
    return "\n".join(map(_markdown, tables))


def _markdown(table: Table) -> str:
    lines = [f"**{escaped(table.title)}**", ""] if table.title else []
    lines.append("| " + " | ".join(escaped(column.title) for column in table.columns) + " |")
    lines.append("|" + "|".join(":--" if column.align == "left" else "--:" for column in table.columns) + "|")
    lines += ["| " + " | ".join(_md_cell(cell) for cell in row) + " |" for row in table.rows]
    lines += [f"\n{escaped(note)}" for note in table.notes]
    return "\n".join(lines) + "\n"


def _md_cell(cell: Cell) -> str:
    # An ordinary space at the start of a cell is dropped; a no-break one indents.
    return "\u00a0\u00a0" * cell.depth + escaped(cell.text) if isinstance(cell, Name) else escaped(_plain(cell))


def escaped(text: str) -> str:
    """Nothing in it is markup any more."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{char}" if char in "\\`*_[]|~#" else char for char in text)


def latex(tables: Sequence[Table]) -> str:
    """A `tabular` each, for a document that loads booktabs."""
    return "\n".join(map(_latex, tables))


def _latex(table: Table) -> str:
    align = "".join("l" if column.align == "left" else "r" for column in table.columns)
    lines = [f"% {one_line(table.title)}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [" & ".join(_tex(column.title) for column in table.columns) + r" \\", r"\midrule"]
    for number, row in enumerate(table.rows):
        if table.total and number == len(table.rows) - 1:
            lines.append(r"\midrule")
        lines.append(" & ".join(_tex_cell(cell) for cell in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}", *(f"% {one_line(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def _tex_cell(cell: Cell) -> str:
    return r"\quad " * cell.depth + _tex(cell.text) if isinstance(cell, Name) else _tex(_plain(cell))


def _tex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in one_line(text))


def _plain(cell: str | Share) -> str:
    return percent(cell.value) if isinstance(cell, Share) else cell


def records_csv(records: Sequence[Record]) -> str:
    """Long CSV: a line an operator, the model's name first; shapes as 1x64x112x112, several joined by a space."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["model", *ROW_KEYS])
    for record in records:
        for row in record.rows:
            values = {key: getattr(row, key) for key in ROW_KEYS}
            for key in ("inputs", "outputs"):
                values[key] = " ".join(map(shape_text, values[key]))
            writer.writerow([inert(record.label), *(inert(v) if isinstance(v, str) else v for v in values.values())])
    return target.getvalue()


def listing_csv(records: Mapping[str, Record], titles: Mapping[str, str]) -> str:
    """`analyze list`: a line a variant, its totals in full."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(["model", "title", *SUMMED_KEYS])
    for name, record in records.items():
        totals = [getattr(record.totals, key) for key in SUMMED_KEYS]
        writer.writerow([inert(name), inert(titles[name]), *totals])
    return target.getvalue()


def table_csv(table: Table) -> str:
    """A table's cells as CSV."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([column.title for column in table.columns])
    for row in table.rows:
        writer.writerow([inert(cell.text if isinstance(cell, Name) else _plain(cell)) for cell in row])
    return target.getvalue()


def inert(text: str) -> str:
    """A spreadsheet takes a cell that begins with one of these for a formula; a quote keeps it text."""
    text = one_line(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
