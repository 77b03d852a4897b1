"""Peers in processes of their own, two at a time: a crash, a hang or a missing import is an answer, never an end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from analyzer.core.errors import one_line
from analyzer.reconcile.opinion import Opinion, Peer, from_json

LIMIT_S = 300.0
AT_ONCE = 2
# The peer sees the import path that we see, however we were started.
ENTRY = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from analyzer.reconcile.peer_process import main
main(*sys.argv[2:])
"""
Command: TypeAlias = Callable[[str, Path], list[str]]


class _Running(NamedTuple):
    process: subprocess.Popen[bytes]
    folder: Path
    started_s: float


def command(question: Mapping[str, Any]) -> Command:
    """What to run for a peer that is to answer into a file."""
    path = json.dumps(sys.path)
    return lambda peer, answer: [sys.executable, "-P", "-c", ENTRY, path, peer, json.dumps(question), str(answer)]


def opinions(
    peers: Sequence[Peer],
    run: Command,
    *,
    limit_s: float | None = LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[Opinion]:
    """Each peer's answer, in the order asked; `limit_s` is how long one may take, None as long as it likes."""
    found = {peer.name: missing for peer in peers if (missing := _missing(peer))}
    waiting = [peer.name for peer in peers if peer.name not in found]
    running: dict[str, _Running] = {}
    with tempfile.TemporaryDirectory(prefix="macscope-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    name = waiting.pop(0)
                    running[name] = _started(name, run, Path(folder), clock)
                for name, one in list(running.items()):
                    late = limit_s is not None and clock() - one.started_s > limit_s
                    if (one.folder / "answer").exists() or one.process.poll() is not None or late:
                        _end(one.process)
                        found[name] = _answer(name, one, f"no answer within {limit_s:g} s" if late else "")
                        del running[name]
                time.sleep(0.02)
        finally:
            for one in running.values():
                _end(one.process)
    return [found[peer.name] for peer in peers]


def _missing(peer: Peer) -> Opinion | None:
    if find_spec(peer.package) is not None:
        return None
    return Opinion(peer.name, "missing", f"not installed; pip install '{peer.extra or peer.package}'")


def _started(name: str, run: Command, folder: Path, clock: Callable[[], float]) -> _Running:
    place = folder / name
    place.mkdir()
    with (place / "printed").open("wb") as printed:
        process = subprocess.Popen(
            run(name, place / "answer"),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # Its last words come last.
            start_new_session=True,  # What it starts in turn ends with it.
        )
    return _Running(process, place, clock())


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what it started; one that has ended is only cleared away."""
    if process.poll() is None:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _answer(name: str, one: _Running, late: str) -> Opinion:
    """What the peer wrote, or how it ended without writing."""
    answer = one.folder / "answer"
    if answer.exists():
        try:
            return from_json(json.loads(answer.read_text(encoding="utf-8")))
        except (KeyError, TypeError, ValueError) as error:
            return Opinion(name, "failed", f"its answer does not read: {one_line(error)}")
    if late:
        return Opinion(name, "failed", late)
    printed = (one.folder / "printed").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return Opinion(
        name,
        "failed",
        f"{_ended(one.process.returncode)}; {one_line(printed[-1] if printed else '')[:200]}".rstrip("; "),
    )


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with status {status} and no answer"
    try:
        return f"crashed: {signal.Signals(-status).name}"
    except ValueError:
        return f"crashed: signal {-status}"
