"""`analyze check --base` with real processes on a small model. No test depends on how long anything takes: what is
asked of times is a factor of four or nothing."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from analyzer.regression.paired.pairs import take
from analyzer.regression.paired.side_process import SCRIPT, Failed, Lost, Place, started
from tests.regression.paired.conftest import NET, git

BUDGET = ("--time-budget", "300")  # Ten pairs settle it; a slow machine has time for them.


# --- sides -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def sides(tmp_path: Path):
    """Two sides on one folder, which has the model."""
    (tmp_path / "net.py").write_text(NET.format(layers=2), encoding="utf-8")
    found = started([Place("base", tmp_path), Place("head", tmp_path)])
    yield found
    for one in found:
        one.close()


def worker(side, model: str = "net.py:Net", apart: str = "") -> dict:
    return side.ask({"do": "worker", "model": model, "seed": 1, "device": "cpu", "apart": apart}, 120)


def test_a_worker_times_calls_and_hands_back(sides):
    base, _ = sides
    warm = worker(base)
    assert warm["event"] == "warm"
    assert warm["call_s"] > 0
    block = base.ask({"do": "block", "calls": 3, "burst": 10}, 60)
    assert [len(block[key]) for key in ("own_ns", "wall_ns")] == [3, 3]
    assert min(block["own_ns"]) > 0
    assert base.ask({"do": "end"}, 60) == {"event": "ended", "status": 0}
    assert worker(base, "nin")["event"] == "warm"


def test_a_pair_of_real_workers(sides):
    pair = take(sides, ("net.py:Net", "net.py:Net"), random.Random(1))
    assert abs(pair.own) < math.log(4)
    assert pair.own_s(0) > 0


PLACED = """
import json, time
from pathlib import Path


def placed():
    net = Net()
    places = [one.data_ptr() for one in net.parameters()]
    if any(places):  # Not on meta.
        Path(f"{time.time_ns()}.json").write_text(json.dumps(places))
    return net


