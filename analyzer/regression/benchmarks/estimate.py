"""The samples of one benchmark → its typical time, and how much of that its own run puts in doubt. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median, stdev

from analyzer.core.frozen import Frozen
from analyzer.history.pytest_benchmark import Benchmark

LEAST_SAMPLES = 5
LOT = 10
TENTHS = 10


class Typical(Frozen):
    """In seconds. `error` is the standard error of its logarithm, None where there are too few samples to tell.

    The time is the median of the fastest of each ten consecutive samples. A neighbour that takes the processor makes
    half of the samples longer, and their median with them, but seldom ten after each other. The fastest of all would be
    luck, and blind to what slows only some calls. benchmarks/two_files.py shows the difference.

    The error is how far the tenths of the run are apart. Their number does not make it smaller: what disturbs a
    benchmark lasts as long as its second or so does.
    """

    time_s: float
    error: float | None


def typical(one: Benchmark) -> Typical:
    """Of fewer than a hundred samples the fastest of each tenth is taken; of too few the median as the file has it."""
    sound = [sample for sample in one.samples_s if sample > 0]
    if len(sound) < LEAST_SAMPLES:
        return Typical(one.median_s, None)
    fastest = [min(lot) for lot in _parts(sound, max(len(sound) // LOT, TENTHS))]
    return Typical(median(fastest), stdev(math.log(median(tenth)) for tenth in _parts(fastest, TENTHS)))


def _parts(values: Sequence[float], count: int) -> list[Sequence[float]]:
    """So many stretches of equal length, or one a value where there are fewer.

    >>> _parts([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4, 5]]
    """
    count = min(count, len(values))
    edges = [len(values) * index // count for index in range(count + 1)]
    return [values[start:end] for start, end in pairwise(edges)]
