"""The server, from which workers are forked: it imports torch once, and runs no model itself.

For each worker the server forks a keeper, and the keeper forks the worker. The keeper reports how the worker ended, and
ends every process that the worker started: also those in other sessions, since on Linux a process whose parent ends
becomes a child of the keeper. Each worker starts from the same state, whatever other models have changed in theirs.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

from analyzer.worker.channel import Channel
from analyzer.worker.linux import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, set_process_option
from analyzer.worker.task import serve

END_S = 5.0  # For processes that were killed; the system may need a moment to end them.
POLL_S = 1.0
LENGTH_BYTES = 8


def main(control: int, preload: list[str]) -> None:
    """Forks a worker per request until the other side closes `control`. Imports `preload` before the first one."""
    server = socket.socket(fileno=control)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for module in preload:
        with suppress(Exception):  # The worker reports the error.
            import_module(module)
    gc.collect()
    gc.freeze()  # A full garbage collection in a worker would copy every shared page.
    keepers: set[int] = set()
    while (received := _receive(server)) is not None:
        header, descriptors = received
        if (keeper := os.fork()) == 0:
            try:
                server.close()
                _keep(header, *descriptors)
            finally:
                os._exit(0)
        keepers.add(keeper)
        for descriptor in descriptors:
            os.close(descriptor)
        keepers -= _reap()
    end = time.monotonic() + 2 * END_S  # Keepers end by themselves, since their connections are closed too.
    while keepers and time.monotonic() < end:
        keepers -= _reap()
        time.sleep(0.001)
    end_children()
    os._exit(0)  # torch takes long to end otherwise.


def _receive(server: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A worker's environment, and the descriptors of its channel, its keeper's connection and its standard error."""
    length, descriptors, _, _ = socket.recv_fds(server, LENGTH_BYTES, 3)
    if not length:
        return None
    rest, data = int.from_bytes(length, "big"), b""
    while len(data) < rest:
        data += server.recv(rest - len(data))
    header: dict[str, Any] = json.loads(data)
    return header, descriptors


def _reap() -> set[int]:
    ended = set()
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(pid)
    return ended


def _keep(header: Mapping[str, Any], channel: int, connection: int, errors: int) -> None:
    """Forks the worker, waits until it ends or the connection is closed, and ends what it left."""
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    life = Channel(connection, connection)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    if (worker := os.fork()) == 0:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (connection, woken, wake):
                os.close(descriptor)
            _work(header, channel, errors)
        finally:
            os._exit(1)
    os.close(channel)
    os.close(errors)
    life.send({"event": "started"})
    status = _wait(worker, connection, woken)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker, signal.SIGKILL)
    end_children()
    with suppress(OSError):
        life.send({"event": "ended", "status": status})


def _wait(worker: int, connection: int, woken: int) -> int | None:
    """The exit status of the worker; None once the other side closes the connection."""
    while True:
        pid, status = os.waitpid(worker, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        readable, _, _ = select.select([connection, woken], [], [], POLL_S)
        if connection in readable:
            return None
        if woken in readable:
            os.read(woken, 4096)


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


def _work(header: Mapping[str, Any], channel: int, errors: int) -> None:
    """Makes this process a worker with the working folder, environment and import path of the command."""
    os.setsid()  # A process group, which is killed as a whole.
    set_process_option(PR_SET_PDEATHSIG, signal.SIGKILL)
    # If memory runs out, Linux ends the worker and not the command.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123
        file.write("1000")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(errors, 1)
    os.dup2(errors, 2)
    os.close(errors)
    os.environ.clear()
    os.environ.update(header["environment"])
    os.chdir(header["folder"])
    sys.path[:] = header["path"]
    serve(header["task"], Channel(channel, channel))
