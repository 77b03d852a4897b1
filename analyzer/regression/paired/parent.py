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

from analyzer.errors import one_line
from analyzer.frozen import Frozen

SCRIPT = Path(__file__).with_name("side.py")
START_S = 180.0  # Importing torch on a machine that does much else.
# Whatever else a side loads: pools of threads do not survive a fork, and CPU time is to be one thread's.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")


class Place(Frozen):
    """Where a side lives: the project's root, the folder of it to run in, and the Python that runs it.

    `name` is base or head. `apart` is the other side's root, of which this one must import nothing.
    """

    name: str
    root: Path
    folder: Path | None = None
    python: str = sys.executable
    apart: str = ""
    environment: Mapping[str, str] = {}


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


class Process:
    """A running side. `close` ends it and everything that it forked."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 – closed by close()
        folders = [str(folder) for folder in (place.root, place.root / "src") if folder.is_dir()]
        try:
            self.process = subprocess.Popen(
                [place.python, "-B", str(SCRIPT), *folders],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                cwd=place.folder or place.root,
                env={**os.environ, **ALONE, **place.environment},
                start_new_session=True,  # Ctrl-C is for the check, which then ends all of this.
                bufsize=0,
            )
        except OSError as error:
            self.errors.close()
            raise Failed(f"{place.name}: cannot run {one_line(place.python)}: {error.strerror}") from None
        self.rest = b""
        self.about = self._answer(START_S)

    def ask(self, command: Mapping[str, Any], limit_s: float) -> dict[str, Any]:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(dict(command)).encode() + b"\n")
        except OSError:
            raise self._lost("its parent process has gone") from None
        return self._answer(limit_s)

    def _answer(self, limit_s: float) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._line(limit_s))
        if answer["event"] == "failed":
            raise Failed(f"{self.place.name}: {one_line(answer['reason'])}")
        if answer["event"] == "ended" and answer["status"]:
            raise self._lost(_ended(answer["status"]))
        return answer

    def _line(self, limit_s: float) -> bytes:
        """One line within a limit: what is asked of a side ends, or the side does."""
        assert self.process.stdout is not None
        end = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.rest:
                if not selector.select(max(end - time.monotonic(), 0)):
                    raise self._lost(f"it gave no answer within {limit_s:.0f} s")
                part = os.read(self.process.stdout.fileno(), 65536)
                if not part:
                    raise self._lost(_ended(self.process.wait()))
                self.rest += part
        line, _, self.rest = self.rest.partition(b"\n")
        return line

    def _lost(self, what: str) -> Lost:
        return Lost(f"{self.place.name}: {what}{_last(self._said())}")

    def _said(self) -> Sequence[str]:
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip().splitlines()

    def close(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe is not None:
                pipe.close()


def _ended(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    killed = " (the system kills so when memory runs out)" if status == -signal.SIGKILL else ""
    return f"its process was killed by signal {-status}{killed}"


def _last(said: Sequence[str]) -> str:
    return f": {one_line(said[-1])[:200]}" if said else ""
