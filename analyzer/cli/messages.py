"""One-line messages to the user on standard error, which keep standard output free for the result."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TextIO

from analyzer.core.errors import AnalyzerError, one_line

LONG_WORD = re.compile(r"(\S{200})\S{400,}(\S{100})")
URL_PASSWORD = re.compile(r"(://[^\s:/@]*):\S*@")


def print_message(text: str) -> None:
    """Prints `analyze: TEXT` as one line on standard error; does nothing if standard error is closed.

    Of a very long word, such as a file's content in place of its name, the ends are shown.
    """
    if sys.stderr is None:
        return
    text = LONG_WORD.sub(r"\1…\2", _hide_passwords(text))
    try:
        print(f"analyze: {one_line(text)}", file=sys.stderr, flush=True)
    except OSError:
        discard_output(sys.stderr)


def _hide_passwords(text: str) -> str:
    """The text with `://user:***@` in place of a password in a URL."""
    return URL_PASSWORD.sub(r"\1:***@", text)


def print_error(error: AnalyzerError, model: str = "") -> None:
    """Prints an error in one line, and below it the frames of the user's code.

    A text that does not begin with the `model` that it concerns follows it.
    """
    named = not model or str(error).startswith((f"{model}:", f"{model} "))
    print_message(str(error) if named else f"{model}: {error}")
    for line in error.details:
        print(line, file=sys.stderr)


def is_broken_pipe(stream: TextIO) -> bool:
    """Whether the reader of a pipe, such as `head`, has closed it; also where the system does not tell."""
    import select

    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (AttributeError, OSError, ValueError):
        return not hasattr(select, "poll")
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def discard_output(stream: TextIO) -> None:
    """Redirects a broken stream to the null device, because Python flushes it at exit and would fail again."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def report_defect(error: BaseException) -> int:
    """One line, and the traceback in a file for a bug report. Returns EX_SOFTWARE of sysexits.h."""
    import tempfile
    import traceback

    text = "".join(traceback.format_exception(error))
    try:
        with tempfile.NamedTemporaryFile("w", prefix="analyze-", suffix=".txt", delete=False, encoding="utf-8") as file:
            file.write(_hide_passwords(f"analyze {' '.join(sys.argv[1:])}\n{text}"))
        place = f"report it with {file.name}"
    except OSError:
        place = "no traceback could be written"
    print_message(f"defect in macscope: {type(error).__name__}: {str(error)[:200]}; {place}")
    return 70
