"""The server, from which workers are forked: it imports torch once, and runs no model itself.

For each worker the server forks a keeper, and the keeper forks the worker. Each worker starts from the same state,
whatever other models have changed in theirs.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from os import _exit  # Before a model can replace it in `os`.
from types import ModuleType
from typing import Any

from analyzer.worker.channel import Channel
from analyzer.worker.keeper import END_S, end_children, keep
from analyzer.worker.linux import PR_SET_CHILD_SUBREAPER, set_process_option
from analyzer.worker.run_task import serve

LENGTH_BYTES = 8


def main(control: int, preload: list[str]) -> None:
    """Forks a worker per request until the other side closes `control`. Imports `preload` before the first one."""
    server = socket.socket(fileno=control)
    set_process_option(PR_SET_CHILD_SUBREAPER, 1)
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    for module in preload:
        _import(module)
    gc.collect()
    gc.freeze()  # A full garbage collection in a worker would copy every shared page.
    keepers: set[int] = set()
    while (received := _receive(server)) is not None:
        header, descriptors = received
        if "preload" in header:
            _preload(header["preload"], header["path"])
            continue
        if (keeper := os.fork()) == 0:
            try:
                server.close()
                _keep(header, *descriptors)
            finally:
                _exit(0)
        keepers.add(keeper)
        for descriptor in descriptors:
            os.close(descriptor)
        keepers -= _reap()
    for keeper in keepers:
        with suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGCONT)  # A model may have stopped its keeper.
    end = time.monotonic() + 2 * END_S  # Keepers end by themselves, since their connections are closed too.
    while keepers and time.monotonic() < end:
        keepers -= _reap()
        time.sleep(0.001)
    end_children()
    _exit(0)  # torch takes long to end otherwise.


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


def _preload(packages: Sequence[str], path: Sequence[str]) -> None:
    """Imports the packages that are the same on the import path of the command, where a user's folder may hide one."""
    for package in packages:
        ours, theirs = (PathFinder.find_spec(package, entries) for entries in (sys.path, path))
        if ours and theirs and ours.origin == theirs.origin:
            _import(package)
    gc.collect()
    gc.freeze()


class _Failed(MetaPathFinder):
    """Raises the error of a package that could not be imported again in each worker, which reports it.

    A second import would raise another error: torch registers its operators before it reads its environment.
    """

    def __init__(self, module: str, error: BaseException) -> None:
        self.module, self.error = module, error

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == self.module:
            raise self.error


def _import(module: str) -> None:
    try:
        import_module(module)
    except ModuleNotFoundError:
        pass  # The worker's import path is another one.
    except BaseException as error:  # Also of a package that calls exit.
        sys.meta_path.insert(0, _Failed(module, error))


def _reap() -> set[int]:
    ended = set()
    with suppress(ChildProcessError):
        while pid := os.waitpid(-1, os.WNOHANG)[0]:
            ended.add(pid)
    return ended


def _keep(header: Mapping[str, Any], channel: int, connection: int, errors: int) -> None:
    """Keeps a worker, and reports its start and its end over the connection."""
    life = Channel(connection, connection)

    def started() -> None:
        os.close(channel)
        os.close(errors)
        life.send({"event": "started"})

    status = keep(lambda: _work(header, channel, errors), connection, started)
    with suppress(OSError):
        life.send({"event": "ended", "status": status})


def _work(header: Mapping[str, Any], channel: int, errors: int) -> None:
    """Makes this process a worker with the working folder, environment and import path of the command."""
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
