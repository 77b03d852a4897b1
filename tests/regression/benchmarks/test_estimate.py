"""A benchmark's time from its samples, and its uncertainty."""

from __future__ import annotations

import math
from statistics import median, stdev

import pytest

from analyzer.history.pytest_benchmark import Benchmark
from analyzer.regression.benchmarks.estimate import BenchmarkTime, estimate_time


def estimate(samples, median_s: float = 7.0) -> BenchmarkTime:
    return estimate_time(Benchmark("b", median_s, tuple(samples)))


def test_the_time_is_the_median_of_the_minima_of_ten():
    # 30 groups of ten: group n has one 1 + n among nines of 100.
    result = estimate([100.0 if index else 1.0 + group for group in range(30) for index in range(10)])
    assert result.time_s == median(range(1, 31))
    # Three groups are a tenth of the run; their medians are 2, 5, …, 29.
    assert result.error == pytest.approx(stdev(map(math.log, range(2, 30, 3))))


def test_with_fewer_than_a_hundred_samples_each_tenth_has_a_minimum():
    assert estimate([2.0, 1.0] * 10) == BenchmarkTime(1.0, 0.0)
    assert estimate([1.0, 2.0, 3.0, 4.0, 5.0]) == BenchmarkTime(3.0, pytest.approx(stdev(map(math.log, range(1, 6)))))


@pytest.mark.parametrize("samples", [(), (1.0,) * 4, (0.0,) * 50, (0.0,) * 50 + (1.0,) * 4])
def test_with_too_few_positive_samples_the_files_median_is_taken(samples):
    assert estimate(samples) == BenchmarkTime(7.0, None)


def test_a_sample_of_0_is_no_minimum():
    assert estimate([0.0, 1.0] * 50) == BenchmarkTime(1.0, 0.0)


def test_a_disturbance_of_two_samples_in_three_is_ignored():
    samples = [1.0 if index % 3 == 0 else 2.0 for index in range(300)]
    assert (median(samples), estimate(samples).time_s) == (2.0, 1.0)
