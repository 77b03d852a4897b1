"""Writes results to standard output or a file as a table, JSON, CSV, Markdown or LaTeX."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from analyzer.cli.messages import print_message

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
    """Writes counts: the cross-check with `verify`, else the comparison of several records, else the only record."""
    if form == "json":
        from analyzer.records.envelope import dump

        return write(dump(records, comparison, status="failed" if failed else "ok"), output)
    if form == "csv" and not verify:
        from reports.formats.text import records_csv

        return write(records_csv(records), output)
    from reports.counting import network

    if verify:
        tables = [network.agreement(record) for record in records]
    elif comparison:
        from reports.counting.comparison import tables as comparison_tables

        tables = comparison_tables(comparison, metric, depth)
    else:
        tables = [network.network(record, depth) for record in records]
    return emit_tables(tables, form, output)


def emit_tables(tables: Sequence[Table], form: str, output: str | None) -> None:
    """Writes tables in any form but JSON."""
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
    """Writes text to standard output (`output` None or "-") or to a file, which is replaced atomically."""
    if output is None or output == "-":
        sys.stdout.write(text)
        return
    from analyzer.core.files import write_text

    write_text(output, text)
    print_message(f"wrote {output}")


class ClosedOutput(io.TextIOBase):
    """Stands for a standard output that was closed before the program began: any write raises OSError (EBADF)."""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        raise OSError(9, "there is no standard output; give -o FILE")


@contextmanager
def spinner(description: str, *, when: bool) -> Iterator[None]:
    """While torch is imported and user code runs: shows a spinner on a terminal and sends prints to standard error."""
    if not when:
        yield
        return
    from analyzer.cli.progress import Spinner

    shown: Any = Spinner(description) if sys.stderr.isatty() else nullcontext()
    with shown, redirect_stdout(sys.stderr):
        yield
