"""Locks between processes: one time check on a machine, one update of a baseline."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def lock_path() -> Path:
    """One file for all users of the machine, since time checks share its processors and disturb each other's times."""
    return Path(tempfile.gettempdir()) / "analyze-check.lock"


@contextmanager
def exclusive(path: Path, notify: Callable[[str], None] = lambda message: None) -> Iterator[None]:
    """Waits until no other process holds the lock; notifies the user once. The system frees it if its holder dies.

    `path` is a file, created if necessary and never written to, or a folder. Symbolic links are not followed.
    """
    descriptor = _open(path)
    if descriptor is None:
        notify(f"cannot use the lock {path}: another check at the same time would not be noticed")
        yield
        return
    import fcntl

    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            notify("another time check runs on this machine; waiting for it to end")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int | None:
    """A descriptor; None without permission, without the folder above, or on a system without such locks."""
    if os.name != "posix":
        return None
    for flags in (os.O_RDONLY | os.O_CREAT, os.O_RDONLY):  # O_CREAT is refused for folders and some users' files.
        try:
            return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        except OSError:
            continue
    return None
