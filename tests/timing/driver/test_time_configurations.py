"""`analyzer.measure`: bad arguments are refused before anything runs, and interrupts propagate."""

from __future__ import annotations

from functools import partial

import pytest

from analyzer.cli.commands.time import DTYPES, LAYOUTS
from analyzer.core import lock
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.records.record import Record
from analyzer.records.rows import Count
from analyzer.records.timings import Configuration
from analyzer.timing.driver import api
from analyzer.timing.driver import time_configurations as module
from analyzer.timing.driver.api import measure
from analyzer.timing.driver.time_configurations import _batch_notes, build_requests


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float31"}, "unknown dtype 'float31'.*float32"),
        ({"dtype": ["float32"]}, "unknown dtype"),
        ({"layout": "diagonal"}, "unknown layout 'diagonal'.*channels_last"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"device": None}, "unknown device 'None'"),
        ({"batch": 0}, "batch is 0"),
        ({"batch": "8"}, "batch is '8'"),
        ({"batch": None}, "batch is None"),
        ({"threads": -1}, "threads is -1"),
        ({"processes": 0}, "processes is 0"),
        ({"budget_s": -1.0}, "budget_s is -1.0"),
        ({"budget_s": float("inf")}, "budget_s is inf"),
        ({"budget_s": True}, "budget_s is True"),
        ({"train": "no"}, "train is 'no'"),
        ({"kernel": True}, "unknown option 'kernel'.* input, batch, .*, kernels, replay, trace"),
        ({"compile": True, "replay": True}, "replay .* compilation"),
        ({"input": 3}, "input is 3"),
        ({"input": "3x0x3"}, "at least 1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(options, message):
    with pytest.raises(AnalyzerError, match=message):
        measure("nin", **options)


def test_a_module_without_an_input_and_a_class_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(AnalyzerError, match="needs an input"):
        measure(torch.nn.ReLU())
    with pytest.raises(AnalyzerError, match="wanted a name, a reference or an nn"):
        measure(torch.nn.ReLU)


def test_an_interrupt_propagates(monkeypatch):
    monkeypatch.setattr(api, "time_requests", lambda requests, processes: module.TimedRun((), complete=False))
    with pytest.raises(KeyboardInterrupt):
        measure("nin", input="3x64x64")


def test_a_timing_waits_for_another_one_of_this_machine(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(api, "timing_lock", partial(lock.timing_lock, max_wait=2 * lock.POLL_S))
    monkeypatch.setattr(api, "time_requests", lambda requests, processes: pytest.fail("it does not wait"))
    with lock.timing_lock(), pytest.raises(CannotMeasure, match="another timing has held the lock"):
        measure("nin", input="3x64x64")
    assert "waiting" in caplog.text


def test_the_command_has_the_same_dtypes_and_layouts():
    assert set(DTYPES) == set(module.ITEM_BYTES)
    assert LAYOUTS == module.LAYOUTS


def test_requests_are_every_combination_with_the_batch_slowest():
    requests = build_requests(
        [], ["net.py:Net"], [], batches=[1, 8], threads=[2], dtypes=["float32", "bfloat16"], flushed=True
    )
    configurations = [request.configuration for request in requests]
    assert [(configuration.batch, configuration.dtype) for configuration in configurations] == [
        (1, "float32"), (1, "bfloat16"), (8, "float32"), (8, "bfloat16")
    ]  # fmt: skip
    assert {(configuration.threads, configuration.flushed) for configuration in configurations} == {(2, True)}


@pytest.mark.parametrize(("processes", "budget_s", "min_samples"), [(None, 2.0, 2), (1, 20.0, 5), (4, 5.0, 4)])
def test_processes_share_the_budget_and_at_least_fifteen_samples(processes, budget_s, min_samples):
    (request,) = build_requests([], ["net.py:Net"], [], budget_s=20.0, processes=processes)
    assert (request.budget_s, request.min_samples) == (budget_s, min_samples)


@pytest.mark.parametrize(
    ("shapes", "batch", "notes"), [(((4, 64),), 4, 0), (((), (3, 4, 5)), 3, 0), (((4, 64),), 1, 1), ((), 1, 0)]
)
def test_an_input_of_another_batch_gets_a_note(shapes, batch, notes):
    record = Record("net.py:Net", shapes, "inference", Count("dispatch", ()))
    made = _batch_notes(record, Configuration(batch=batch))
    assert len(made) == notes
    assert all("4x64" in note for note in made)
