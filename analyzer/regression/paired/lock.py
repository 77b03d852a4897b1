"""A lock per machine: two time checks at once would disturb each other's times."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.5


def lock_path() -> Path:
    """One file for all users of the machine, since they share its processors."""
    return Path(tempfile.gettempdir()) / "analyze-check.lock"


@contextmanager
def exclusive(path: Path, notify: Callable[[str], None]) -> Iterator[None]:
    """Waits until no other check holds the lock; notifies the user once. The system frees it if its holder dies."""
    import fcntl

    descriptor = _open(path)
    if descriptor is None:
        notify(f"cannot use the lock {path}: another check at the same time would not be noticed")
        yield
        return
    try:
        notified = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not notified:
                    notify("another time check runs on this machine; waiting for it to end")
                notified = True
                time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    """A descriptor of the file, created if necessary and never written to. Symbolic links are not followed."""
    for flags in (os.O_RDONLY | os.O_CREAT, os.O_RDONLY):  # O_CREAT may be refused for another user's file.
        try:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            continue
    return None
