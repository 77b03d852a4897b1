"""Samples: taken until steady, in random order, within a budget; disturbed ones are repeated. No real time passes."""

from __future__ import annotations

import gc
import random
from collections import Counter

import pytest

from analyzer.timing.clock.sampling import StopSampling, garbage_collection_paused, sample_interleaved, warm_up
from tests.timing.simulated import FakeWatch, ManualClock


def passes(clock: ManualClock, times):
    iterator = iter(times)

    def run() -> float:
        seconds = next(iterator)
        clock.advance(seconds)
        return seconds

    return run


def test_warm_up_runs_until_two_windows_agree():
    clock = ManualClock()
    # Ten slow passes that get faster, then steady: the last window of five must be within 2 % of the one before.
    times = [2.0 - 0.1 * n for n in range(10)] + [1.0] * 50
    assert warm_up(passes(clock, times), clock.now, budget_s=1000) == tuple(times[:18])


def test_warm_up_ends_with_the_budget_but_runs_three_passes():
    clock = ManualClock()
    assert len(warm_up(passes(clock, [float(n) for n in range(1, 99)]), clock.now, budget_s=12)) == 5  # 1+2+3+4+5 ≥ 12
    assert len(warm_up(passes(ManualClock(), [9.0] * 9), clock.now, budget_s=0)) == 3


def sampled(budget_s=1000.0, min_samples=2, max_samples=7, watch=None, seed=0, **measurements):
    clock = ManualClock()

    def second():
        clock.advance(1.0)
        return 1.0

    return list(
        sample_interleaved(
            measurements or {"pass": second, "instrumented": second}, clock.now, watch or FakeWatch(),
            budget_s=budget_s, min_samples=min_samples, max_samples=max_samples, order=random.Random(seed),
        )
    )  # fmt: skip


def counted(samples):
    return Counter(sample.measurement for sample in samples)


def test_each_measurement_is_sampled_once_a_round_up_to_the_maximum():
    assert counted(sampled(max_samples=7)) == {"pass": 7, "instrumented": 7}


def test_the_order_is_drawn_in_each_round():
    first, other = ([sample.measurement for sample in sampled(max_samples=40, seed=seed)][::2] for seed in (0, 1))
    assert set(first) == {"pass", "instrumented"}
    assert first != other


def test_the_budget_ends_sampling_after_the_minimum():
    assert len(sampled(9.5, max_samples=100)) == 10  # Five rounds of two seconds: the fifth began in time.
    assert len(sampled(0.0, min_samples=3, max_samples=100)) == 6


def test_disturbed_samples_are_yielded_and_repeated():
    samples = sampled(max_samples=5, watch=FakeWatch("busy", "busy", "busy"))
    assert sum(sample.disturbance is not None for sample in samples) == 3
    assert min(counted(sample for sample in samples if sample.disturbance is None).values()) == 5


def test_a_measurement_that_stops_is_left_out():
    def stop_after(count):
        values = iter(range(count))

        def measurement():
            if next(values, None) is None:
                raise StopSampling
            return 1.0

        return measurement

    endless = {"pass": lambda: 1.0, "instrumented": stop_after(2)}
    assert counted(sampled(max_samples=6, **endless)) == {"pass": 6, "instrumented": 2}
    assert counted(sampled(max_samples=6, instrumented=stop_after(0))) == {}


def test_garbage_collection_pauses_and_resumes():
    enabled = []

    def interrupted() -> None:
        with garbage_collection_paused():
            enabled.append(gc.isenabled())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert enabled == [False]
    assert gc.isenabled()
