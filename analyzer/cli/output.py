"""Writes results to standard output or a file as a table, JSON, CSV, Markdown or LaTeX."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from analyzer.cli.messages import print_message

if TYPE_CHECKING:
    from reports.table import Table

FORMATS = ("table", "json", "csv", "md", "latex")


def emit(
    form: str,
    output: str | None,
    tables: Callable[[], Sequence[Table]],
    *,
    untrusted: bool = False,
    **texts: Callable[[], str],
) -> None:
    """Writes a result: by the function in `texts` for its form, such as `json=…`, else as tables.

    Under GitHub Actions no name in an `untrusted` result on standard output may act as a workflow command.
    """
    to_stdout = output in (None, "-")
    neutral = untrusted and to_stdout and os.environ.get("GITHUB_ACTIONS") == "true"
    if form == "table" and to_stdout and form not in texts and not neutral:
        from reports.formats.terminal import console, show

        return show(tables(), console())
    text = texts[form]() if form in texts else render(tables(), form)
    if neutral:
        from reports.regression.workflow_commands import neutralize

        text = neutralize(text, form)
    return write(text, output)


def render(tables: Sequence[Table], form: str) -> str:
    """Tables as text in any form but JSON."""
    from reports.formats import text

    if form == "table":
        from reports.formats.terminal import console, show

        page = io.StringIO()
        show(tables, console(page))
        return page.getvalue()
    if form == "csv":
        return "\n".join(map(text.table_csv, tables))
    return text.markdown(tables) if form == "md" else text.latex(tables)


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


class _CompleteWriter(io.RawIOBase):
    """Writes all of the bytes or raises: a non-blocking pipe and a full disk accept a part, without an error."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.descriptor

    def isatty(self) -> bool:
        return os.isatty(self.descriptor)

    def write(self, data: Any) -> int:
        import select

        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            try:
                rest = rest[os.write(self.descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self.descriptor], [])
        return size


def complete(stream: io.TextIOWrapper) -> io.TextIOWrapper:
    """The stream, or one in its place if it could lose a part: unbuffered (PYTHONUNBUFFERED) or non-blocking."""
    try:
        descriptor = stream.fileno()
        if isinstance(stream.buffer, io.BufferedWriter) and os.get_blocking(descriptor):
            return stream
    except (OSError, ValueError):
        return stream  # Not a file: a test's or a notebook's stream.
    buffer = io.BufferedWriter(_CompleteWriter(descriptor))
    return io.TextIOWrapper(buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering)


@contextmanager
def spinner(description: str, *, when: bool) -> Iterator[None]:
    """While torch is imported and user code runs: shows a spinner on a terminal and sends prints to standard error."""
    if not when:
        yield
        return
    from analyzer.cli.progress import delayed_spinner

    with delayed_spinner(description) if sys.stderr.isatty() else nullcontext(), redirect_stdout(sys.stderr):
        yield
