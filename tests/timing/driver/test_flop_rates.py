"""FLOP/s that no machine reaches, or of operators that did not run, are left out with the reason."""

from __future__ import annotations

import pytest

from analyzer.timing.driver import flop_rates
from analyzer.timing.driver.flop_rates import missing_rate_reason
from analyzer.worker.reply import Reply
from tests.timing.pretended import timed


def reason(record, ran_macs=None):
    return missing_rate_reason(record, [Reply(({"event": "done", "ran_macs": ran_macs},), "done")])


@pytest.fixture
def record(googlenet):
    """10 ms with AVX2 on one thread: 316 GFLOP/s of direct convolution; the limit is 32 · 6.5 GHz = 208."""
    return timed(googlenet).replace(environment={"processor": {"flags": ["avx2"]}})


def test_rates_that_instructions_do_not_allow(record):
    assert "limit of 1 thread" in reason(record)
    assert "another branch" in reason(record)
    assert reason(record.replace(environment={"processor": {"flags": ["avx512f"]}})) == ""
    assert reason(record.replace(environment={"processor": {"flags": ["avx512f", "amx_tile"]}})) == ""
    assert reason(record.replace(environment={})) == ""
    slow = timed(record, seconds=0.1).replace(environment=record.environment)
    assert reason(slow) == ""


def test_rates_above_the_measured_peak(record, monkeypatch):
    record = record.replace(environment={"processor": {"flags": ["avx512f"]}})
    peak = {"unit": "FLOP", "threads": 1, "quality": "trusted"}
    memory = {"name": "copy memory", "unit": "B", "threads": 1, "value": 2e10, "quality": "trusted"}
    for gflops, blank in ((90.0, True), (300.0, False)):
        peaks = [{**peak, "name": "float32", "value": gflops * 1e9}, memory]
        monkeypatch.setattr(flop_rates, "load_peaks", lambda environment, peaks=peaks: peaks)
        assert ("measured peak" in reason(record)) == blank


def test_another_branch_than_the_counted(record):
    slow = timed(record, seconds=0.1)
    assert reason(slow, ran_macs=slow.totals.macs) == ""
    assert reason(slow, ran_macs=None) == ""
    assert "with 1.000 k MACs for" in reason(slow, ran_macs=1000)
    changed = slow.measurement.replace(warnings=("not instrumented: operators change",))
    assert "operators change" in reason(slow.replace(measurement=changed), ran_macs=slow.totals.macs)
