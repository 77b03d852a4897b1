"""The time of one benchmark from the samples of its run, with its standard error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median, stdev

from analyzer.core.frozen import Frozen
from analyzer.trends.pytest_benchmark import Benchmark

MIN_SAMPLES, GROUP_SIZE, TENTHS = 5, 10, 10


class BenchmarkTime(Frozen):
    """`time_s` in seconds; `error` is the standard error of its logarithm, None for too few samples.

    The time is the median of the minima of ten consecutive samples each. Another process that takes the processor
    lengthens half of the samples, and so their median, but seldom ten in a row. The minimum of all samples would be an
    outlier, and blind to what slows only some calls. benchmarks/file_gate.py compares these.

    The error is the standard deviation between the tenths of the run. It is not divided by the square root of their
    number, since a disturbance often lasts for several tenths.
    """

    time_s: float
    error: float | None


def estimate_time(benchmark: Benchmark) -> BenchmarkTime:
    """Below a hundred samples each tenth of the run gives a minimum; for too few samples, the file's median is used."""
    positive = [sample for sample in benchmark.samples_s if sample > 0]
    if len(positive) < MIN_SAMPLES:
        return BenchmarkTime(benchmark.median_s, None)
    minima = [min(group) for group in _split(positive, max(len(positive) // GROUP_SIZE, TENTHS))]
    return BenchmarkTime(median(minima), stdev(math.log(median(tenth)) for tenth in _split(minima, TENTHS)))


def _split(values: Sequence[float], count: int) -> list[Sequence[float]]:
    """At most `count` consecutive groups of about equal length.

    >>> _split([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4, 5]]
    """
    count = min(count, len(values))
    edges = [len(values) * index // count for index in range(count + 1)]
    return [values[start:end] for start, end in pairwise(edges)]
