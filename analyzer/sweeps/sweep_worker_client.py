"""A process of `analyzer.sweeps.sweep_worker`: sends it cases, receives rows, and ends it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.serialize import to_json
from analyzer.core.signals import ignore_sigint
from analyzer.records.sweep_result import Case
from analyzer.worker import fresh_interpreter

EXIT_S = 10.0  # For a process that ends those that it started.
MAIN = "from analyzer.sweeps.sweep_worker import main\nmain(int(sys.argv[1]), int(sys.argv[2]))"


class Process:
    """It ends with the thread that starts it. Models by reference are found from `folder`, by default the current."""

    def __init__(self, folder: Path | None = None) -> None:
        ours, theirs = socket.socketpair()
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 – closed by `close`
        with theirs:
            self.popen = subprocess.Popen(
                [*fresh_interpreter.interpreter(MAIN), str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
                pass_fds=[theirs.fileno()],
                cwd=folder,
                start_new_session=True,  # Ctrl-C reaches only this process, which then ends the worker.
            )
        self.connection = Connection(ours.detach())

    def send(self, jobs: Iterable[tuple[str, Case]], settings: Mapping[str, Any]) -> None:
        """The jobs' keys and cases, with the run, the retries and the limits in `settings`."""
        cases = [(key, to_json(case)) for key, case in jobs]
        with suppress(OSError):  # It has ended, which `receive` reports.
            self.connection.send_bytes(json.dumps({**settings, "cases": cases}).encode())

    def confirm(self, row: Mapping[str, Any]) -> None:
        """Says that a row has arrived and is stored; the worker keeps the times in a file until then."""
        if "time" in row["measure"]:
            with suppress(OSError):  # It has ended, which `receive` reports.
                self.connection.send_bytes(b"stored")

    def forget_output(self) -> None:
        """Of what models print only the last line matters, after a crash."""
        self.errors.seek(0)
        self.errors.truncate()

    def last_line(self) -> str:
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return one_line(lines[-1]) if lines else ""

    def close(self, *, busy: bool) -> None:
        """Ends the process, and with it those that it started; one that is `busy` by SIGTERM."""
        with ignore_sigint():
            self.connection.close()
            if busy:
                self.popen.terminate()
            try:
                self.popen.wait(EXIT_S)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self.popen.pid, signal.SIGKILL)
                self.popen.wait()
            self.errors.close()
