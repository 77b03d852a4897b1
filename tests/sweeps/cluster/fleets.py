"""A Dask scheduler and workers as processes of their own, as on other machines, for tests that kill them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

START_S = 60.0
MAIN = "import sys; from distributed.cli.dask_{0} import main; sys.exit(main())"


class Fleet:
    """`prefix` starts each command, such as `ip netns exec NAME`. Processes are killed on exit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes, self.address = folder, [], ""

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes:
            process.kill()  # A worker ends with its nanny, and the processes of a sweep with their worker.
        for process in self.processes:
            process.wait()

    def start_scheduler(
        self, *options: str, prefix: Sequence[str] = (), host: str = "127.0.0.1", port: int = 0
    ) -> subprocess.Popen[bytes]:
        file = self.folder / f"scheduler-{len(self.processes)}.json"
        process = self._start(
            "scheduler", [f"--scheduler-file={file}", f"--port={port}", f"--host={host}", *options], prefix
        )
        wait_for(lambda: file.exists() and file.read_text().rstrip().endswith("}"))
        self.address = json.loads(file.read_text())["address"]
        return process

    def start_worker(self, *options: str, prefix: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        scratch = self.folder / f"scratch-{len(self.processes)}"
        scratch.mkdir()
        arguments = [self.address, "--nthreads=1", f"--local-directory={scratch}", *options]
        return self._start("worker", arguments, prefix, environment)

    def joined(self) -> int:
        """How many workers the scheduler has."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return len(client.scheduler_info()["workers"])

    def workers(self) -> list[int]:
        """The identifiers of the workers' processes, which their nannies start again."""
        return [pid for process in self.processes for pid, command in below(process.pid) if "spawn_main" in command]

    def loading(self) -> list[int]:
        """Those of the workers that run a model by reference, which is in a process of a fork server."""
        return [pid for pid in self.workers() if any("fork_server" in command for _, command in below(pid))]

    def _start(
        self, name: str, arguments: Sequence[str], prefix: Sequence[str], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{name}-{len(self.processes)}.log").open("wb")
        with log:
            process = subprocess.Popen(
                [*prefix, sys.executable, "-c", MAIN.format(name), "--no-dashboard", *arguments],
                stdout=log, stderr=log, env={**os.environ, **(environment or {})},
            )  # fmt: skip
        self.processes.append(process)
        return process


def below(pid: int) -> list[tuple[int, str]]:
    """The processes that a process has started, and those that they have started: their numbers and commands."""
    found = []
    with suppress(psutil.Error):
        for child in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                found.append((child.pid, " ".join(child.cmdline())))
    return found


def wait_for(condition: Callable[[], object], limit_s: float = START_S) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
