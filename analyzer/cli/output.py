"""Where results go: standard output or a file, in one of five forms; everything else goes to standard error."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from analyzer.cli.messages import say

if TYPE_CHECKING:
    from analyzer.records.comparison import Comparison
    from analyzer.records.record import Record
    from reports.table import Table

FORMATS = ("table", "json", "csv", "md", "latex")


def emit_records(
    records: Sequence[Record],
    comparison: Comparison | None,
    form: str,
    output: str | None,
    *,
    metric: str,
    depth: int,
    verify: bool,
    failed: bool,
) -> None:
    """The main job's result: the agreement if it was asked for, else the comparison of several, else the one."""
    if form == "json":
        from analyzer.records.envelope import dump

        return write(dump(records, comparison, status="failed" if failed else "ok"), output)
    if form == "csv" and not verify:
        from reports.formats.text import records_csv

        return write(records_csv(records), output)
    from reports.counting import network as views

    if verify:
        tables = [views.agreement(record) for record in records]
    elif comparison:
        from reports.counting import comparison as side_by_side

        tables = side_by_side.tables(comparison, metric, depth)
    else:
        tables = [views.network(record, depth) for record in records]
    return emit_tables(tables, form, output)


def emit_tables(tables: Sequence[Table], form: str, output: str | None) -> None:
    """Tables in a form that is not JSON."""
    if form == "table":
        from reports.formats.terminal import console, show

        if output in (None, "-"):
            return show(tables, console())
        page = io.StringIO()
        show(tables, console(page))
        return write(page.getvalue(), output)
    from reports.formats import text

    if form == "csv":
        return write("\n".join(map(text.table_csv, tables)), output)
    return write(text.markdown(tables) if form == "md" else text.latex(tables), output)


def write(text: str, output: str | None) -> None:
    """Text to standard output, or to a file that is replaced whole."""
    if output is None or output == "-":
        sys.stdout.write(text)
        return
    from analyzer.core.files import write_text

    write_text(output, text)
    say(f"wrote {output}")


class Closed(io.TextIOBase):
    """In the place of a standard output that was closed before we began: an error as soon as something is written."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(9, "there is no standard output; give -o FILE")


@contextmanager
def working(description: str, *, when: bool) -> Iterator[None]:
    """While torch is imported and others' code runs: a spinner, and what that code prints is kept out of the result."""
    if not when:
        yield
        return
    from analyzer.cli.progress import Progress

    progress: Any = Progress(description) if sys.stderr.isatty() else nullcontext()
    with progress, redirect_stdout(sys.stderr):
        yield
