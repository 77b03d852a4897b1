"""Runs in a Dask worker: gives the cases of a task to a process of its own, as a sweep on one machine does.

Dask ends no thread, so a case that runs in the worker itself could not be stopped. A case that waits for the machine's
lock leaves its slot to other tasks: the lock may be that of another sweep, and Dask's resources know only one worker.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from analyzer.core.errors import one_line
from analyzer.core.serialize import from_json
from analyzer.records.sweep_result import Case
from analyzer.sweeps.cluster import software
from analyzer.sweeps.cluster.model_files import unpack
from analyzer.sweeps.run_configuration import machine_memory
from analyzer.sweeps.sweep_worker import receive
from analyzer.sweeps.sweep_worker_client import Process

Kind: TypeAlias = tuple[str, str]  # The run and the digest of the model's files: what a process may be used for.

IDLE_S = 60.0  # A process that has nothing to do for longer is left from a driver that was killed.
OWN_MEMORY = -1  # A limit of memory: that of the worker's machine.

software.content_hash()  # Of the files as they are now, when Python reads them.
_starter = ThreadPoolExecutor(1)  # A process ends with the thread that started it; Dask's threads come and go.
_lock = threading.Lock()
_idle: dict[Kind, list[tuple[float, Process]]] = {}
_busy: dict[Process, Kind] = {}
_folders: dict[Kind, Path] = {}


class Request(NamedTuple):
    """A task. `jobs` are keys and cases as JSON, whose model is in the `files` if there are any. `topic` is that of
    Dask's events."""

    topic: str
    name: str
    jobs: Sequence[tuple[str, Mapping[str, Any]]]
    settings: Mapping[str, Any]
    files: tuple[tuple[str, bytes], ...]
    digest: str

    @property
    def kind(self) -> Kind:
        return str(self.settings["run"]), self.digest


def run_cases(fields: tuple[Any, ...]) -> dict[str, Any]:
    """Executes cases one after the other: `{"rows": […]}`, and with fewer rows than cases `killed`, the reason.

    Reports on the topic when it starts and, once, that it waits for the machine's lock, for which it leaves its slot.
    """
    from distributed import get_worker, secede

    request = Request(*fields)
    worker = get_worker()
    worker.log_event(request.topic, {"started": request.name, "worker": worker.address})
    seceded = False

    def waiting(message: str) -> None:
        nonlocal seceded
        worker.log_event(request.topic, {"waiting": request.name, "message": message})
        if not seceded:
            seceded = True
            secede()

    process = _take(request, worker.local_directory)
    rows: list[dict[str, Any]] = []
    try:
        process.send([(key, from_json(Case, case)) for key, case in request.jobs], _own_limits(request.settings))
        while len(rows) < len(request.jobs):
            row = _receive_row(process, waiting)
            if folder := _folders.get(request.kind):
                row["reason"] = row["reason"].replace(f"{folder}/", "")
            rows.append(row)
            process.confirm(row)
            process.forget_output()
    except (EOFError, OSError):
        with _lock:
            _busy.pop(process, None)
        status = process.popen.wait()
        reason = process.last_line() or (f"signal {-status}" if status < 0 else f"status {status}")
        process.close(busy=False)
        return {"rows": rows, "killed": reason}
    with _lock:
        if _busy.pop(process, None):
            _idle.setdefault(request.kind, []).append((time.monotonic(), process))
    return {"rows": rows}


def stop(run: str) -> None:
    """Ends the processes of a run, also those that work, and removes the files of its models."""
    with _lock:
        ended = [(process, False) for kind in list(_idle) if kind[0] == run for _, process in _idle.pop(kind)]
        ended += [(process, True) for process, kind in _busy.items() if kind[0] == run]
        folders = [_folders.pop(kind) for kind in list(_folders) if kind[0] == run]
    threading.Thread(target=_end, args=(ended, folders)).start()  # Dask's event loop calls this function.


def _end(processes: list[tuple[Process, bool]], folders: list[Path]) -> None:
    for process, busy in processes:
        if busy:
            process.popen.terminate()  # `run_cases` notices, and closes it.
        else:
            process.close(busy=False)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _take(request: Request, folder: str) -> Process:
    """An idle process for such cases, or a new one."""
    with _lock:
        since = time.monotonic() - IDLE_S
        old = [process for kind in list(_idle) for used, process in _idle[kind] if used < since]
        for kind in list(_idle):
            _idle[kind] = [(used, process) for used, process in _idle[kind] if used >= since]
        idle = _idle.get(request.kind)
        process = idle.pop()[1] if idle else None
        if process:
            _busy[process] = request.kind
        if request.files and request.kind not in _folders:
            _folders[request.kind] = unpack(request.files, folder)
        home = _folders.get(request.kind)
    for left in old:
        left.close(busy=False)
    if process is None:
        process = _starter.submit(Process, home).result()
        with _lock:
            _busy[process] = request.kind
    return process


def _receive_row(process: Process, waiting: Callable[[str], None]) -> dict[str, Any]:
    while True:
        kind, content = receive(process.connection)
        if kind == "row":
            return content
        if kind == "waiting":
            waiting(one_line(content["waiting"]))


def _own_limits(settings: Mapping[str, Any]) -> dict[str, Any]:
    limits = dict(settings["limits"])
    if limits.get("memory_bytes") == OWN_MEMORY:
        limits["memory_bytes"] = machine_memory()
    return {**settings, "limits": {name: value for name, value in limits.items() if value is not None}}
