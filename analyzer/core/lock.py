"""Locks between processes: one timing on a machine and on a GPU at a time, one update of a baseline."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from math import inf
from pathlib import Path

from analyzer.core.errors import CannotMeasure, one_line

MAX_WAIT = 3600.0  # Seconds. A time check has a budget of minutes, so that a longer wait has another cause.
POLL_S = 0.05  # Short against a configuration of one second, long against the time of a poll.


def lock_path(name: str = "check") -> Path:
    """A lock file for all timings of a user, which share the machine's processors and would disturb each other.

    It is in a folder of the user, because in the shared temporary folder others could replace it. A folder in the home
    may be that of several machines; the name therefore has the start of the running system.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime or os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    with suppress(OSError):  # `exclusive` reports a folder that does not exist.
        folder.mkdir(parents=True, exist_ok=True)
    return folder / f"analyze-{name}{'' if runtime else _machine()}.lock"


def _machine() -> str:
    """The same in all containers of a machine, and different on each; empty where the system does not tell."""
    try:
        return f"-{Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii')[:8]}"
    except OSError:
        return ""


@contextmanager
def timing_lock(
    device: str = "cpu", notify: Callable[[str], None] = lambda message: None, max_wait: float = MAX_WAIT
) -> Iterator[None]:
    """Waits until no other process times on this machine; on a GPU, until none times on that GPU or on processors.

    Who waits holds the lock of the queue, so that a process with one timing after another lets others in between.
    """
    once = _Once(notify)
    with ExitStack() as held:
        kind, _, index = device.partition(":")
        if kind == "cuda":
            name = f"gpu-{_gpu(int(index or 0))}"
            with exclusive(lock_path(f"{name}-queue"), once, max_wait):
                held.enter_context(exclusive(lock_path(name), once, max_wait))
        with exclusive(lock_path("queue"), once, max_wait):
            held.enter_context(exclusive(lock_path(), once, max_wait, shared=kind == "cuda"))
        yield


def _gpu(index: int) -> str:
    """The number or the identifier of a GPU among all of the machine."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    name = visible[index] if index < len(visible) else str(index)
    return "".join(char for char in name if char.isalnum() or char == "-")


class _Once:
    """Passes on the first message only."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.notify, self.notified = notify, False

    def __call__(self, message: str) -> None:
        if not self.notified:
            self.notified = True
            self.notify(message)


@contextmanager
def exclusive(
    path: Path,
    notify: Callable[[str], None] = lambda message: None,
    max_wait: float = MAX_WAIT,
    *,
    shared: bool = False,
) -> Iterator[None]:
    """Waits until no other process holds the lock; notifies the user once. The system frees it if its holder ends.

    `path` is a file, created if necessary and never written to, or a folder. Symbolic links are not followed. Several
    processes may hold a `shared` lock at once. Raises CannotMeasure after `max_wait` seconds.
    """
    descriptor = _open(path)
    if descriptor is None:
        notify(f"cannot use the lock {one_line(path)}: another timing at the same time would not be noticed")
        yield
        return
    try:
        _wait(descriptor, path, notify, max_wait, shared=shared)
        yield
    finally:
        os.close(descriptor)


def _wait(descriptor: int, path: Path, notify: Callable[[str], None], max_wait: float, *, shared: bool) -> None:
    import fcntl

    deadline, notified = time.monotonic() + max_wait, False
    while True:
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise CannotMeasure(
                    f"another timing has held the lock {one_line(path)} for {max_wait:.0f} s; end that process"
                ) from None
        if not notified:
            limit = f"at most {max_wait / 60:.0f} minutes " if max_wait < inf else ""
            notify(f"another timing runs on this machine; waiting {limit}for it to end")
            notified = True
        time.sleep(POLL_S)


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
