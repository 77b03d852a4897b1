"""What a check found → standard output or a file, JUnit, and under GitHub Actions annotations and the summary page."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from analyzer.cli.messages import discard_output, print_message
from analyzer.cli.output import emit_tables, write
from analyzer.core.files import write_text
from analyzer.core.frozen import Frozen
from reports.regression import annotations as actions

if TYPE_CHECKING:
    from reports.table import Table


class Telling(Frozen):
    """A check's result in every form; each is made only if it is asked for.

    `markdown` takes the bytes that it may have, or None; `commands` are workflow commands.
    """

    json: Callable[[], str]
    xml: Callable[[], str]
    markdown: Callable[[int | None], str]
    tables: Callable[[], list[Table]]
    sheet: Callable[[], Table]
    commands: Callable[[], Iterable[str]]


def tell(found: Telling, status: int, *, junit_file: str | None, form: str, output: str | None) -> int:
    """Returns the exit status, that of the check."""
    if junit_file is not None:
        write_text(junit_file, found.xml(), advice="name another file with --junit")
    if actions.active(os.environ):
        _tell_actions(found)
    try:
        _emit(found, form, output)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Whoever read has read enough. A gate that fails does so all the same.
        if not status:
            raise
        discard_output(sys.stdout)
    return status


def _tell_actions(found: Telling) -> None:
    """Annotations on standard error, which the runner reads too, and the job's summary page."""
    for command in found.commands():
        print(command, file=sys.stderr)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            actions.append_page(found.markdown(actions.SUMMARY_BYTES), path)
        except OSError as error:
            print_message(f"cannot write the job's summary: {error.strerror or error}")


def _emit(found: Telling, form: str, output: str | None) -> None:
    """On standard output under Actions no name may be a command; a terminal's table is written as it is drawn."""
    bare = output in (None, "-") and actions.active(os.environ)
    if form == "table" and not bare:
        return emit_tables(found.tables(), form, output)
    text = _text(found, form)
    if bare:
        text = actions.inert(text, form)
    return write(text, output)


def _text(found: Telling, form: str) -> str:
    if form == "json":
        return found.json()
    if form == "junit":
        return found.xml()
    if form == "md":
        return found.markdown(None)
    page = io.StringIO()
    with redirect_stdout(page):
        emit_tables([found.sheet()] if form == "csv" else found.tables(), form, None)
    return page.getvalue()
