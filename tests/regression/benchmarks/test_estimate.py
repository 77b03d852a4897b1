"""One benchmark's samples: its typical time, and what its own run puts in doubt."""

from __future__ import annotations

import math
from statistics import median, stdev

import pytest

from analyzer.history.pytest_benchmark import Benchmark
from analyzer.regression.benchmarks.estimate import Typical, typical


def of(samples, median_s: float = 7.0) -> Typical:
    return typical(Benchmark("b", median_s, tuple(samples)))


def test_the_fastest_of_each_ten_and_their_median():
    # 30 lots of ten: lot n has a 1 + n among nines of 100.
    samples = [100.0 if turn else 1.0 + lot for lot in range(30) for turn in range(10)]
    found = of(samples)
    assert found.time_s == median(range(1, 31))
    # Three lots a tenth of the run, whose medians are 2, 5, …, 29.
    assert found.error == pytest.approx(stdev(map(math.log, range(2, 30, 3))))


def test_of_fewer_than_a_hundred_the_fastest_of_each_tenth():
    assert of([2.0, 1.0] * 10) == Typical(1.0, 0.0)
    assert of([1.0, 2.0, 3.0, 4.0, 5.0]) == Typical(3.0, pytest.approx(stdev(map(math.log, range(1, 6)))))


@pytest.mark.parametrize("samples", [(), (1.0,) * 4, (0.0,) * 50, (0.0,) * 50 + (1.0,) * 4])
def test_of_too_few_the_files_own_median_and_no_error(samples):
    assert of(samples) == Typical(7.0, None)


def test_a_time_that_the_clock_does_not_resolve_is_not_the_fastest():
    assert of([0.0, 1.0] * 50) == Typical(1.0, 0.0)


def test_a_neighbour_that_takes_every_other_slice_is_not_in_it():
    """Two samples of three take twice as long; their median would too."""
    samples = [1.0 if number % 3 == 0 else 2.0 for number in range(300)]
    assert median(samples) == 2.0
    assert of(samples).time_s == 1.0


def test_what_slows_every_call_is():
    assert of([1.5] * 300).time_s == 1.5
