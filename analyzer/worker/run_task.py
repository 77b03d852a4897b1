"""Runs in a worker: answers requests by a task, and turns whatever the task raises into the final line of a reply.

A task is a module with a function `handle(request, send)`, which returns the final line and may send others before.
"""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from os import _exit  # Before a model can replace it in `os`.
from traceback import walk_tb
from typing import Any, NoReturn, TypeAlias

from analyzer.core.errors import AnalyzerError, CannotMeasure, error_text, missing_package, one_line
from analyzer.worker.channel import Channel
from analyzer.worker.linux import PR_SET_PDEATHSIG, set_process_option

Send: TypeAlias = Callable[[Mapping[str, Any]], None]


def main(task: str, path: Sequence[str] = ()) -> None:
    """Serves in a fresh process: requests on standard input, replies on standard output."""
    if not hasattr(os, "fork"):
        _serve_standard_streams(task, path)
    from analyzer.worker.keeper import keep

    set_process_option(PR_SET_PDEATHSIG, signal.SIGTERM)  # Nobody would read the reply.
    status = keep(lambda: _serve_standard_streams(task, path))
    if status is None or status >= 0:
        _exit(status or 0)
    with suppress(OSError):  # SIGKILL has no handler.
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)


def _serve_standard_streams(task: str, path: Sequence[str]) -> NoReturn:
    if path:
        sys.path[:] = path
    else:
        sys.path.append("")  # For a user's package that imports itself later. Last, so that it shadows nothing.
    channel = Channel(os.dup(0), os.dup(1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    serve(task, channel)


def is_worker() -> bool:
    """Whether this process serves requests and ends with the last one, so that a model may change it."""
    return _serving


_serving = False


def serve(task: str, channel: Channel) -> NoReturn:
    """Answers requests until the other side closes the channel, and ends the process."""
    global _serving
    _serving = True
    process = os.getpid()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # The last line printed explains a crash.

    def send(line: Mapping[str, Any]) -> None:
        exit_if_forked(process)
        channel.send(line)

    while (request := channel.receive()) is not None:
        send(_answer(task, request, send))
    # Python and `weakref.finalize` would print a traceback for each function that fails.
    sys.unraisablehook = lambda error: None
    sys.excepthook = lambda *error: None
    with suppress(BaseException):
        atexit._run_exitfuncs()  # Such as those that remove a model's temporary folders.
    _flush()
    _exit(0)  # Python would wait for threads that never end.


def _answer(task: str, request: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    try:
        handle = import_module(task).handle
    except BaseException as error:
        return failure(CannotMeasure(import_failure(error)))
    try:
        line: Mapping[str, Any] = handle(request, send)
        return line
    except BaseException as error:  # Also SystemExit and KeyboardInterrupt: the model's code raised them.
        return failure(error)
    finally:
        _flush()


def import_failure(error: BaseException) -> str:
    """Which package cannot be imported, by the innermost module that was being executed, and its file.

    That is torch if torch is broken, but another package if PYTHONPATH has a broken one, such as a user's `numpy`.
    """
    if missing := missing_package(error):
        return missing
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{one_line(error.name)} cannot be imported: {error_text(error)}"
    frames = [frame for frame, _ in walk_tb(error.__traceback__) if frame.f_code.co_name == "<module>"]
    name = str(frames[-1].f_globals.get("__name__")).partition(".")[0] if frames else "torch"
    place = f" from {one_line(frames[-1].f_code.co_filename)}" if frames else ""
    return f"{one_line(name)} cannot be imported{place}: {type(error).__name__}: {error_text(error)}"


def failure(error: BaseException) -> dict[str, Any]:
    """The final line for an exception: its text in one line, and the exit status of `analyze`."""
    ours = isinstance(error, AnalyzerError)
    return {
        "event": "failed",
        "reason": one_line(error) if ours else f"{type(error).__name__}: {error_text(error)}",
        "details": list(error.details) if isinstance(error, AnalyzerError) else [],
        "advice": getattr(error, "advice", "") if ours else "",
        "status": error.exit_status if isinstance(error, AnalyzerError) else CannotMeasure.exit_status,
    }


def exit_if_forked(process: int) -> None:
    """Ends a copy of the process that the model forked and that returned from the model's code."""
    if os.getpid() != process:
        _exit(0)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(BaseException):
            stream.flush()
