"""Split."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from analyzer.core.errors import one_line


def say(text: str) -> None:
    """A line for the person, not for the pipe."""
    if sys.stderr is None:
        return
    try:
        print(f"analyze: {one_line(text)}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)  # Nobody can listen there; that is no reason to fail.


def discard(stream: TextIO) -> None:
    """Python flushes again at exit and would complain: give it somewhere to do so."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
