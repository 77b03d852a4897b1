from __future__ import annotations

import pytest
from torch import nn

from analyzer.timing.clock.clocks import HostClock
from analyzer.timing.passes.sample_length import MAX_REPEATS, passes_per_sample, warm_up_samples
from analyzer.timing.passes.timed_pass import Pass


@pytest.mark.parametrize(
    ("pass_s", "passes"), [(1.0, 1), (250e-6, 1), (200e-6, 2), (14e-6, 18), (1e-9, MAX_REPEATS), (0, MAX_REPEATS)]
)
def test_short_passes_are_joined_to_samples(pass_s, passes):
    assert passes_per_sample(pass_s) == passes


@pytest.mark.parametrize(
    ("pass_s", "samples"),  # 8 ms of them, none from 5 ms on; 4 passes of 70 µs are a sample, and 18 of 14 µs.
    [(1.0, 0), (5e-3, 0), (4.9e-3, 2), (1e-3, 8), (70e-6, 29), (14e-6, 32), (0, 32)],
)
def test_dropped_samples_precede_the_sample_of_a_short_pass(pass_s, samples):
    assert warm_up_samples(pass_s) == samples


def test_the_clock_is_read_after_each_dropped_sample():
    """A clock that nothing has read for milliseconds takes microseconds to read."""
    events = []

    def nanoseconds():
        events.append("clock")
        return 1000 * len(events)

    one_pass = Pass(lambda: events.append("pass"), nn.Identity(), [], HostClock(nanoseconds))
    one_pass.repeats, one_pass.warm_ups = 2, 2
    one_pass.uninstrumented()
    assert events == ["clock", "pass", "pass", "clock"] * 3
    assert one_pass.made == one_pass.passes == 6
