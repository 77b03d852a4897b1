"""`analyze check --base` with real processes on a small model. Outcomes depend on a factor of four, never on speed."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from analyzer.core import lock
from analyzer.regression.paired.one_pair import measure_pair
from analyzer.regression.paired.pair_server_client import SCRIPT, Side, SideFailed, WorkerLost, start_sides
from tests.regression.paired.conftest import NET, git

ROOT = Path(__file__).parents[3]
BEFORE_LAYOUT_MOVE = "bb16499"  # Its modules have other paths than today's.
BUDGET = ("--time-budget", "300")  # Ten pairs settle the outcome; a slow machine has time for them.


# --- side processes --------------------------------------------------------------------------------------------------
@pytest.fixture
def sides(tmp_path: Path):
    """Base and head in one folder that has the model."""
    (tmp_path / "net.py").write_text(NET.format(layers=2), encoding="utf-8")
    processes = start_sides([Side("base", tmp_path), Side("head", tmp_path)])
    yield processes
    for process in processes:
        process.close()


@pytest.fixture
def append(tmp_path: Path):
    """`append(code)` adds code to the model's file."""

    def write(code: str) -> None:
        (tmp_path / "net.py").write_text(f"{NET.format(layers=2)}\nimport os, signal, sys, time\n{code}\n", "utf-8")

    return write


def start_worker(side, model: str = "net.py:Net", other_root: str = "", limit_s: float = 120) -> dict:
    command = {"do": "worker", "model": model, "seed": 1, "device": "cpu", "other_root": other_root, "inputs": [],
               "batch": 1}  # fmt: skip
    return side.request(command, limit_s)


@pytest.mark.slow
def test_a_worker_times_calls_and_returns_to_its_server(sides):
    base, head = sides
    assert base.group is head.group  # One process per Python.
    warm = start_worker(base)
    assert warm["event"] == "warm"
    assert warm["call_s"] > 0
    block = base.request({"do": "block", "calls": 3, "burst": 10}, 60)
    assert [len(block[key]) for key in ("device_ns", "wall_ns")] == [3, 3]
    assert min(block["device_ns"]) > 0
    assert base.request({"do": "end"}, 60) == {"event": "ended", "status": 0}
    assert start_worker(base, "nin")["event"] == "warm"


@pytest.mark.slow
def test_a_pair_of_real_workers(sides):
    pair = measure_pair(sides, ("net.py:Net", "net.py:Net"), random.Random(1))
    assert abs(pair.log_ratio) < math.log(4)
    assert pair.device_s(0) > 0


ADDRESSES = """
import json, time
from pathlib import Path


def recorded():
    net = Net()
    addresses = [parameter.data_ptr() for parameter in net.parameters()]
    if any(addresses):  # Not on meta.
        Path(f"{time.time_ns()}.json").write_text(json.dumps(addresses))
    return net


recorded_inputs = Net_inputs
"""


@pytest.mark.slow
def test_both_workers_of_a_pair_have_the_same_memory_layout_and_other_pairs_another(tmp_path):
    """The layout shifts times by several percent. Paths and files of different lengths must not affect it."""
    folders = tmp_path / "base", tmp_path / "a head in a folder with a longer name" / "project"
    for folder, comment in zip(folders, ("", "# Only in head.\n" * 200), strict=True):
        folder.mkdir(parents=True)
        (folder / "net.py").write_text(NET.format(layers=8) + ADDRESSES + comment, encoding="utf-8")
    sides = start_sides([Side(name, folder) for name, folder in zip(("base", "head"), folders, strict=True)])
    try:
        for seed in range(3):
            measure_pair(sides, ("net.py:recorded", "net.py:recorded"), random.Random(seed))
    finally:
        sides[0].close()
    base, head = ([json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))] for folder in folders)
    assert base == head
    assert len({tuple(addresses) for addresses in base}) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "missing"), [("net.py:Nothing", "Nothing"), ("gone.py:Net", "gone.py"), ("nowhere", "nowhere")]
)
def test_a_missing_model_is_reported(sides, model, missing):
    with pytest.raises(SideFailed, match=rf"^base: .*{missing}"):
        start_worker(sides[0], model)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["sys.exit(3)", "Net.forward = lambda self, x: sys.exit(3)"])
def test_a_model_that_calls_exit_is_reported(sides, append, code):
    append(code)
    with pytest.raises(SideFailed, match=r"base: .*SystemExit"):
        start_worker(sides[0])


