"""Runs each peer in its own process, two at a time; a crash, a timeout or a missing package becomes its result."""

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
from analyzer.core.serialize import from_json
from analyzer.reconcile.peers import Peer, PeerResult

TIME_LIMIT_S = 300.0
MAX_PROCESSES = 2
# The peer's process gets our import path, however `analyze` was started.
ENTRY = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from analyzer.reconcile.peer_process import main
main(*sys.argv[2:])
"""
Command: TypeAlias = Callable[[str, Path], list[str]]  # (peer's name, result file) → arguments of the process


class _PeerProcess(NamedTuple):
    process: subprocess.Popen[bytes]
    folder: Path
    started_s: float

    def end(self) -> None:
        """Kills the process and its children if it still runs, and reaps it."""
        if self.process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()
        self.process.wait()


def peer_command(request: Mapping[str, Any]) -> Command:
    """The command that runs a peer on the requested model."""
    path = json.dumps(sys.path)
    return lambda peer, result: [sys.executable, "-P", "-c", ENTRY, path, peer, json.dumps(request), str(result)]


def run_peers(
    peers: Sequence[Peer],
    command: Command,
    *,
    limit_s: float | None = TIME_LIMIT_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[PeerResult]:
    """Each peer's result, in the order of `peers`; a peer may take `limit_s` seconds, or any time if None."""
    results = {peer.name: _missing(peer) for peer in peers if find_spec(peer.package) is None}
    waiting = [peer.name for peer in peers if peer.name not in results]
    running: dict[str, _PeerProcess] = {}
    with tempfile.TemporaryDirectory(prefix="macscope-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < MAX_PROCESSES:
                    name = waiting.pop(0)
                    running[name] = _start(name, command, Path(folder), clock)
                for name, peer in list(running.items()):
                    late = limit_s is not None and clock() - peer.started_s > limit_s
                    if (peer.folder / "result").exists() or peer.process.poll() is not None or late:
                        peer.end()
                        results[name] = _read_result(name, peer, f"no answer within {limit_s:g} s" if late else "")
                        del running[name]
                time.sleep(0.02)
        finally:
            for peer in running.values():
                peer.end()
    return [results[peer.name] for peer in peers]


def _missing(peer: Peer) -> PeerResult:
    return PeerResult(peer.name, "missing", f"not installed; pip install {peer.install}")


def _start(name: str, command: Command, parent: Path, clock: Callable[[], float]) -> _PeerProcess:
    folder = parent / name
    folder.mkdir()
    with (folder / "printed").open("wb") as printed:
        process = subprocess.Popen(
            command(name, folder / "result"),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},  # So that the last line printed explains a crash.
            start_new_session=True,  # A process group, which is killed as a whole.
        )
    return _PeerProcess(process, folder, clock())


def _read_result(name: str, peer: _PeerProcess, timeout: str) -> PeerResult:
    """The result that the peer wrote, or how its process ended without one."""
    file = peer.folder / "result"
    if file.exists():
        try:
            return from_json(PeerResult, json.loads(file.read_text(encoding="utf-8")))
        except (TypeError, ValueError) as error:
            return PeerResult(name, "failed", f"its result cannot be read: {one_line(error)}")
    if timeout:
        return PeerResult(name, "failed", timeout)
    printed = (peer.folder / "printed").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last_line = one_line(printed[-1] if printed else "")[:200]
    return PeerResult(name, "failed", f"{_exit_reason(peer.process.returncode)}; {last_line}".rstrip("; "))


def _exit_reason(status: int) -> str:
    if status >= 0:
        return f"ended with status {status} and no result"
    try:
        return f"crashed: {signal.Signals(-status).name}"
    except ValueError:
        return f"crashed: signal {-status}"
