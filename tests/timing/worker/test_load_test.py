"""Open-loop arrivals: latency counts from the scheduled arrival, whether or not the server was free."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.timing.load_options import LatencyLimit, parse_limit, parse_load
from analyzer.timing.worker.load_test import MIN_REQUESTS, latencies, load_rows, probes
from tests.timing.simulated import ManualClock


class Scheduled(random.Random):
    """Arrivals at fixed intervals."""

    def __init__(self, *gaps):
        super().__init__(0)
        self.gaps = list(gaps)

    def expovariate(self, rate):
        return self.gaps.pop(0) if self.gaps else 1e9


@pytest.fixture
def clock():
    return ManualClock()


def serve(clock, service_s, order, rate=1.0):
    def now():
        clock.advance(1e-6)  # Waiting for an arrival reads the clock until it is reached.
        return clock.now()

    return latencies(lambda: clock.advance(service_s), rate, order, now=now, sleep=clock.advance)


def test_a_request_waits_for_those_before_it(clock):
    """Arrivals at 1.0, 1.1 and 5.0 s, each served in 0.5 s: the second waits for 0.4 s."""
    taken = serve(clock, 0.5, Scheduled(1.0, 0.1, 3.9))
    assert taken == pytest.approx([0.5, 0.9, 0.5], abs=1e-3)


def test_latencies_agree_with_queueing_theory():
    """M/D/1 at a utilization of 0.5: a wait of 0.5 / (2 · 0.5) service times (Pollaczek and Khinchine)."""
    taken = []
    for seed in range(40):
        taken += serve(ManualClock(), 0.01, random.Random(seed), rate=50.0)
    assert fmean(taken) == pytest.approx(0.015, rel=0.05)
    assert len(taken) == pytest.approx(40 * MIN_REQUESTS, rel=0.05)


def test_an_overload_ends(clock):
    """A hundred requests a second that take 1 s each: the test ends after twice its 3 s."""
    assert len(serve(clock, 1.0, random.Random(0), rate=100.0)) in (6, 7)


def test_probes_close_in_on_the_highest_load(monkeypatch):
    """The limit breaks from 60 requests per second on."""
    monkeypatch.setattr(
        "analyzer.timing.worker.load_test.latencies", lambda serve, rate, order: [0.01 if rate < 60 else 0.5] * 10
    )
    found = probes(lambda: None, 0.01, LatencyLimit("p99", 0.05), random.Random(0))
    kept = max(rate for rate, taken in found if taken[0] < 0.05)
    broken = min(rate for rate, taken in found if taken[0] > 0.05)
    assert kept < 60 <= broken
    assert broken - kept < 2
    rows = load_rows(lambda: None, 0.01, [50.0], None, random.Random(0))
    assert [(row[1], row[3], row[4]) for row in rows] == [("50/s", "latency", "pass")]


@pytest.mark.parametrize(("text", "rate"), [("50/s", 50.0), ("50", 50.0), ("3000/min", 50.0), (" 0.5/s ", 0.5)])
def test_loads(text, rate):
    assert parse_load(text) == rate


@pytest.mark.parametrize("text", ["", "0/s", "-1/s", "nan", "50/h", "1.2.3/s", "1e9/s", "9" * 5000])
def test_bad_loads_are_refused(text):
    with pytest.raises(AnalyzerError, match="wanted requests per second"):
        parse_load(text)


def test_limits():
    assert parse_limit("p99=50ms") == LatencyLimit("p99", 0.05)
    assert parse_limit("p50 = 2s").share == 0.5
    for text in ("p99", "p42=1s", "p99=0ms", "p99=1.2.3s", "p99=50"):
        with pytest.raises(AnalyzerError, match="wanted a percentile"):
            parse_limit(text)
