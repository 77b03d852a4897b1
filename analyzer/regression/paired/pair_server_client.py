"""Client of the fork server: sends requests to it and receives replies, each within a time limit."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen

SCRIPT = Path(__file__).with_name("child") / "pair_server.py"
START_LIMIT_S = 180.0  # For importing torch on a busy machine.
# Thread pools do not survive a fork, and the CPU time measured must be one thread's, whatever libraries a model loads.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class Side(Frozen):
    """Base or head: the project's root, the folder to run in, and the Python that runs it.

    `name` is base or head; `device` is a torch device, such as `cpu` or `cuda:1`. `other_root` is the root of the other
    side, from which this side must not import.
    """

    name: str
    root: Path
    folder: Path | None = None
    python: str = sys.executable
    other_root: str = ""
    environment: Mapping[str, str] = {}
    device: str = "cpu"


class WorkerLost(Exception):
    """A worker or its server was killed, hung or closed its pipe, as the text explains. A retry may succeed."""


class SideFailed(Exception):
    """Base or head cannot do what was requested, for the reason in the text. A retry would fail again."""


class ModelMissing(SideFailed):
    """Base or head, named in `side`, has no model of that name: it was added or removed."""

    def __init__(self, side: str, reason: str) -> None:
        super().__init__(f"{side}: {reason}")
        self.side = side


class ProcessGroup:
    """The processes of all sides that use the same Python: one imports torch and forks the others. Killed together."""

    def __init__(self, sides: Sequence[Side]) -> None:
        self.output = tempfile.TemporaryFile()  # noqa: SIM115 – closed by close()
        self.pipes = [(os.pipe(), os.pipe()) for _ in sides]  # Requests and replies of each side.
        arguments = [
            {
                "folders": [str(path) for path in (side.root, side.root / "src") if path.is_dir()],
                "cwd": str(side.folder or side.root),
                "environment": dict(side.environment),
                "source": requests[0],
                "sink": replies[1],
            }
            for side, (requests, replies) in zip(sides, self.pipes, strict=True)
        ]
        child_ends = [end for requests, replies in self.pipes for end in (requests[0], replies[1])]
        self.parent_ends = [end for requests, replies in self.pipes for end in (requests[1], replies[0])]
        try:
            self.process = subprocess.Popen(
                [sides[0].python, str(SCRIPT), json.dumps(arguments)],
                stdin=subprocess.DEVNULL,
                stdout=self.output,
                stderr=self.output,
                env={**os.environ, **ONE_THREAD},
                pass_fds=child_ends,
                start_new_session=True,  # Ctrl-C reaches only the check, which then kills the group.
            )
        except OSError as error:
            self._close_pipes()
            raise SideFailed(f"{sides[0].name}: cannot run {one_line(sides[0].python)}: {error.strerror}") from None
        finally:
            for end in child_ends:
                os.close(end)

    def last_line(self) -> str:
        """The last line that any of the processes printed, after a colon; empty if there is none."""
        self.output.seek(0)
        lines = self.output.read().decode(errors="replace").strip().splitlines()
        return f": {one_line(lines[-1])[:200]}" if lines else ""

    def close(self) -> None:
        if self.parent_ends:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._close_pipes()

    def _close_pipes(self) -> None:
        for end in self.parent_ends:
            os.close(end)
        self.parent_ends = []
        self.output.close()


class SideProcess:
    """The connection to the fork server of one side. `close` kills it and the sides that share its process group."""

    def __init__(self, side: Side, group: ProcessGroup, requests: int, replies: int) -> None:
        self.side, self.group, self.requests, self.replies = side, group, requests, replies
        self.unread = b""

    def wait_until_ready(self) -> dict[str, Any]:
        """Waits until torch is imported; the reply has the versions of Python and torch."""
        return self._reply(START_LIMIT_S)

    def request(self, command: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """Sends a command and returns the reply. Raises WorkerLost or SideFailed."""
        try:
            os.write(self.requests, json.dumps(dict(command)).encode() + b"\n")
        except OSError:
            raise self._lost("its process ended") from None
        return self._reply(limit_s)

    def close(self) -> None:
        self.group.close()

    def _reply(self, limit_s: float) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self._read_line(limit_s))
        if reply["event"] == "failed":
            if reply.get("missing"):
                raise ModelMissing(self.side.name, one_line(reply["reason"]))
            raise SideFailed(f"{self.side.name}: {one_line(reply['reason'])}")
        if reply["event"] == "ended" and reply["status"]:
            raise self._lost(describe_status(reply["status"]))
        return reply

    def _read_line(self, limit_s: float) -> bytes:
        end = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.replies, selectors.EVENT_READ)
            while b"\n" not in self.unread:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self._lost(f"no reply within {limit_s:.0f} s")
                data = os.read(self.replies, 65536)
                if not data:
                    raise self._lost("its process ended")
                self.unread += data
        line, _, self.unread = self.unread.partition(b"\n")
        return line

    def _lost(self, reason: str) -> WorkerLost:
        return WorkerLost(f"{self.side.name}: {reason}{self.group.last_line()}")


def start_sides(sides: Sequence[Side]) -> list[SideProcess]:
    """Starts all sides, one process group per Python, and waits until they are ready.

    Raises SideFailed or WorkerLost, after killing every process that was started.
    """
    groups: list[ProcessGroup] = []
    processes: dict[int, SideProcess] = {}
    try:
        for python in dict.fromkeys(side.python for side in sides):
            indices = [index for index, side in enumerate(sides) if side.python == python]
            group = ProcessGroup([sides[index] for index in indices])
            groups.append(group)
            for index, (requests, replies) in zip(indices, group.pipes, strict=True):
                processes[index] = SideProcess(sides[index], group, requests[1], replies[0])
        for process in processes.values():
            process.wait_until_ready()
    except BaseException:
        for group in groups:
            group.close()
        raise
    return [processes[index] for index in range(len(sides))]


def describe_status(status: int) -> str:
    """A worker's exit status in words."""
    if status >= 0:
        return f"its worker ended with status {status}"
    memory = " (the system does this when memory runs out)" if status == -signal.SIGKILL else ""
    return f"its worker was killed by signal {-status}{memory}"
