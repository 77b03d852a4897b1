"""A check as Markdown, for a pull request's comment and for a job's summary page."""

from __future__ import annotations

import html

from analyzer.core.errors import one_line
from analyzer.regression.outcome import PRECEDENCE, CheckResult
from reports.formats.text import escape_markdown, markdown, titled_markdown
from reports.regression.tables import detail_tables, summary_table
from reports.table import Row, Table

MAX_COMMENT_BYTES = 58_000  # GitHub refuses comments of more than 65,536 characters. A note of up to 1,200 is added.
NOTE_BYTES = 200  # Reserved for the note on what was left out.


def dump(result: CheckResult, limit: int = MAX_COMMENT_BYTES) -> str:
    """The summary, and a folded section per model that differs, the worst outcome first.

    Beyond `limit` bytes, rows and sections are left out and counted or named; rows that regressed are kept longest.
    """
    parts = [_shortened(summary_table(result), limit)]
    omitted = []
    for model in sorted(result.models, key=lambda model: PRECEDENCE.index(result.outcome(model))):
        if tables := detail_tables(result, model):
            title = html.escape(one_line(model))
            section = f"<details><summary>{title}</summary>\n\n{markdown(tables)}\n</details>\n"
            if sum(len(part.encode()) for part in [*parts, section]) > limit:
                omitted.append(model)
            else:
                parts.append(section)
    if omitted:
        names = escape_markdown(", ".join(omitted))[:1000]
        parts.append(f"Too long to show here: {names}. analyze check --format json has everything.\n")
    return "\n".join(parts)


def _shortened(table: Table, limit: int) -> str:
    text = titled_markdown(table)
    if len(text.encode()) <= limit:
        return text
    kept: list[Row] = []
    room = limit - len(titled_markdown(table.replace(rows=())).encode()) - NOTE_BYTES
    for row in sorted(table.rows, key=lambda row: "regressed" not in row):
        room -= len(markdown([Table("", (), (row,))]).encode())
        if room < 0:
            break
        kept.append(row)
    note = f"Too long to show here: {len(table.rows) - len(kept)} more."
    return titled_markdown(table.replace(rows=tuple(kept), notes=(note, *table.notes)))
