"""Tables and records as Markdown, LaTeX and CSV. Names from outside are escaped in each."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence

from analyzer.core.errors import one_line
from analyzer.core.shapes import shape_text
from analyzer.records.comparable import unique_names
from analyzer.records.record import Record
from analyzer.records.rows import ROW_KEYS, SUMMED_KEYS
from reports.table import Cell, Table, cell_text

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "–": "--",
    "×": r"$\times$",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def titled_markdown(table: Table) -> str:
    """A table as Markdown below its title as a heading."""
    return f"### {escape_markdown(table.title)}\n\n{markdown([table.replace(title='')])}"


def markdown(tables: Sequence[Table]) -> str:
    """GitHub's Markdown: for each table its title in bold, its rows and its notes."""
    return "\n".join(map(_markdown, tables))


def _markdown(table: Table) -> str:
    lines = [f"**{escape_markdown(table.title)}**", ""] if table.title else []
    lines.append("| " + " | ".join(escape_markdown(column.title) for column in table.columns) + " |")
    lines.append("|" + "|".join(":--" if column.align == "left" else "--:" for column in table.columns) + "|")
    for row in table.rows:
        # Ordinary spaces at the start of a cell are dropped; no-break spaces indent it.
        lines.append("| " + " | ".join(_indented(item, "\u00a0\u00a0", escape_markdown) for item in row) + " |")
    lines += [f"\n{escape_markdown(note)}" for note in table.notes]
    return "\n".join(lines) + "\n"


def escape_markdown(text: str) -> str:
    """The text with all markup escaped."""
    text = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{char}" if char in "\\`*_[]|~#" else char for char in text)


def _indented(item: Cell | str, indent: str, escape: Callable[[str], str]) -> str:
    return escape(item) if isinstance(item, str) else indent * item.depth + escape(item.text)


def latex(tables: Sequence[Table]) -> str:
    """One `tabular` per table, for a document that loads booktabs."""
    return "\n".join(map(_latex, tables))


def _latex(table: Table) -> str:
    align = "".join("l" if column.align == "left" else "r" for column in table.columns)
    lines = [f"% {one_line(table.title)}", rf"\begin{{tabular}}{{{align}}}", r"\toprule"]
    lines += [" & ".join(_escape_latex(column.title) for column in table.columns) + r" \\", r"\midrule"]
    rows = [" & ".join(_indented(item, r"\quad ", _escape_latex) for item in row) + r" \\" for row in table.rows]
    lines += [*rows[:-1], r"\midrule", *rows[-1:]] if table.total else rows
    lines += [r"\bottomrule", r"\end{tabular}", *(f"% {one_line(note)}" for note in table.notes)]
    return "\n".join(lines) + "\n"


def _escape_latex(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in one_line(text))


def records_csv(records: Sequence[Record]) -> str:
    """Long CSV: one line per operator, the model's name first; shapes as 1x64x112x112, several joined by a space.

    Of records of one model at several batches the name has the batch.
    """
    lines: list[Iterable[object]] = [["model", *ROW_KEYS]]
    labels = [record.label for record in records]
    for label, record in zip(unique_names(records) if len(set(labels)) < len(labels) else labels, records, strict=True):
        for row in record.rows:
            values = {key: getattr(row, key) for key in ROW_KEYS}
            for key in ("inputs", "outputs"):
                values[key] = " ".join(map(shape_text, values[key]))
            for key in ("kernel", "stride", "padding"):
                values[key] = values[key] and shape_text(values[key])
            values["sources"] = row.sources and " ".join(map(str, row.sources))
            lines.append([label, *values.values()])
    return csv_text(lines)


def agreement_csv(records: Sequence[Record]) -> str:
    """The cross-check: one line per operator with its MACs by every counter, and whether all counts are equal."""
    lines: list[Iterable[object]] = []
    for record in records:
        agreement = record.agreement
        assert agreement is not None
        counters = [counter.replace("_", " ") for counter in agreement.counters]
        lines = lines or [["model", "row", *(f"MACs {counter}" for counter in counters), "all"]]
        lines += [
            [record.label, row.path, *(row.macs[counter] for counter in agreement.counters),
             "agree" if row.agrees else "DIFFER"]
            for row in agreement.rows
        ]  # fmt: skip
    return csv_text(lines)


def listing_csv(records: Mapping[str, Record], titles: Mapping[str, str]) -> str:
    """`analyze list`: one line per variant with its exact totals."""
    lines = [
        [name, titles[name], *(getattr(record.totals, key) for key in SUMMED_KEYS)] for name, record in records.items()
    ]
    return csv_text([["model", "title", *SUMMED_KEYS], *lines])


def table_csv(table: Table) -> str:
    """A table's texts as CSV."""
    return csv_text([[column.title for column in table.columns], *(map(cell_text, row) for row in table.rows)])


def csv_text(lines: Iterable[Iterable[object]]) -> str:
    """CSV with every text escaped."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows([escape_csv(value) if isinstance(value, str) else value for value in line] for line in lines)
    return target.getvalue()


def escape_csv(text: str) -> str:
    """Puts a quote before text that a spreadsheet would run as a formula."""
    text = one_line(text)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
