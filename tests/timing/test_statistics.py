"""What samples say: intervals of medians and of parts, processes drawn first."""

from __future__ import annotations

import numpy as np
import pytest

from analyzer.timing.statistics import bootstrap, doubts, interval
from analyzer.timings import Cell, Setting, Timing


def timing(samples, processes=(), op="", kind="whole"):
    return Timing("", op, 1, kind, "pass", tuple(samples), "trusted", "", tuple(processes))


def test_of_one_process_only_its_own_scatter_is_known():
    assert interval(timing([1.0] * 4, (4,))) == (1.0, 1.0)
    low, high = interval(timing([1.0, 2.0, 3.0], (3,)))
    assert (low, high) == (1.0, 3.0)  # All three draws are the lowest once in 27.


def test_processes_that_lie_apart_are_what_is_unsure():
    """Of two, both draws are the same one half of the time: all of what lies between them is in the interval."""
    assert interval(timing([1.0] * 50 + [2.0] * 50, (50, 50))) == (1.0, 2.0)
    low, high = interval(timing([1.0, 2.0] * 50, (50, 50)))
    assert 1.0 <= low <= high <= 2.0


def cut(conv, gap, processes):
    return Cell(Setting(), (timing(conv, processes, "conv2d", "tile"), timing(gap, processes, "gap", "gap")))


def test_a_part_is_as_sure_as_its_processes_agree_on_it():
    """Eight passes of one length, so that the middle half is passes 2 to 5, two of each process: 1 s and 3 s of conv,
    and the gap takes the rest. The mean is 1, 2 or 3 s by which processes are drawn; of both parts together 4 s."""
    made = cut([1.0] * 4 + [3.0] * 4, [3.0] * 4 + [1.0] * 4, (4, 4))
    assert list(made.middle) == [2, 3, 4, 5]
    conv, gap = made.parts
    assert made.parts[conv] == 2.0
    doubt = doubts(made)
    assert doubt([conv]) == doubt([gap]) == pytest.approx(1.0)
    assert doubt([conv, gap]) == pytest.approx(0.0, abs=1e-12)
    assert doubt([]) is None


def test_parts_that_agree_are_sure_and_one_pass_says_nothing():
    made = cut([1.0] * 8, [0.5] * 8, (3, 5))
    assert doubts(made)(list(made.parts)) == pytest.approx(0.0, abs=1e-12)
    alone = cut([1.0], [0.5], (1,))
    assert doubts(alone)(list(alone.parts)) is None
    assert doubts(Cell(Setting()))([]) is None


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Ten processes of six samples, drawn 300 times: the true median and mean are 1, and 95 % of intervals hold it.
    Fewer than 276 of 300 is what chance does of those twice in 100. Drawn of samples too, intervals are too wide where
    these scatter most (299 of 300); of the 2.5 and 97.5 % of resamples, those of the mean are too narrow (275)."""
    draw = np.random.default_rng(0)
    for between, within in ((0.05, 0.02), (0.01, 0.05)):
        held = dict.fromkeys(("median", "mean"), 0)
        for _ in range(300):
            lots = 1 + between * draw.normal(size=(10, 1)) + within * draw.normal(size=(10, 6))
            low, high = bootstrap(list(lots))
            held["median"] += low <= 1 <= high
            made = cut(lots.ravel(), [0.0] * 60, (6,) * 10)
            conv, _ = made.parts
            held["mean"] += abs(made.parts[conv] - 1) <= doubts(made)([conv])
        assert min(held.values()) >= 276, held
    assert max(held.values()) <= 297, held
