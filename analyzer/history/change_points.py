"""Finds permanent changes in a series: at least five runs on each side, at least 5 %, and statistically significant.

ruptures proposes change points; each must then pass a permutation test on the runs between the neighbouring change
points. Proposals that fail are removed, the weakest first. Counts have no noise, so that every difference is a change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from analyzer.core.errors import CannotMeasure
from analyzer.core.frozen import Frozen
from analyzer.history.series import Series

MIN_RUNS = 5
MIN_LOG_CHANGE = math.log(1.05)
MIN_LOG_CHANGE_UNNORMALIZED = math.log(1.2)  # A time divided by nothing depends on the machine as much as on the code.
P_VALUE = 0.001
PERMUTATIONS = 4000
RESAMPLES = 2000
CONFIDENCE = 0.95
PENALTY = 6.5  # Low, since the test removes superfluous proposals but cannot add missing ones.
REFINEMENT_RANGE = 3
MAX_ARRAY_SIZE = 4_000_000  # Numbers in memory at once.

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class ChangePoint(Frozen):
    """A change from point `before` of a series to the next point, `after`. `size` is a ratio minus 1, with a 95 %
    interval.

    For a count `low` and `high` equal `size`, which is exact.
    """

    before: int
    after: int
    size: float
    low: float
    high: float


class Trend(Frozen):
    """A series and its change points. `unsearched` is the reason if it was not searched."""

    series: Series
    changes: tuple[ChangePoint, ...] = ()
    unsearched: str = ""


class History(Frozen):
    """The content of `analyze history`. `runs` is the number of files with points."""

    metric: str
    trends: tuple[Trend, ...]
    runs: int
    notes: tuple[str, ...] = ()


def find_change_points(series: Series) -> tuple[ChangePoint, ...]:
    """The changes of a series, oldest first. Raises CannotMeasure for times without ruptures."""
    if not series.timed:
        return _count_changes([point.value for point in series.points])
    indices = [index for index, level in enumerate(series.levels) if level is not None]
    levels = np.array([level for level in series.levels if level is not None])
    if len(levels) < 2 * MIN_RUNS:
        return ()
    min_change = MIN_LOG_CHANGE_UNNORMALIZED if series.normalization == "none" else MIN_LOG_CHANGE
    cuts = _significant(levels, propose_change_points(levels), min_change)
    edges = [0, *cuts, len(levels)]
    logs = np.log([series.points[index].value for index in indices])
    return tuple(
        ChangePoint(indices[cut - 1], indices[cut], *change_with_interval(levels[start:cut], levels[cut:end]))
        for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False)
        if not _faster_than_others_only(levels, logs, start, cut, end)
    )


def _faster_than_others_only(levels: Array, logs: Array, start: int, cut: int, end: int) -> bool:
    """Whether the normalized times fell and the measured ones did not: most others of the runs became slower."""
    normalized, measured = (np.median(values[cut:end]) - np.median(values[start:cut]) for values in (levels, logs))
    return bool(normalized < 0 <= measured)


def _count_changes(values: Sequence[float]) -> tuple[ChangePoint, ...]:
    changes = []
    for index, (old, new) in enumerate(pairwise(values)):
        if old != new:
            size = new / old - 1 if old else math.inf
            changes.append(ChangePoint(index, index + 1, size, size, size))
    return tuple(changes)


def propose_change_points(levels: Array) -> list[int]:
    """The first index of each new level, by PELT with a linear kernel (Killick et al. 2012; ruptures).

    PELT weighs all change points together, and so finds a level that was left and resumed later; binary segmentation
    gains nothing from the first of two such cuts and finds neither. The series is median-filtered first, since sums of
    squares would follow a single outlier.
    """
    if find_spec("ruptures") is None:
        raise CannotMeasure("finding changes needs ruptures; pip install '.[check]' from a checkout")
    from ruptures import KernelCPD

    scale = difference_noise(levels) or float(np.ptp(levels)) / 10
    if not scale:
        return []
    signal = median_filter(levels - np.median(levels)) / scale
    search = KernelCPD(kernel="linear", min_size=MIN_RUNS).fit(signal)
    cuts = [int(cut) for cut in search.predict(pen=PENALTY * math.log(len(levels)))]
    return [_refine(levels, start, cut, end) for start, cut, end in zip([0, *cuts], cuts, cuts[1:], strict=False)]


def median_filter(levels: Array) -> Array:
    """The median of each run and its two neighbours: keeps steps and removes single outliers."""
    padded = np.pad(levels, 1, mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def _refine(levels: Array, start: int, cut: int, end: int) -> int:
    """The index near a cut that best splits the unfiltered runs, by absolute deviations from the medians."""
    near = range(max(start + MIN_RUNS, cut - REFINEMENT_RANGE), min(end - MIN_RUNS, cut + REFINEMENT_RANGE) + 1)

    def deviation(index: int) -> float:
        return sum(float(np.abs(side - np.median(side)).sum()) for side in (levels[start:index], levels[index:end]))

    return min(near, key=deviation, default=cut)


def difference_noise(levels: Array) -> float:
    """The noise as a standard deviation, from the median absolute difference of successive runs; robust to steps."""
    return float(np.median(np.abs(np.diff(levels)))) / (0.6745 * math.sqrt(2))


def _significant(levels: Array, cuts: Sequence[int], min_change: float) -> list[int]:
    """The proposals that pass the test between neighbouring proposals that pass it too."""
    kept = list(cuts)
    while kept:
        edges = [0, *kept, len(levels)]
        scores = [
            permutation_p_value(levels[start:end], cut - start, min_change)
            / significance_level(end - start, cut - start)
            for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        weakest = max(range(len(kept)), key=scores.__getitem__)
        if scores[weakest] <= 1:
            break
        del kept[weakest]
    return kept


def significance_level(runs: int, cut: int) -> float:
    """P_VALUE, or 3 permutations where so few runs cannot reach it: two halves of five are separated in 2 of 252.

    >>> significance_level(10, 5) == 3 / 252, significance_level(40, 20) == P_VALUE
    (True, True)
    """
    return max(P_VALUE, 3 / math.comb(runs, cut))


def permutation_p_value(stretch: Array, cut: int, min_change: float = MIN_LOG_CHANGE) -> float:
    """Permutation test of a change point (Good 2005, section 3.2): the share of orders with a step at least as large at
    any position.

    1 if the medians differ by less than `min_change`. The statistic is a standardized rank sum, so that an outlier
    counts as one run. It is maximized over all cuts, since this cut was chosen for its large step.
    """
    left, right = stretch[:cut], stretch[cut:]
    if abs(float(np.median(right) - np.median(left))) < min_change:
        return 1.0
    size = len(stretch)
    ranks = np.argsort(np.argsort(stretch, kind="stable"), kind="stable") - (size - 1) / 2
    rng = np.random.default_rng(0)
    cuts = np.arange(MIN_RUNS, size - MIN_RUNS + 1)
    deviation = np.sqrt(cuts * (size - cuts) / size)  # Standard deviation of a rank sum, up to a common factor.
    observed = abs(float(ranks[:cut].sum())) / math.sqrt(cut * (size - cut) / size)

    def as_extreme(permutations: int) -> int:
        permuted = rng.permuted(np.tile(ranks, (permutations, 1)), axis=1)
        statistics = np.max(np.abs(np.cumsum(permuted, axis=1)[:, cuts - 1]) / deviation, axis=1)
        return int(np.count_nonzero(statistics >= observed - 1e-9))

    batch = max(1, min(PERMUTATIONS, MAX_ARRAY_SIZE // size))
    batches = [min(batch, PERMUTATIONS - done) for done in range(0, PERMUTATIONS, batch)]
    return (1 + sum(map(as_extreme, batches))) / (1 + PERMUTATIONS)


def change_with_interval(left: Array, right: Array) -> tuple[float, float, float]:
    """The change between two levels as a ratio minus 1, with its 95 % percentile bootstrap interval.

    The difference of medians is bootstrapped (Efron and Tibshirani 1993, ch. 13) with half as many draws as runs, since
    successive runs drift together and carry less information than independent ones.
    """
    rng = np.random.default_rng(0)
    medians = [np.median(rng.choice(side, (RESAMPLES, (len(side) + 1) // 2)), axis=1) for side in (left, right)]
    low, high = np.quantile(medians[1] - medians[0], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    size = float(np.median(right) - np.median(left))
    return math.expm1(size), math.expm1(float(low)), math.expm1(float(high))
