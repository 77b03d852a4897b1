"""What samples say: intervals of medians and of parts, processes drawn first."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest

from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing import statistics
from analyzer.timing.statistics import bootstrap, doubts, interval


def timing(samples, processes=(), op="", kind="whole"):
    return Timing("", op, 1, kind, "pass", tuple(samples), "trusted", "", tuple(processes))


def test_of_one_process_only_its_own_scatter_is_known():
    """Of three draws of 1, 2 and 3 the median is 1 or 3 in 7 of 27 cases each, and else 2: its standard deviation is
    the root of 14/27, 0.72 s. Student's t of three is 4.30, times the root of 3/2: 2 ± 3.79."""
    assert interval(timing([1.0] * 4, (4,))) == (1.0, 1.0)
    low, high = interval(timing([1.0, 2.0, 3.0], (3,)))
    assert (low, high) == (pytest.approx(-1.79, rel=0.05), pytest.approx(5.79, rel=0.03))
    assert interval(timing([1.0], (1,))) == (-inf, inf)  # Nothing is known of how far it may be off.


def test_processes_that_lie_apart_are_what_is_unsure():
    """Of two draws of two, both are the same one half of the time: medians are 1, 1.5, 1.5 and 2, which scatter by the
    root of 1/8, 0.354 s. Student's t of two is 12.7, times the root of 2: 1.5 ± 6.35. Where processes are the same,
    however their samples scatter, nothing is unsure."""
    low, high = interval(timing([1.0] * 50 + [2.0] * 50, (50, 50)))
    assert (low, high) == (pytest.approx(1.5 - 6.35, rel=0.05), pytest.approx(1.5 + 6.35, rel=0.03))
    assert interval(timing([1.0, 2.0] * 50, (50, 50))) == (1.5, 1.5)


def test_memory_does_not_grow_with_the_samples(monkeypatch):
    """Resamples come in blocks, and the interval is the same whatever their size."""
    one = timing(np.random.default_rng(1).normal(1.0, 0.1, 500), (200, 300))
    all_at_once = interval(one)
    monkeypatch.setattr(statistics, "BLOCK", 700)
    assert next(statistics.draws((200, 300))).shape == (1, 500)
    assert interval(one) == all_at_once


def test_samples_that_do_not_add_up_are_no_samples_of_processes():
    for sizes in ((1, 1), (5, 5), (5, -2)):
        with pytest.raises(ValueError, match="3 samples of processes with"):
            interval(timing([1.0, 2.0, 3.0], sizes))
        with pytest.raises(ValueError, match="3 samples of processes with"):
            doubts(cut([1.0] * 3, [1.0] * 3, sizes))


def cut(conv, gap, processes):
    return Measurement(
        Configuration(), (timing(conv, processes, "conv2d", "tile"), timing(gap, processes, "gap", "gap"))
    )


def test_a_part_is_as_sure_as_its_processes_agree_on_it():
    """Eight passes of one length, so that the middle half is passes 2 to 5, two of each process: 1 s and 3 s of conv,
    and the gap takes the rest. The mean is 1, 2, 2 or 3 s by which processes are drawn, which scatters by the root of
    1/2, and 17.97 times that is what is unsure of two; of both parts together, 4 s, nothing is."""
    made = cut([1.0] * 4 + [3.0] * 4, [3.0] * 4 + [1.0] * 4, (4, 4))
    assert list(made.middle) == [2, 3, 4, 5]
    conv, gap = made.parts
    assert made.parts[conv] == 2.0
    doubt = doubts(made)
    assert doubt([conv]) == pytest.approx(doubt([gap])) == pytest.approx(17.97 * 0.5**0.5, rel=0.03)
    assert doubt([conv, gap]) == pytest.approx(0.0, abs=1e-12)
    assert doubt([]) is None


def test_parts_that_agree_are_sure_and_one_pass_says_nothing():
    made = cut([1.0] * 8, [0.5] * 8, (3, 5))
    assert doubts(made)(list(made.parts)) == pytest.approx(0.0, abs=1e-12)
    alone = cut([1.0], [0.5], (1,))
    assert doubts(alone)(list(alone.parts)) is None
    assert doubts(Measurement(Configuration()))([]) is None


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Processes of six samples, drawn 300 times: the true median and mean are 1, and 95 % of intervals hold it.
    Fewer than 276 of 300 is what chance does of those twice in 100. Drawn of samples too, intervals are too wide where
    these scatter most. Of three processes quantiles of resamples would hold it 225 times, of two 150."""
    draw = np.random.default_rng(0)
    for count, between, within in ((10, 0.05, 0.02), (10, 0.01, 0.05), (3, 0.05, 0.02), (2, 0.02, 0.02)):
        held = dict.fromkeys(("median", "mean"), 0)
        for _ in range(300):
            lots = 1 + between * draw.normal(size=(count, 1)) + within * draw.normal(size=(count, 6))
            low, high = bootstrap(list(lots))
            held["median"] += low <= 1 <= high
            made = cut(lots.ravel(), [0.0] * lots.size, (6,) * count)
            conv, _ = made.parts
            held["mean"] += abs(made.parts[conv] - 1) <= doubts(made)([conv])
        assert min(held.values()) >= 276, held
    assert max(held.values()) <= 297, held