@pytest.mark.slow
def test_a_worker_that_ends_early_is_lost(sides, append):
    append("os._exit(0)")
    with pytest.raises(WorkerLost, match="its worker ended early"):
        measure_pair(sides, ("net.py:Net", "net.py:Net"), random.Random(1))


@pytest.mark.slow
def test_a_killed_worker_is_lost_with_its_signal(sides, append):
    append("Net.forward = lambda self, x: os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(WorkerLost, match=r"base: .*signal 9"):
        start_worker(sides[0])


@pytest.mark.slow
def test_a_hung_worker_is_lost_and_close_kills_it(sides, append):
    append("Net.forward = lambda self, x: time.sleep(3600)")
    with pytest.raises(WorkerLost, match=r"base: .*3 s"):
        start_worker(sides[0], limit_s=3)
    replies = os.dup(sides[0].replies)
    sides[0].close()
    assert os.read(replies, 1) == b""  # No process holds the other end any more.
    os.close(replies)


def test_a_python_without_torch_is_reported(tmp_path):
    fake = tmp_path / "python"
    fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n', encoding="utf-8")
    fake.chmod(0o755)
    with pytest.raises((SideFailed, WorkerLost), match=r"base: .*torch"):
        start_sides([Side("base", tmp_path, python=str(fake)), Side("head", tmp_path)])


@pytest.mark.slow
def test_a_models_prints_and_reads_do_not_reach_the_channel(sides, append):
    append('print("hello")\nassert sys.stdin.read() == ""')
    assert start_worker(sides[0])["event"] == "warm"


@pytest.mark.slow
def test_a_models_modules_may_have_the_names_of_the_scripts(sides, append, tmp_path):
    for name in ("channel", "isolation", "timed_call"):
        (tmp_path / f"{name}.py").write_text("belongs_to_the_model = True\n", encoding="utf-8")
        append(f"import {name}\nassert {name}.belongs_to_the_model")
        assert start_worker(sides[0])["event"] == "warm"
        assert sides[0].request({"do": "end"}, 60)["status"] == 0


@pytest.mark.slow
def test_modules_of_the_other_side_are_named_but_not_the_script(sides, tmp_path):
    assert start_worker(sides[0], other_root=str(tmp_path))["foreign_modules"] == ["net"]
    assert sides[0].request({"do": "end"}, 60)["status"] == 0
    foreign = start_worker(sides[0], other_root=str(SCRIPT.parents[4]))["foreign_modules"]
    assert not {"__main__", "__mp_main__"} & set(foreign)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["nin", "net.py:Net"])
