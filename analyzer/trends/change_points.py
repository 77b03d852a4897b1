"""Finds permanent changes in a series: four runs or more on each side, 4 % or more, and above the series' noise.

ruptures proposes change points; each must then pass a test on the runs between the neighboring change points. Of the
proposals that fail, the weakest is removed, and the others are tested again. Counts have no noise, so that every
difference is a change.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from importlib.util import find_spec
from itertools import pairwise

import numpy as np

from analyzer.core.errors import CannotMeasure
from analyzer.core.frozen import Frozen
from analyzer.trends.series import Series
from analyzer.trends.step_significance import (
    P_VALUE,
    Array,
    detectable_step,
    difference_noise,
    step_error,
    step_p_value,
)

MIN_RUNS = 4
RESAMPLES = 2000
CONFIDENCE = 0.95
PENALTY = 3.0  # Low, since the test removes superfluous proposals but cannot add missing ones.
REFINEMENT_RANGE = 3
# With one or two other benchmarks: the share of a change that the measured time and each quotient must show.
MIN_SHARE = 0.5
MIN_ERRORS = 1.64  # Standard errors by which the measured time must change too: one-sided 5 %.


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
    """A series and its change points. `unsearched` is the reason if it was not searched.

    `detectable` is the smallest change that ten more runs would show with probability 0.95, as a ratio minus 1. `new`
    are the changes that are not in the file of known changes. `unattributed` is growth relative to the one or two other
    benchmarks of the same runs, where the times do not show which of them changed.
    """

    series: Series
    changes: tuple[ChangePoint, ...] = ()
    unsearched: str = ""
    detectable: float | None = None
    new: tuple[ChangePoint, ...] = ()
    unattributed: tuple[ChangePoint, ...] = ()


class History(Frozen):
    """The content of `analyze history`. `runs` is the number of files with points."""

    metric: str
    trends: tuple[Trend, ...]
    runs: int
    notes: tuple[str, ...] = ()


def find_change_points(series: Series) -> tuple[ChangePoint, ...]:
    """The changes of a series, oldest first. Raises CannotMeasure for times without ruptures."""
    return _search(series)[0]


def _search(series: Series) -> tuple[tuple[ChangePoint, ...], tuple[ChangePoint, ...]]:
    """The changes of a series, and those that may be another benchmark's."""
    if not series.timed:
        return _count_changes([point.value for point in series.points]), ()
    indices = [index for index, level in enumerate(series.levels) if level is not None]
    levels = np.array([level for level in series.levels if level is not None])
    if len(levels) < 2 * MIN_RUNS:
        return (), ()
    commits = [series.points[index].commit for index in indices]
    same_commit = {cut for cut in range(1, len(commits)) if commits[cut] and commits[cut] == commits[cut - 1]}
    cuts = _significant(levels, propose_change_points(levels, same_commit))
    edges = [0, *cuts, len(levels)]
    changes: list[ChangePoint] = []
    unattributed: list[ChangePoint] = []
    for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False):
        interval = change_with_interval(levels[start:cut], levels[cut:end])
        change = ChangePoint(indices[cut - 1], indices[cut], *interval)
        is_own = _is_attributable(series, indices[start:cut], indices[cut:end])
        (changes if is_own else unattributed).append(change)
    return tuple(changes), tuple(unattributed)


def find_trend(series: Series) -> Trend:
    """The series with its changes, and without ruptures the reason why it was not searched."""
    try:
        changes, others = _search(series)
    except CannotMeasure as error:
        return Trend(series, unsearched=str(error))
    start = max((change.after for change in (*changes, *others)), default=0)
    levels = np.array([level for level in series.levels[start:] if level is not None])
    step = detectable_step(levels) if series.timed else None
    detectable = None if step is None else math.expm1(step)
    is_relative = series.normalization == "shared" and series.quotients
    growth = tuple(
        change for change in others if is_relative and change.size > 0
    )  # Not the other benchmark's decrease.
    return Trend(series, changes, detectable=detectable, unattributed=growth)


