"""Signal handling for the duration of a `with` block."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


def ignore_sigint() -> AbstractContextManager[None]:
    """Ignores Ctrl-C, so that a second Ctrl-C cannot interrupt saving the results of the interrupted run."""
    return _handler(signal.SIGINT, signal.SIG_IGN)


def sigterm_as_interrupt() -> AbstractContextManager[None]:
    """Raises KeyboardInterrupt on SIGTERM, which CI sends to cancel a job: results are saved and children end."""
    return _handler(signal.SIGTERM, signal.default_int_handler)


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
