"""One time check at a time on a machine: two would measure each other."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY_S = 0.5


def place() -> Path:
    """One file for all users of this machine, since they share its processors."""
    return Path(tempfile.gettempdir()) / "analyze-check.lock"


@contextmanager
def alone(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Waits for whoever holds the lock, and says so once. The system frees it when its holder ends, however it ends."""
    import fcntl

    file = _opened(path)
    if file is None:
        say(f"cannot use the lock {path}: another check at the same time would not be noticed")
        yield
        return
    try:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    say("another time check runs on this machine; waiting for it to end")
                told = True
                time.sleep(EVERY_S)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int | None:
    """The file, made if need be and never written to; a link that somebody laid there is not followed."""
    for flags in (os.O_RDONLY | os.O_CREAT, os.O_RDONLY):  # Another user's file may not be "created" again.
        try:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            continue
    return None
