"""What a signal does for a while: nobody's result is lost to it, and nothing that runs outlives it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any


def uninterrupted() -> AbstractContextManager[None]:
    """A second Ctrl-C, of somebody impatient, must not cost what the first one was to keep."""
    return _handled(signal.SIGINT, signal.SIG_IGN)


def ended_as_interrupted() -> AbstractContextManager[None]:
    """SIGTERM, by which CI cancels a job, is heard as Ctrl-C: what was measured is kept, and what runs is ended."""
    return _handled(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def _handled(number: signal.Signals, handler: Callable[..., Any] | signal.Handlers) -> Iterator[None]:
    try:
        before = signal.signal(number, handler)
    except ValueError:  # Not in the main thread, which alone hears signals.
        yield
        return
    try:
        yield
    finally:
        signal.signal(number, before)
