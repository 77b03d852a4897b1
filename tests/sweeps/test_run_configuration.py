"""One configuration: its record, or the reason why there is none. Timed configurations never overlap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import analyzer
from analyzer.core.errors import CannotMeasure
from analyzer.database.result_rows import decode
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps import run_configuration as module
from analyzer.sweeps.run_configuration import Limits, execute
from analyzer.worker import client

NET = Path(__file__).with_name("net.py")


@pytest.fixture
def net(project: Path) -> str:
    shutil.copy(NET, project / "net.py")
    yield "net.py:Net"
    client.close()


def test_counts_are_those_of_count():
    configuration = Configuration(batch=4, mode="training")
    case = Case("googlenet", {"inception_4a.reduce_5x5": 32}, ("3x112x112",), configuration)
    result = decode(execute(case, key="k", run="r"))
    direct = analyzer.count("googlenet", input="3x112x112", batch=4, train=True, overrides=case.overrides)
    assert (result.status, result.key, result.run, result.record) == ("ok", "k", "r", direct)
    assert result.started <= result.ended


def test_memory_is_that_of_count():
    result = decode(execute(Case("nin", measure=("counts", "memory")), key="k"))
    assert result.record.memory == analyzer.count("nin", memory=True).memory


def test_bad_input_is_a_failed_result_without_another_attempt():
    result = decode(execute(Case("nin", inputs=("3x8x8",)), key="k", retries=5))
    assert (result.status, result.attempts, result.record) == ("failed", 1, None)
    assert "does not fit" in result.reason


def test_a_failure_is_tried_again(monkeypatch):
    outcomes = iter([CannotMeasure("busy"), CannotMeasure("busy"), analyzer.count("nin")])

    def attempt(case, limit_s):
        outcome = next(outcomes)
        if isinstance(outcome, CannotMeasure):
            raise outcome
        return outcome

    monkeypatch.setattr(module, "_counted", attempt)
    result = decode(execute(Case("nin"), key="k", retries=2))
    assert (result.status, result.attempts) == ("ok", 3)


def test_a_defect_of_ours_ends_no_sweep(monkeypatch):
    def fail(case, limit_s):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(module, "_counted", fail)
    result = decode(execute(Case("nin"), key="k"))
    assert (result.status, result.reason) == ("failed", "defect in macscope: ZeroDivisionError: ours")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "limits", "reason"),
    [
        ("raise", Limits(), "this model is broken"),
        ("exit", Limits(), "ended with status 3"),
        ("hang", Limits(time_s=1.0), "did not end within 1 s"),
    ],
)
def test_a_model_that_fails_is_a_result(net, failure, limits, reason):
    case = Case(f"{net}('{failure}')", inputs=("8",))
    result = decode(execute(case, key="k", limits=limits))
    assert result.status == "failed"
    assert reason in result.reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "limits", "reason"),
    [
        ("", Limits(), ""),
        ("memory", Limits(memory_bytes=4 << 30), "out of memory at batch 2"),
        ("hang", Limits(time_s=4.0), "time limit of 4.000 s"),
    ],
)
def test_times_in_fresh_processes_within_limits(net, failure, limits, reason):
    configuration = Configuration(batch=2)
    name = f"{net}('{failure}')"
    case = Case(name, {}, ("8",), configuration, ("counts", "memory", "time"), budget_s=0.2, processes=1)
    result = decode(execute(case, key="k", limits=limits))
    assert reason in result.reason
    assert (result.status == "ok") == (not failure)
    if not failure:
        assert result.record.measurement.pass_timing.median_s > 0
        assert result.record.totals.macs == 2 * 8 * 4
        assert result.record.memory.parameters == 4 * (8 * 4 + 4)


TIMER = """
import sys, time
import analyzer
from analyzer.sweeps import run_configuration
from analyzer.records.sweep_result import Case
record = analyzer.count("nin")
def attempt(case, *others):
    time.sleep(0.002)
    return record
run_configuration._timed = attempt
for number in range(50):
    row = run_configuration.execute(Case("nin", measure=("time",)), key=str(number))
    print(row["started"], row["ended"])
"""


@pytest.mark.slow
def test_200_timed_configurations_of_four_processes_never_overlap():
    command = [sys.executable, "-c", TIMER]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    lines = [line.split() for process in processes for line in process.communicate(timeout=120)[0].splitlines()]
    assert len(lines) == 200
    assert sum(later[0] < earlier[1] for earlier, later in pairwise(sorted(lines))) == 0