def without_explained(trends: Sequence[Trend]) -> tuple[Trend, ...]:
    """The trends without unattributed changes near which another series of the same environment has a change."""

    def near(trend: Trend, change: ChangePoint) -> set[tuple[str, str]]:
        runs = trend.series.points[max(change.after - REFINEMENT_RANGE, 0) : change.after + REFINEMENT_RANGE + 1]
        return {(point.run, point.environment) for point in runs}

    explained = {
        (trend.series.points[change.after].run, trend.series.environment)
        for trend in trends
        for change in trend.changes
    }
    return tuple(
        trend.replace(unattributed=tuple(c for c in trend.unattributed if not near(trend, c) & explained))
        for trend in trends
    )


def _is_attributable(series: Series, before: Sequence[int], after: Sequence[int]) -> bool:
    """Whether a change of normalized times is this benchmark's, and not that of the times it was divided by.

    With three or more other benchmarks, a time is not called faster that only most others became slower than. With one
    or two, half of the change must also be in the measured time, and in the quotients with each other benchmark.
    """

    def sides(values: Sequence[float | None]) -> list[Array]:
        return [np.array([value for index in part if (value := values[index]) is not None]) for part in (before, after)]

    def change(values: Sequence[float | None]) -> float:
        old, new = (float(np.median(side)) if len(side) else math.nan for side in sides(values))
        return new - old

    logs = [math.log(point.value) for point in series.points]
    total, measured = change(series.levels), change(logs)
    if not series.quotients:
        return not total < 0 <= measured
    parts = [measured, *(change(values) for values in series.quotients)]
    is_share = all(math.isnan(part) or part / total >= MIN_SHARE for part in parts)
    return is_share and abs(measured) >= MIN_ERRORS * step_error(*sides(logs))[0]


def _count_changes(values: Sequence[float]) -> tuple[ChangePoint, ...]:
    changes = []
    for index, (old, new) in enumerate(pairwise(values)):
        if old != new:
            size = new / old - 1 if old else math.inf
            changes.append(ChangePoint(index, index + 1, size, size, size))
    return tuple(changes)


def propose_change_points(levels: Array, excluded: Collection[int] = ()) -> list[int]:
    """The first index of each new level, by PELT with a linear kernel (Killick et al. 2012; ruptures).

    PELT weighs all change points together, and so finds a level that was left and resumed later; binary segmentation
    gains nothing from the first of two such cuts and finds neither. The series is median-filtered first, since sums of
    squares would follow a single outlier. Indices in `excluded` are never proposed.
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
    refined = [
        _refine(levels, start, cut, end, excluded) for start, cut, end in zip([0, *cuts], cuts, cuts[1:], strict=False)
    ]
    return sorted({cut for cut in refined if cut is not None})


def median_filter(levels: Array) -> Array:
    """The median of each run and its two neighbors: keeps steps and removes single outliers."""
    padded = np.pad(levels, 1, mode="edge")
    return np.asarray(np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0))


def _refine(levels: Array, start: int, cut: int, end: int, excluded: Collection[int]) -> int | None:
    """The index near a cut that best splits the unfiltered runs."""
    near = range(max(start + MIN_RUNS, cut - REFINEMENT_RANGE), min(end - MIN_RUNS, cut + REFINEMENT_RANGE) + 1)

    def deviation(index: int) -> float:
        return absolute_deviation(levels[start:index]) + absolute_deviation(levels[index:end])

    return min((index for index in near if index not in excluded), key=deviation, default=None)


def absolute_deviation(levels: Array) -> float:
    """The sum of absolute deviations from the median."""
    return float(np.abs(levels - np.median(levels)).sum())


def _significant(levels: Array, cuts: Sequence[int]) -> list[int]:
    """The proposals that pass the test between neighboring proposals that pass it too.

    Of the proposals that fail, the one that explains the least is removed, and its neighbors are tested again. Its
    p-value would not do: a true change fails, too, between superfluous proposals that leave it four runs.
    """
    kept = list(cuts)
    while True:
        edges = [0, *kept, len(levels)]
        parts = list(zip(edges, edges[1:], edges[2:], strict=False))
        failed = [part for part in parts if step_p_value(levels[part[0] : part[2]], part[1] - part[0]) > P_VALUE]
        if not failed:
            return kept
        kept.remove(min(failed, key=lambda part: _explained_deviation(levels, *part))[1])


def _explained_deviation(levels: Array, start: int, cut: int, end: int) -> float:
    """By how much a cut lowers the deviations from the medians."""
    sides = absolute_deviation(levels[start:cut]) + absolute_deviation(levels[cut:end])
    return absolute_deviation(levels[start:end]) - sides


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