placed_inputs = Net_inputs
"""


def test_the_two_of_a_pair_lie_in_memory_alike_and_another_pair_does_not(tmp_path):
    """Where data lies changes what the same code takes by several percent: it must not tell the two sides apart, nor
    must the length of a path or of a file, which an import leaves traces of in memory."""
    folders = tmp_path / "base", tmp_path / "a head in a folder with a longer name" / "project"
    for folder, more in zip(folders, ("", "# What the other side does not have.\n" * 200), strict=True):
        folder.mkdir(parents=True)
        (folder / "net.py").write_text(NET.format(layers=8) + PLACED + more, encoding="utf-8")
    sides = started([Place(name, folder) for name, folder in zip(("base", "head"), folders, strict=True)])
    try:
        for seed in range(3):
            take(sides, ("net.py:placed", "net.py:placed"), random.Random(seed))
    finally:
        sides[0].close()
    base, head = ([json.loads(one.read_text()) for one in sorted(folder.glob("*.json"))] for folder in folders)
    assert base == head
    assert len({tuple(one) for one in base}) == 3


def test_sides_of_one_python_share_a_process(sides):
    base, head = sides
    assert base.group is head.group


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("net.py:Nothing", "base: net.py has no 'Nothing'"),
        ("gone.py:Net", "base: no file gone.py"),
        ("nowhere", "base: unknown variant 'nowhere'"),
    ],
)
def test_a_model_that_is_not_there(sides, model, reason):
    with pytest.raises(Failed) as failed:
        worker(sides[0], model)
    assert str(failed.value).startswith(reason)


@pytest.mark.parametrize("where", ["sys.exit(3)", "Net.forward = lambda self, x: sys.exit(3)"])
def test_a_model_that_ends_the_process_is_said(sides, tmp_path, where):
    (tmp_path / "net.py").write_text(NET.format(layers=2) + f"\nimport sys\n{where}\n", encoding="utf-8")
    with pytest.raises(Failed, match=r"base: .*SystemExit"):
        worker(sides[0])


def test_a_worker_that_ends_without_a_word_is_lost(sides, tmp_path):
    (tmp_path / "net.py").write_text(NET.format(layers=2) + "\nimport os\nos._exit(0)\n", encoding="utf-8")
    with pytest.raises(Lost, match="its worker ended early"):
        take(sides, ("net.py:Net", "net.py:Net"), random.Random(1))


def test_a_killed_worker_is_lost_with_the_signal(sides, tmp_path):
    (tmp_path / "net.py").write_text(
        NET.format(layers=2)
        + "\nimport os, signal\nNet.forward = lambda self, x: os.kill(os.getpid(), signal.SIGKILL)\n",
        encoding="utf-8",
    )
    with pytest.raises(Lost, match=r"base: its worker was killed by signal 9 \(the system kills so"):
        worker(sides[0])


def test_a_hung_worker_is_lost_when_its_time_is_up_and_nothing_is_left_running(sides, tmp_path):
    (tmp_path / "net.py").write_text(
        NET.format(layers=2) + "\nimport time\nNet.forward = lambda self, x: time.sleep(3600)\n", encoding="utf-8"
    )
    with pytest.raises(Lost, match="base: it gave no answer within 3 s"):
        sides[0].ask({"do": "worker", "model": "net.py:Net", "seed": 1, "device": "cpu", "apart": ""}, 3)
    answers = os.dup(sides[0].answers)
    sides[0].close()
    assert os.read(answers, 1) == b""  # Nobody holds the other end any more.
    os.close(answers)


def test_a_python_without_torch_says_so(tmp_path):
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n', encoding="utf-8")
    fake.chmod(0o755)
    with pytest.raises((Failed, Lost), match=r"base: .*torch"):
        started([Place("base", tmp_path, python=str(fake)), Place("head", tmp_path)])


def test_what_a_model_prints_or_reads_is_not_on_the_channel(sides, tmp_path):
    (tmp_path / "net.py").write_text(
        NET.format(layers=2) + '\nimport sys\nprint("hello")\nassert sys.stdin.read() == ""\n', encoding="utf-8"
    )
    assert worker(sides[0])["event"] == "warm"


def test_modules_of_the_other_side_are_named(sides, tmp_path):
    assert worker(sides[0], apart=str(tmp_path))["strangers"] == ["net"]


def test_the_script_itself_is_no_stranger(sides):
    found = worker(sides[0], apart=str(SCRIPT.parents[4]))["strangers"]
    assert not {"__main__", "__mp_main__"} & set(found)


# --- the command -----------------------------------------------------------------------------------------------------
def test_real_operators_more_are_a_regression_twice_and_one_less_an_improvement(
    commit, analyze, tmp_path, own_temporary
):
    before = commit(layers=10)
    after = commit(layers=40)
    done = analyze("check", "--base", before, "--format", "json", "--junit", "out.xml", *BUDGET)
    found = json.loads(done.out)
    assert done.status == 1, done.err
    (verdict,) = found["verdicts"]
    assert (verdict["model"], verdict["path"], verdict["metric"]) == ("net.py:Net", "total", "cpu_time")
    assert verdict["outcome"] == "regressed"
    assert 1.01 < verdict["low"] < verdict["ratio"] < verdict["high"]
    assert found["base"] == f"{before} ({before[:12]})" or found["base"] == before
    (times,) = found["times"]
    assert times["pairs"]["parents"] != times["confirmation"]["parents"]
    failure = Xml.parse(tmp_path / "out.xml").getroot().find(".//testcase/failure")
    assert failure is not None
    assert "regressed" in failure.get("message", "")
    git(tmp_path, "checkout", "--quiet", before)
    done = analyze("check", "--base", after, *BUDGET)
    assert done.status == 0, done.err
    assert "1 improved" in done.out
    assert list(own_temporary.iterdir()) == []


def test_a_self_test_never_fails_and_prints_the_floor(commit, analyze):
    commit()
    done = analyze("check", "--self-test", "--time-budget", "2")
    assert done.status == 0, done.err
    assert done.out.startswith("The floor of this machine")
    assert "net.py:Net" in done.out


def test_a_ref_that_is_missing(commit, analyze):
    commit()
    done = analyze("check", "--base", "nowhere")
    assert done.status == 3
    assert "there is no commit 'nowhere' here" in done.err


def test_a_model_that_the_base_does_not_have(commit, analyze, tmp_path):
    before = commit(layers=None, other="")
    commit(layers=4)
    done = analyze("check", "--base", before, "--format", "json")
    assert done.status == 3
    found = json.loads(done.out)
    assert found["status"] == "partial"
    assert found["verdicts"][0]["outcome"] == "incomparable"
    assert found["times"][0]["reason"].startswith("base: no file net.py")


def test_a_dirty_tree_is_said_and_timed_as_it_is(commit, analyze, tmp_path):
    commit()
    (tmp_path / "net.py").write_text("raise ValueError('as it is')\n", encoding="utf-8")
    done = analyze("check", "--base", "main")
    assert "the working tree has 1 change that no commit has" in done.err
    assert done.status == 3
    assert "head: net.py:Net raised ValueError: as it is" in done.out.replace("\n", " ")


def test_actions_are_told(commit, analyze, monkeypatch, tmp_path):
    before = commit(layers=None, other="")
    commit()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = analyze("check", "--base", before)
    assert "::error title=net.py%3ANet%3A cannot be timed::base: no file net.py" in done.err
    assert "Time check incomplete: 1 not measured" in (tmp_path / "summary.md").read_text(encoding="utf-8")


def test_the_end_of_a_job_leaves_nothing(commit, analyze, monkeypatch, own_temporary):
    commit()
    parents = []

    def ended(sides, *arguments, **settings):
        parents.extend(sides.now())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("analyzer.cli.jobs.check.paired.gather", ended)
    done = analyze("check", "--base", "main")
    assert done.status == 130
    assert [one.group.process.returncode for one in parents] == [-signal.SIGKILL] * 2
    assert list(own_temporary.iterdir()) == []


@pytest.mark.parametrize("option", [("--update",), ("--tolerance", "0.1"), ("--baseline", "b.json")], ids=" ".join)
def test_options_of_counts_are_not_for_times(commit, analyze, option):
    commit()
    done = analyze("check", "--base", "main", *option)
    assert done.status == 2
    assert f"{option[0]} is for counts" in done.err


def test_a_budget_of_time_alone_is_nothing(project, analyze):
    project()
    assert analyze("check", "--time-budget", "5").status == 2


def test_a_limit_below_the_tolerance(project, analyze):
    project('models = ["nin"]\ntime_tolerance = 0.05\ntime_limit = 0.02')
    done = analyze("check", "--self-test")
    assert done.status == 2
    assert "time_limit is 0.02 and time_tolerance 0.05" in done.err


def test_a_python_that_does_not_exist(project, analyze):
    project()
    done = analyze("check", "--base-python", "nowhere/python")
    assert done.status == 3
    assert "no Python 'nowhere/python'" in done.err
