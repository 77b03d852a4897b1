"""Peers in processes: every way to end becomes a result, and no process is left behind."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from analyzer.core.serialize import to_json
from analyzer.reconcile import run_peers as run_peers_module
from analyzer.reconcile.peers import PEERS, Peer, PeerResult, PeerRow
from analyzer.reconcile.run_peers import run_peers

RESULT = PeerResult("good", "ok", version="1", total=5, rows=(PeerRow("a", "linear", 5, "b"),))
TASK = f"""
import os, signal, subprocess, sys, time

def done(result):
    return {{"event": "done", "result": result}}

GOOD = done({json.dumps(to_json(RESULT))})

def child():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open("child", "w") as file:
        file.write(str(process.pid))
    time.sleep(600)

PROGRAMS = {{
    "good": lambda: print("noise"),
    "noisy": lambda: print("x" * 10**6, file=sys.stderr),
    "crash": lambda: (print("last words", flush=True), os.kill(os.getpid(), signal.SIGSEGV)),
    "status": lambda: (print("on the way", flush=True), os._exit(1)),
    "hang": lambda: time.sleep(600),
    "children": child,
}}
RESULTS = {{"half": done("half"), "other": done({{"rows": []}}), "none": {{"event": "done"}}}}

def handle(request, send):
    PROGRAMS.get(request["peer"], lambda: None)()
    return RESULTS.get(request["peer"], GOOD)
"""


@pytest.fixture(autouse=True)
def programs(tmp_path, monkeypatch):
    (tmp_path / "peer_programs.py").write_text(TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(run_peers_module, "TASK", "peer_programs")


def results(*names: str, limit_s: float | None = 60.0) -> list[PeerResult]:
    return run_peers([Peer(name, "json", 1, "MACs") for name in names], {}, limit_s=limit_s)


def test_prints_of_a_peer_are_ignored(capfd):
    assert results("good", "noisy") == [RESULT, RESULT]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(
            *("crash", "its process was killed by signal 11 (SIGSEGV); last words"),
            marks=pytest.mark.skipif(os.name != "posix", reason="POSIX signals"),
        ),
        ("status", "its process ended with status 1"),
        ("half", "its result cannot be read"),
        ("other", "its result cannot be read"),
        ("none", "its result cannot be read"),
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
    assert (hangs.status, hangs.reason) == ("failed", "its process did not end within 2.5 s")
    assert good.status == "ok"


@pytest.mark.skipif(os.name != "posix", reason="POSIX process groups")
def test_child_processes_of_a_peer_are_killed_too():
    assert results("children", limit_s=2.5)[0].status == "failed"
    child = int(Path("child").read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and _is_running(child):
        time.sleep(0.05)
    assert not _is_running(child)


def _is_running(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and ") Z" not in state.read_text()


def test_a_missing_peer_is_not_started():
    (result,) = run_peers([Peer("absent", "no_such_package_at_all", 1, "")], {})
    assert (result.status, result.reason) == ("missing", "not installed; pip install '.[peers]' from a checkout")


def test_every_peer_has_an_adapter():
    from analyzer.reconcile.adapters import ADAPTERS

    assert ADAPTERS.keys() == PEERS.keys()
