"""Peers as processes: whatever becomes of one is an answer, and none outlives the question."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from analyzer.reconcile.opinion import PEERS, Opinion, Peer, PeerRow, from_json, to_json
from analyzer.reconcile.run_peers import opinions

ANSWER = json.dumps(to_json(Opinion("good", "ok", version="1", total=5, rows=(PeerRow("a", "linear", 5, "b"),))))
# A peer writes its answer whole: elsewhere, then under the name that is waited for.
WRITES = """
import os, sys, time
def say(text, to={answer!r}):
    with open(to + ".part", "w") as part:
        part.write(text)
    os.rename(to + ".part", to)
"""
PROGRAMS = {
    "good": f"print('noise'); say({ANSWER!r})",
    "noisy": f"print('x' * 10**6); sys.stderr.write('y' * 10**6); say({ANSWER!r})",
    "crash": "import signal; print('last words', flush=True); os.kill(os.getpid(), signal.SIGSEGV)",
    "status": "print('on the way'); sys.exit('it gave up')",
    "silent": "pass",
    "half": "say('{')",
    "other": "say('{\"rows\": []}')",
    "hang": "time.sleep(600)",
    "answers and hangs": f"say({ANSWER!r}); time.sleep(600)",
}
PARENT = """
import subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
say(str(child.pid), to={noted!r})
time.sleep(600)
"""


def command(name: str, answer: Path) -> list[str]:
    return [sys.executable, "-c", WRITES.format(answer=str(answer)) + PROGRAMS[name]]


def asked(*names: str, limit_s: float | None = 60.0) -> list[Opinion]:
    return opinions([Peer(name, "json", 1, "MACs") for name in names], command, limit_s=limit_s)


def test_what_a_peer_prints_does_not_matter():
    for opinion in asked("good", "noisy"):
        assert opinion == Opinion("good", "ok", version="1", total=5, rows=(PeerRow("a", "linear", 5, "b"),))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        pytest.param(
            *("crash", "crashed: SIGSEGV; last words"),
            marks=pytest.mark.skipif(os.name != "posix", reason="signals of a Unix"),
        ),
        ("status", "ended with status 1 and no answer; it gave up"),
        ("silent", "ended with status 0 and no answer"),
        ("half", "its answer does not read"),
        ("other", "its answer does not read"),
    ],
)
def test_however_a_peer_ends_the_others_answer(name, reason):
    first, failed, last = asked("good", name, "noisy")
    assert (failed.peer, failed.status) == (name, "failed")
    assert failed.reason.startswith(reason)
    assert "\n" not in failed.reason
    assert (first.status, last.status) == ("ok", "ok")


def test_a_peer_that_hangs_is_ended_at_the_limit():
    started = time.monotonic()
    hangs, good = asked("hang", "good", limit_s=5.0)
    assert time.monotonic() - started < 30
    assert (hangs.status, hangs.reason) == ("failed", "no answer within 5 s")
    assert good.status == "ok"


def test_an_answer_counts_even_if_its_process_does_not_end():
    started = time.monotonic()
    (opinion,) = asked("answers and hangs")
    assert opinion.status == "ok"
    assert time.monotonic() - started < 30


@pytest.mark.skipif(os.name != "posix", reason="groups of processes are a Unix's")
def test_what_a_peer_started_ends_with_it(tmp_path):
    noted = tmp_path / "child"

    def run(name: str, answer: Path) -> list[str]:
        return [sys.executable, "-c", WRITES.format(answer=str(answer)) + PARENT.format(noted=str(noted))]

    assert opinions([Peer("children", "json", 1, "")], run, limit_s=5.0)[0].status == "failed"
    child = int(noted.read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and _runs(child):
        time.sleep(0.05)
    assert not _runs(child)


def _runs(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and ") Z" not in state.read_text()


def test_an_interrupt_ends_them_all():
    class Interrupting:
        """A clock that stops everything once both have begun."""

        calls = 0

        def __call__(self) -> float:
            self.calls += 1
            if self.calls > 2:
                raise KeyboardInterrupt
            return 0.0

    started = []

    def run(name: str, answer: Path) -> list[str]:
        started.append(answer)
        return command("hang", answer)

    with pytest.raises(KeyboardInterrupt):
        opinions([Peer(name, "json", 1, "") for name in ("a", "b")], run, clock=Interrupting())
    assert len(started) == 2
    assert not started[0].parent.exists(), "nothing is left on disk"


def test_a_missing_peer_is_not_started():
    def run(name: str, answer: Path) -> list[str]:
        raise AssertionError("it is not there to be run")

    (opinion,) = opinions([Peer("absent", "no_such_package_at_all", 1, "")], run)
    assert (opinion.status, opinion.reason) == ("missing", "not installed; pip install 'macscope[peers]'")


def test_an_opinion_survives_its_journey():
    opinion = Opinion("thop", "ok", version="2", total=7, rows=(PeerRow("", "relu", 7), PeerRow("x", "conv2d", 0, "y")))
    assert from_json(json.loads(json.dumps(to_json(opinion)))) == opinion


def test_every_peer_has_an_adapter():
    from analyzer.reconcile.adapters import ADAPTERS

    assert list(ADAPTERS) == list(PEERS)
