"""A side's parent process as the check sees it: commands go in, answers come out, each within a time limit."""

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
from typing import Any, Protocol

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen

SCRIPT = Path(__file__).with_name("child") / "fork_server.py"
START_S = 180.0  # Importing torch on a machine that does much else.
# Whatever else a side loads: pools of threads do not survive a fork, and CPU time is to be one thread's.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class Place(Frozen):
    """Where a side lives: the project's root, the folder of it to run in, and the Python that runs it.

    `name` is base or head; `device` is torch's, `cpu` or `cuda:1`. `apart` is the other side's root, of which this one
    must import nothing.
    """

    name: str
    root: Path
    folder: Path | None = None
    python: str = sys.executable
    apart: str = ""
    environment: Mapping[str, str] = {}
    device: str = "cpu"


class Lost(Exception):
    """A worker or its parent was killed, hung or fell silent; its text says which."""


class Failed(Exception):
    """A side said that it cannot do what it was asked; its text says why. To ask again would be in vain."""


class Parent(Protocol):
    """What a pair needs of a side; a test hands in its own."""

    place: Place

    def ask(self, command: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        """The answer to a command. Raises Lost or Failed."""
        ...

    def close(self) -> None: ...


class Group:
    """The processes of all sides that share a Python: one that imports torch, and what it forked. Ended together."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 – closed by close()
        self.pipes = [(os.pipe(), os.pipe()) for _ in places]  # Commands and answers of each.
        sides = [
            {
                "folders": [str(one) for one in (place.root, place.root / "src") if one.is_dir()],
                "cwd": str(place.folder or place.root),
                "environment": dict(place.environment),
                "source": commands[0],
                "sink": answers[1],
            }
            for place, (commands, answers) in zip(places, self.pipes, strict=True)
        ]
        theirs = [end for commands, answers in self.pipes for end in (commands[0], answers[1])]
        self.ours = [end for commands, answers in self.pipes for end in (commands[1], answers[0])]
        try:
            self.process = subprocess.Popen(
                [places[0].python, str(SCRIPT), json.dumps(sides)],
                stdin=subprocess.DEVNULL,
                stdout=self.errors,
                stderr=self.errors,
                env={**os.environ, **ALONE},
                pass_fds=theirs,
                start_new_session=True,  # Ctrl-C is for the check, which then ends all of this.
            )
        except OSError as error:
            self._closed()
            raise Failed(f"{places[0].name}: cannot run {one_line(places[0].python)}: {error.strerror}") from None
        finally:
            for end in theirs:
                os.close(end)

    def said(self) -> str:
        """The last line that any of them printed."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return f": {one_line(lines[-1])[:200]}" if lines else ""

    def close(self) -> None:
        if self.ours:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self._closed()

    def _closed(self) -> None:
        for end in self.ours:
            os.close(end)
        self.ours = []
        self.errors.close()


class Process:
    """One running side. `close` ends it, with the sides that it shares a process with."""

    def __init__(self, place: Place, group: Group, commands: int, answers: int) -> None:
        self.place, self.group, self.commands, self.answers = place, group, commands, answers
        self.rest = b""

    def ready(self) -> dict[str, Any]:
        """Waits until torch is imported; tells of which release."""
        return self._answer(START_S)

    def ask(self, command: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        try:
            os.write(self.commands, json.dumps(dict(command)).encode() + b"\n")
        except OSError:
            raise self._lost("its process has gone") from None
        return self._answer(limit_s)

    def close(self) -> None:
        self.group.close()

    def _answer(self, limit_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line(limit_s))
        if answer["event"] == "failed":
            raise Failed(f"{self.place.name}: {one_line(answer['reason'])}")
        if answer["event"] == "ended" and answer["status"]:
            raise self._lost(ended(answer["status"]))
        return answer

    def _line(self, limit_s: float) -> bytes:
        """One line within a limit: what is asked of a side ends, or the side does."""
        end = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            while b"\n" not in self.rest:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self._lost(f"it gave no answer within {limit_s:.0f} s")
                part = os.read(self.answers, 65536)
                if not part:
                    raise self._lost("its process ended")
                self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _lost(self, what: str) -> Lost:
        return Lost(f"{self.place.name}: {what}{self.group.said()}")


def started(places: Sequence[Place]) -> list[Process]:
    """The sides, ready: those that share a Python come of one process. Raises Failed or Lost, and then none is left."""
    pythons = list(dict.fromkeys(place.python for place in places))
    groups: list[Group] = []
    found: dict[int, Process] = {}
    try:
        for python in pythons:
            own = [index for index, place in enumerate(places) if place.python == python]
            group = Group([places[index] for index in own])
            groups.append(group)
            for index, (commands, answers) in zip(own, group.pipes, strict=True):
                found[index] = Process(places[index], group, commands[1], answers[0])
        for side in found.values():
            side.ready()
    except BaseException:
        for group in groups:
            group.close()
        raise
    return [found[index] for index in range(len(places))]


def ended(status: int) -> str:
    """A process's exit status in words."""
    if status >= 0:
        return f"its worker ended with status {status}"
    killed = " (the system kills so when memory runs out)" if status == -signal.SIGKILL else ""
    return f"its worker was killed by signal {-status}{killed}"
