"""Signals at random moments: the command ends in a line, and leaves no process, worktree, temporary file or lock.

`python -m benchmarks.signals` sends 500 signals to all long commands.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks import signal_leftovers, signals

SECONDS = {"count": 2.3, "time": 4.3, "sweep": 4.3, "check": 4.3, "reconcile": 3.3}  # Until the last signal.


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the environment of processes")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SECONDS)
def test_a_signal_leaves_nothing(name, seed, monkeypatch):
    numbers = ("SIGKILL",) if seed == 2 else ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    monkeypatch.setattr(
        signal_leftovers, "ABOUT_TO_END_S", 30.0
    )  # Other tests run beside it, and slow the end of a command.
    trial = signals.run_trial(name, random.Random(f"{name} {seed}"), SECONDS[name], numbers)
    assert trial["left"] == [], trial["printed"]


def test_what_is_left_is_found(tmp_path):
    project = signals.make_project(tmp_path)
    assert list(signals.leftovers(project)) == []
    (tmp_path / "TMPDIR" / "analyze-base-1").mkdir()
    (project / ".out.json1.part").touch()
    (project / "out.json").write_text('{"cut')
    signals.git(project, "worktree", "add", "--detach", str(tmp_path / "tree"))
    assert sorted(signals.leftovers(project)) == [
        "a worktree", "half-written project/out.json", "part project/.out.json1.part", "temporary analyze-base-1",
    ]  # fmt: skip
    assert list(signals.ended_badly(signals.Ended(0, "", True, 9.0), signals.signal.SIGTERM))
    assert list(signals.ended_badly(signals.Ended(70, "", True, 0.0), signals.signal.SIGTERM))
    assert not list(signals.ended_badly(signals.Ended(130, "", True, 9.0), signals.signal.SIGTERM))
