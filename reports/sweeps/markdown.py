"""A sweep's analysis as a summary in Markdown, for a pull request or a CI job."""

from __future__ import annotations

from analyzer.sweeps.analysis.analysis import Analysis
from reports.formats.text import escape_markdown, markdown
from reports.sweeps.tables import tables
from reports.sweeps.words import conclusion, names_of
from reports.table import Table

MAX_ROWS = 20


def summary(analysis: Analysis) -> str:
    """The conclusions, and the first rows of each table."""
    names = names_of(analysis)
    conclusions = [conclusion(best, names) for best in analysis.best if best.certain]
    lines = [f"- {escape_markdown(text)}" for text in conclusions[:MAX_ROWS]]
    lines += ["", *(f"> {escape_markdown(note)}\n" for note in analysis.notes)]
    return "\n".join([*lines, markdown([_shortened(table) for table in tables(analysis)])])


def _shortened(table: Table) -> Table:
    if len(table.rows) <= MAX_ROWS:
        return table
    more = f"{len(table.rows) - MAX_ROWS:,} more rows: analyze report --from writes the whole page."
    return table.replace(rows=table.rows[:MAX_ROWS], notes=(*table.notes, more))
