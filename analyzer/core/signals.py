"""Signal handling for the duration of a `with` block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any


def ignore_sigint() -> AbstractContextManager[None]:
    """Ignores Ctrl-C, so that a second Ctrl-C cannot interrupt saving the results of the interrupted run."""
    return _handler(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Raises KeyboardInterrupt on signals that ask the program to end: results are saved and children end.

    CI sends SIGTERM to cancel a job, a closed terminal SIGHUP, and Ctrl-\\ SIGQUIT. A signal that the caller ignores
    stays ignored, as under nohup.
    """
    names = ("SIGTERM", "SIGHUP", "SIGQUIT")
    numbers = [number for number in (getattr(signal, name, None) for name in names) if number is not None]
    with ExitStack() as stack:
        for number in numbers:
            if signal.getsignal(number) is not signal.SIG_IGN:
                stack.enter_context(_handler(number, signal.default_int_handler))
        yield


@contextmanager
def _handler(number: signal.Signals, handler: Callable[..., Any] | signal.Handlers) -> Iterator[None]:
    try:
        previous = signal.signal(number, handler)
    except ValueError:  # Python runs signal handlers in the main thread only.
        yield
        return
    try:
        yield
    finally:
        signal.signal(number, previous)
