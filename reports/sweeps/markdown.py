"""A sweep's analysis as a summary in Markdown, for a pull request or a CI job."""

from __future__ import annotations

from analyzer.sweeps.analysis.analysis import Analysis
from reports.formats.text import escape_markdown, markdown
from reports.sweeps.names_and_phrases import conclusion, names_of
from reports.sweeps.tables import tables

MAX_CONCLUSIONS = 20


def summary(analysis: Analysis) -> str:
    """The conclusions, and the first rows of each table."""
    names = names_of(analysis)
    conclusions = [conclusion(best, names) for best in analysis.best if best.certain]
    lines = [f"- {escape_markdown(text)}" for text in conclusions[:MAX_CONCLUSIONS]]
    lines += ["", *(f"> {escape_markdown(note)}\n" for note in analysis.notes)]
    return "\n".join([*lines, markdown(tables(analysis))])
