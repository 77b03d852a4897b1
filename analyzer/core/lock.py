"""Locks between processes: one time check on a machine, one update of a baseline."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from analyzer.core.errors import CannotMeasure, one_line

MAX_WAIT = 3600.0  # Seconds. A time check has a budget of minutes, so that a longer wait has another cause.


def lock_path() -> Path:
    """A lock file for all time checks of a user, which share the machine's processors and would disturb each other.

    It is in a folder of the user, because in the shared temporary folder others could replace it.
    """
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    with suppress(OSError):  # `exclusive` reports a folder that does not exist.
        folder.mkdir(parents=True, exist_ok=True)
    return folder / "analyze-check.lock"


@contextmanager
def exclusive(
    path: Path, notify: Callable[[str], None] = lambda message: None, max_wait: float = MAX_WAIT
) -> Iterator[None]:
    """Waits until no other process holds the lock; notifies the user once. The system frees it if its holder ends.

    `path` is a file, created if necessary and never written to, or a folder. Symbolic links are not followed.
    Raises CannotMeasure after `max_wait` seconds.
    """
    descriptor = _open(path)
    if descriptor is None:
        notify(f"cannot use the lock {one_line(path)}: another check at the same time would not be noticed")
        yield
        return
    try:
        _wait(descriptor, path, notify, max_wait)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, notify: Callable[[str], None], max_wait: float) -> None:
    import fcntl

    deadline, notified = time.monotonic() + max_wait, False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise CannotMeasure(
                    f"another check has held the lock {one_line(path)} for {max_wait:.0f} s; end that check"
                ) from None
        if not notified:
            notify(f"another check runs; waiting at most {max_wait / 60:.0f} minutes for it to end")
            notified = True
        time.sleep(0.1)


def _open(path: Path) -> int | None:
    """A descriptor; None without permission, without the folder above, or on a system without such locks.

    Also None for anything but a file or a folder, such as a FIFO, on which opening and locking could block.
    """
    if os.name != "posix":
        return None
    for flags in (os.O_RDONLY | os.O_CREAT, os.O_RDONLY):  # O_CREAT is refused for folders and some users' files.
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError:
            continue
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
            return descriptor
        os.close(descriptor)
    return None
