"""Confidence intervals of medians and of operator times, by resampling processes."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest

from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing import statistics
from analyzer.timing.statistics import (
    Median,
    bootstrap_median,
    confidence_interval,
    critical_value,
    interval_half_width,
    median_ratio_interval,
    ratio_interval,
)

T_2, T_3 = 12.706, 4.303  # 97.5 % quantiles of Student's t with 1 and 2 degrees of freedom.


def timing(samples, processes=(), op="", kind="pass"):
    return Timing("", op, 1, kind, "pass", tuple(samples), "trusted", "", tuple(processes))


def measurement(conv, overhead, processes):
    operators = timing(conv, processes, "conv2d", "operator"), timing(overhead, processes, "overhead", "overhead")
    return Measurement(Configuration(), operators)


def test_a_single_process_gives_the_interval_of_its_own_samples():
    """The median of three draws of 1, 2 and 3 is 1 or 3 in 7 of 27 cases each, else 2: its variance is 14/27."""
    assert confidence_interval(timing([1.0] * 4, (4,))) == (1.0, 1.0)
    half_width = T_3 * sqrt(3 / 2) * sqrt(14 / 27)
    low, high = confidence_interval(timing([1.0, 2.0, 3.0], (3,)))
    assert (2 - low, high - 2) == (pytest.approx(half_width, rel=0.03), pytest.approx(half_width, rel=0.03))
    assert confidence_interval(timing([1.0], (1,))) == (-inf, inf)


def test_processes_are_resampled_and_not_their_samples():
    """Two draws of two processes, at 1 and 2 s: the median is 1, 1.5, 1.5 or 2, of variance 1/8. Processes that agree
    have an interval of zero width, however their samples spread."""
    low, high = confidence_interval(timing([1.0] * 50 + [2.0] * 50, (50, 50)))
    half_width = T_2 * sqrt(2) * sqrt(1 / 8)
    assert (1.5 - low, high - 1.5) == (pytest.approx(half_width, rel=0.03), pytest.approx(half_width, rel=0.03))
    assert confidence_interval(timing([1.0, 2.0] * 50, (50, 50))) == (1.5, 1.5)


def test_the_critical_value_is_that_of_students_t():
    assert critical_value((6, 6)) == pytest.approx(T_2 * sqrt(2), rel=1e-3)
    assert critical_value((3,)) == pytest.approx(T_3 * sqrt(3 / 2), rel=1e-3)
    assert critical_value((1,)) == inf


def test_equal_resamples_are_computed_once():
    """Of two processes there are three: the first twice, both, and the second twice."""
    counts = np.concatenate(list(statistics.resample_counts((2, 3))))
    distinct, positions = statistics.distinct_resamples(counts, (2, 3))
    assert sorted(map(tuple, distinct.tolist())) == [(0, 0, 2, 2, 2), (1, 1, 1, 1, 1), (2, 2, 0, 0, 0)]
    assert (distinct[positions] == counts).all()


def test_resamples_come_in_blocks_of_bounded_size(monkeypatch):
    two_processes = timing(np.random.default_rng(1).normal(1.0, 0.1, 500), (200, 300))
    in_one_block = confidence_interval(two_processes)
    monkeypatch.setattr(statistics, "BLOCK", 700)
    assert next(statistics.resample_counts((200, 300))).shape == (1, 500)
    assert confidence_interval(two_processes) == in_one_block


@pytest.mark.parametrize("sizes", [(1, 1), (5, 5), (5, -2)])
def test_process_counts_that_do_not_add_up_are_refused(sizes):
    with pytest.raises(ValueError, match="3 samples"):
        confidence_interval(timing([1.0, 2.0, 3.0], sizes))
    with pytest.raises(ValueError, match="3 samples"):
        interval_half_width(measurement([1.0] * 3, [1.0] * 3, sizes))


def test_the_half_width_of_an_operator_is_that_of_its_interquartile_mean():
    """Eight passes of equal duration, so the interquartile ones are 2 to 5, two of each process: 1 s and 3 s of conv2d.
    Resampled means are 1, 2, 2 and 3 s, of variance 1/2; the sum with the overhead is always 4 s."""
    measured = measurement([1.0] * 4 + [3.0] * 4, [3.0] * 4 + [1.0] * 4, (4, 4))
    assert list(measured.interquartile_passes) == [2, 3, 4, 5]
    conv, overhead = measured.operator_times_s
    assert measured.operator_times_s[conv] == 2.0
    half_width = interval_half_width(measured)
    expected = pytest.approx(T_2 * sqrt(2) * sqrt(1 / 2), rel=0.03)
    assert (half_width([conv]), half_width([overhead])) == (expected, expected)
    assert half_width([conv, overhead]) == pytest.approx(0.0, abs=1e-12)
    assert half_width([]) is None


def test_a_single_pass_has_no_interval():
    one_pass = measurement([1.0], [0.5], (1,))
    assert interval_half_width(one_pass)(list(one_pass.operator_times_s)) is None
    assert interval_half_width(Measurement(Configuration()))([]) is None


@pytest.mark.slow
def test_intervals_cover_the_truth_in_95_percent_of_simulated_runs():
    """300 runs each; fewer than 276 hits have a probability of 2 %. The percentile bootstrap would hit 225 times with
    three processes and 150 times with two, and resampling samples too would hit all 300."""
    generator = np.random.default_rng(0)
    for count, between, within in ((10, 0.05, 0.02), (10, 0.01, 0.05), (3, 0.05, 0.02), (2, 0.02, 0.02)):
        hits = dict.fromkeys(("median", "mean"), 0)
        for _ in range(300):
            samples = 1 + between * generator.normal(size=(count, 1)) + within * generator.normal(size=(count, 6))
            low, high = bootstrap_median(list(samples))
            hits["median"] += low <= 1 <= high
            measured = measurement(samples.ravel(), [0.0] * samples.size, (6,) * count)
            conv, _ = measured.operator_times_s
            hits["mean"] += abs(measured.operator_times_s[conv] - 1) <= interval_half_width(measured)([conv])
        assert min(hits.values()) >= 276, hits
    assert max(hits.values()) <= 297, hits


def test_the_interval_of_a_ratio_by_fiellers_theorem():
    first, second = (timing([time * (1 + 0.01 * (-1) ** index) for index in range(40)]) for time in (1.0, 2.0))
    low, high = ratio_interval(first, second)
    (a_low, a_high), (b_low, b_high) = confidence_interval(first), confidence_interval(second)
    # Narrower than the ratio of the ends, wider than the wider of the two intervals.
    assert b_low / a_high < low < 2 < high < b_high / a_low
    assert (high - low) / 4 > (a_high - a_low) / 2
    assert ratio_interval(timing([1.0]), second) == (0.0, inf)
    assert ratio_interval(first, timing([1.0])) == (0.0, inf)
    assert ratio_interval(timing([0.001, 1.0, 100.0]), second) == (0.0, inf)  # The first interval contains 0.


def test_the_ends_of_a_ratios_interval_are_where_the_difference_is_as_large_as_its_half_width():
    """Fieller: r is an end if |b - r · a| equals the half width of b - r · a, whose square is h_b² + r² · h_a²."""
    first, second = Median(10.0, 0.5, (3, 3)), Median(15.0, 0.25, (3, 3))
    ends = median_ratio_interval(first, second)
    assert ends[0] < 1.5 < ends[1]
    for ratio in ends:
        half_width = sqrt(second.half_width() ** 2 + ratio**2 * first.half_width() ** 2)
        assert abs(15.0 - ratio * 10.0) == pytest.approx(half_width)
    # A median that its interval's half width equals: 0 is the end of the interval, and no ratio is excluded.
    assert median_ratio_interval(Median(critical_value((3, 3)), 1.0, (3, 3)), second) == (0.0, inf)


def test_the_ratio_of_medians_without_spread_is_exact():
    """Rounding must not make the discriminant negative."""
    for first_s, second_s in ((0.010, 0.015), (0.015, 0.010), (3e-5, 7e-3)):
        low, high = ratio_interval(timing([first_s] * 4), timing([second_s] * 4))
        assert (low, high) == pytest.approx((second_s / first_s,) * 2)