def test_a_commit_with_the_old_module_paths_can_be_timed(tmp_path, model):
    old = tmp_path / "old"
    old.mkdir()
    archive = subprocess.run(["git", "archive", BEFORE_LAYOUT_MOVE], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode == 0:
        subprocess.run(["tar", "-x", "-C", str(old)], input=archive.stdout, check=True)
    else:
        make_old_layout(old)
    for folder in (old, tmp_path):
        (folder / "net.py").write_text(NET.format(layers=2), encoding="utf-8")
    side = Side("base", old)
    processes = start_sides([side, side.replace(name="head")])
    try:
        warm = start_worker(processes[0], model, other_root=str(ROOT))
        assert warm["event"] == "warm"
        assert warm["foreign_modules"] == []  # Everything came from the old commit.
    finally:
        processes[0].close()


def make_old_layout(folder: Path) -> None:
    """A minimal `analyzer` with the module paths of the old layout, for a checkout without history."""
    files = {
        "__init__": "",
        "networks": "VARIANTS = {'nin': None}",
        "models": "from types import SimpleNamespace as S\n"
        "variants = lambda names: [S(overrides={}, network=S(input=(4,)))]",
        "builder": "from torch import nn\nbuild = lambda name, overrides: nn.Linear(4, 4)",
        "references": "import importlib, torch\n"
        "def resolve(reference):\n"
        "    module = importlib.import_module(reference.split('.')[0])\n"
        "    return reference, module.Net(), module.Net_inputs(), {}, module.Net",
    }
    (folder / "analyzer").mkdir()
    for name, text in files.items():
        (folder / "analyzer" / f"{name}.py").write_text(text, encoding="utf-8")


# --- the command -----------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_more_layers_regress_and_fewer_improve(commit, analyze, tmp_path, temporary):
    before = commit(layers=10)
    after = commit(layers=40)
    done = analyze("check", "--base", before, "--format", "json", "--junit", "out.xml", *BUDGET)
    data = json.loads(done.out)
    assert done.status == 1, done.err
    (change,) = data["changes"]
    assert (change["model"], change["path"], change["metric"]) == ("net.py:Net", "total", "cpu_time")
    assert change["outcome"] == "regressed"
    assert 1.01 < change["low"] < change["ratio"] < change["high"]
    assert data["base"].startswith(before)
    (times,) = data["times"]
    assert times["pairs"]["generations"] != times["confirmation"]["generations"]
    added = {(entry["path"], entry["before"]) for entry in times["counts"] if entry["metric"] == "macs"}
    assert ("layers.39", None) in added
    assert ("layers.9", None) not in added
    modules = {module["path"]: module["base_s"] for module in times["modules"]}
    assert modules["layers.39"] is None
    assert modules.get("layers.9", 1.0) is not None
    failure = Xml.parse(tmp_path / "out.xml").getroot().find(".//testcase/failure")
    assert failure is not None
    assert "regressed" in failure.get("message", "")
    git(tmp_path, "checkout", "--quiet", before)
    done = analyze("check", "--base", after, *BUDGET)
    assert done.status == 0, done.err
    assert "1 improved" in done.out
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_self_test_never_fails(commit, analyze):
    commit()
    done = analyze("check", "--self-test", "--time-budget", "2")
    assert done.status == 0, done.err
    assert "detectable" in done.out
    assert "net.py:Net" in done.out


def test_a_missing_ref_is_refused_without_waiting_for_another_timing(commit, analyze, monkeypatch):
    commit()
    monkeypatch.setattr(lock, "timing_lock", lambda **options: pytest.fail("it waits"))
    done = analyze("check", "--base", "nowhere")
    assert done.status == 2
    assert "no commit 'nowhere'" in done.err


@pytest.mark.slow
def test_a_new_model_passes(commit, analyze, monkeypatch, tmp_path):
    before = commit(layers=None, other="")
    commit(layers=4)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = analyze("check", "--base", before, "--format", "json")
    assert done.status == 0
    data = json.loads(done.out)
    assert (data["status"], data["changes"][0]["outcome"]) == ("ok", "incomparable")
    assert data["times"][0]["reason"].startswith("base: no file net.py")
    assert "::error" not in done.err
    assert "1 new" in (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert analyze("check", "--base", before, "--strict").status == 3


@pytest.mark.slow
def test_a_removed_model_passes_and_a_misspelt_one_does_not(commit, analyze, tmp_path):
    before = commit(layers=4)
    (tmp_path / "net.py").unlink()
    commit(layers=None, other="")
    done = analyze("check", "--base", before)
    assert done.status == 0
    assert "1 removed" in done.out
    assert analyze("check", "--base", before, "--model", "net.py:Nett").status == 3


@pytest.mark.slow
def test_uncommitted_changes_are_timed_with_a_note(commit, analyze, tmp_path):
    commit()
    (tmp_path / "net.py").write_text("raise ValueError('uncommitted')\n", encoding="utf-8")
    done = analyze("check", "--base", "main")
    assert "1 uncommitted change" in done.err
    assert done.status == 3
    assert "head: net.py:Net raised ValueError: uncommitted" in done.out.replace("\n", " ")


@pytest.mark.slow
def test_a_terminated_check_leaves_nothing(commit, analyze, monkeypatch, temporary):
    commit()
    started = []

    def terminate(processes, *arguments, **settings):
        started.extend(processes.get())
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("analyzer.cli.jobs.check.paired.collect_pairs", terminate)
    assert analyze("check", "--base", "main").status == 130
    assert [side.group.process.returncode for side in started] == [-signal.SIGKILL] * 2
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "status", "noun"),
    [
        (("--base", "main", "--update"), 2, "--update applies only to counts"),
        (("--base", "main", "--tolerance", "0.1"), 2, "--tolerance applies only to counts"),
        (("--base", "main", "--baseline", "b.json"), 2, "--baseline applies only to counts"),
        (("--time-budget", "5"), 2, "--time-budget applies only to time checks"),
        (("--device", "cuda"), 2, "--device applies only to time checks"),
        (("--self-test", "--device", "tpu"), 2, "'tpu'"),
        (("--base-python", "nowhere/python"), 3, "'nowhere/python'"),
    ],
)
def test_bad_options_are_refused(project, analyze, options, status, noun):
    project()
    done = analyze("check", *options)
    assert (done.status, done.out) == (status, "")
    assert noun in done.err
