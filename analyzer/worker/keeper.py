"""The keeper of a worker: forks it, waits for its end and ends every process that it started.

On Linux a process whose parent ends becomes a child of the keeper, so that also those in other sessions are found.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from os import _exit  # Before a model can replace it in `os`.

from analyzer.worker.linux import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, set_process_option

END_S = 5.0  # For processes that were killed; the system may need a moment to end them.
POLL_S = 1.0


def keep(work: Callable[[], None], stop: int | None = None, started: Callable[[], None] = lambda: None) -> int | None:
    """Runs `work` in a forked process, which it has to end. The exit status, a negative one for a signal.

    None if that process was stopped: by SIGTERM to this one, or by the other end of the descriptor `stop`, on closing.
    `started` is called in this process once the other one exists.
    """
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda number, frame: None)
    if (worker := os.fork()) == 0:
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            for descriptor in (woken, wake) if stop is None else (woken, wake, stop):
                os.close(descriptor)
            os.setsid()  # A process group, which is killed as a whole.
            set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
            work()
        finally:
            _exit(1)
    started()
    status = _wait(worker, woken, [woken] if stop is None else [woken, stop])
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    end_children()
    return status


def _wait(worker: int, woken: int, descriptors: list[int]) -> int | None:
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        readable, _, _ = select.select(descriptors, [], [], POLL_S)
        if set(readable) - {woken} or (readable and signal.SIGTERM in os.read(woken, 4096)):
            return None


def end_children() -> None:
    """Kills and reaps the children of this process, and on Linux also theirs, which become its children."""
    end = time.monotonic() + END_S
    while time.monotonic() < end:
        try:
            ended, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not ended:
            for child in _children():
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.001)


def _children() -> list[int]:
    own, children = os.getpid(), []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:  # noqa: PTH112, PTH208 – faster than Path
        if name.isdecimal():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                if int(file.read().rpartition(b")")[2].split()[1]) == own:
                    children.append(int(name))
    return children
