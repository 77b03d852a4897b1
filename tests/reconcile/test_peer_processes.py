"""Peers in processes: every way to end becomes a result, and no process is left behind."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from analyzer.core.serialize import to_json
from analyzer.reconcile.peers import PEERS, Peer, PeerResult, PeerRow
from analyzer.reconcile.run_peers import run_peers

RESULT = PeerResult("good", "ok", version="1", total=5, rows=(PeerRow("a", "linear", 5, "b"),))
JSON = json.dumps(to_json(RESULT))
# As a peer's process writes its result: to another file first, which it renames.
PREAMBLE = """
import os, sys, time
def write(text, to={result!r}):
    with open(to + ".part", "w") as part:
        part.write(text)
    os.rename(to + ".part", to)
"""
PROGRAMS = {
    "good": f"print('noise'); write({JSON!r})",
    "noisy": f"print('x' * 10**6); sys.stderr.write('y' * 10**6); write({JSON!r})",
    "crash": "import signal; print('last words', flush=True); os.kill(os.getpid(), signal.SIGSEGV)",
    "status": "print('on the way'); sys.exit('it gave up')",
    "silent": "pass",
    "half": "write('{')",
    "other": "write('{\"rows\": []}')",
    "hang": "time.sleep(600)",
    "answers and hangs": f"write({JSON!r}); time.sleep(600)",
}
PARENT = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
write(str(child.pid), to={pid_file!r})
time.sleep(600)
"""


def command(name: str, result: Path) -> list[str]:
    return [sys.executable, "-c", PREAMBLE.format(result=str(result)) + PROGRAMS[name]]


def results(*names: str, limit_s: float | None = 60.0) -> list[PeerResult]:
    return run_peers([Peer(name, "json", 1, "MACs") for name in names], command, limit_s=limit_s)


def test_prints_of_a_peer_are_ignored():
    assert results("good", "noisy") == [RESULT, RESULT]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(
            *("crash", "crashed: SIGSEGV; last words"),
            marks=pytest.mark.skipif(os.name != "posix", reason="POSIX signals"),
        ),
        ("status", "ended with status 1 and no result; it gave up"),
        ("silent", "ended with status 0 and no result"),
        ("half", "its result cannot be read"),
        ("other", "its result cannot be read"),
    ],
)
def test_a_failing_peer_does_not_affect_the_others(name, reason):
    first, failed, last = results("good", name, "noisy")
    assert (failed.peer, failed.status) == (name, "failed")
    assert failed.reason.startswith(reason)
    assert "\n" not in failed.reason
    assert (first.status, last.status) == ("ok", "ok")


def test_a_hanging_peer_is_killed_at_the_time_limit():
    started = time.monotonic()
    hangs, good = results("hang", "good", limit_s=2.5)
    assert time.monotonic() - started < 30
    assert (hangs.status, hangs.reason) == ("failed", "no answer within 2.5 s")
    assert good.status == "ok"


def test_a_result_counts_even_if_its_process_does_not_end():
    started = time.monotonic()
    (result,) = results("answers and hangs")
    assert result.status == "ok"
    assert time.monotonic() - started < 30


@pytest.mark.skipif(os.name != "posix", reason="POSIX process groups")
def test_child_processes_of_a_peer_are_killed_too(tmp_path):
    pid_file = tmp_path / "child"

    def command_of(name: str, result: Path) -> list[str]:
        return [sys.executable, "-c", PREAMBLE.format(result=str(result)) + PARENT.format(pid_file=str(pid_file))]

    assert run_peers([Peer("children", "json", 1, "")], command_of, limit_s=2.5)[0].status == "failed"
    child = int(pid_file.read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and _is_running(child):
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and ") Z" not in state.read_text()


def test_an_interrupt_kills_all_peers():
    class Interrupting:
        """A clock that raises once both peers have started."""

        calls = 0

        def __call__(self) -> float:
            self.calls += 1
            if self.calls > 2:
                raise KeyboardInterrupt
            return 0.0

    started = []

    def command_of(name: str, result: Path) -> list[str]:
        started.append(result)
        return command("hang", result)

    with pytest.raises(KeyboardInterrupt):
        run_peers([Peer(name, "json", 1, "") for name in ("a", "b")], command_of, clock=Interrupting())
    assert len(started) == 2
    assert not started[0].parent.exists(), "nothing is left on disk"


def test_a_missing_peer_is_not_started():
    def command_of(name: str, result: Path) -> list[str]:
        raise AssertionError("a missing peer was started")

    (result,) = run_peers([Peer("absent", "no_such_package_at_all", 1, "")], command_of)
    assert (result.status, result.reason) == ("missing", "not installed; pip install '.[peers]' from a checkout")


def test_every_peer_has_an_adapter():
    from analyzer.reconcile.adapters import ADAPTERS

    assert ADAPTERS.keys() == PEERS.keys()
