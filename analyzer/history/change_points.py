"""Where a series changed for good: at least five runs on each side, at least 5 %, and more than its noise makes up.

ruptures proposes where the level may have changed; each proposal must then stand a test of its own, on the stretch
between its neighbours: runs drawn in another order must hardly ever show a step as large. Proposals that do not stand
are taken back, the weakest first. Counts have no noise: there every difference is a change.
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

LEAST_RUNS = 5
LEAST_SIZE = math.log(1.05)
LEAST_ALONE = math.log(1.2)  # Of a time held against nothing, which is the machine's as much as the code's.
P_VALUE = 0.001
ORDERS = 4000
RESAMPLES = 2000
CONFIDENCE = 0.95
PENALTY = 6.5  # Low: what is proposed too often is taken back, what is not proposed is lost.
NEAR = 3
ROOM = 4_000_000  # Numbers held at once.

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


class Change(Frozen):
    """From point `before` of a series to the next one, `after`. `size` is a ratio less 1, with a 95 % interval.

    Of a count `low` and `high` are its size: there is nothing uncertain about it.
    """

    before: int
    after: int
    size: float
    low: float
    high: float


def changes(one: Series) -> tuple[Change, ...]:
    """The changes of a series, oldest first. Raises CannotMeasure where times are to be searched without ruptures."""
    if not one.timed:
        return _steps([point.value for point in one.points])
    places = [index for index, level in enumerate(one.levels) if level is not None]
    levels = np.array([level for level in one.levels if level is not None])
    if len(levels) < 2 * LEAST_RUNS:
        return ()
    least = LEAST_ALONE if one.against == "nothing" else LEAST_SIZE
    cuts = _standing(levels, proposed(levels), least)
    edges = [0, *cuts, len(levels)]
    return tuple(
        Change(places[cut - 1], places[cut], *sized(levels[start:cut], levels[cut:end]))
        for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False)
    )


def _steps(values: Sequence[float]) -> tuple[Change, ...]:
    found = []
    for index, (old, new) in enumerate(pairwise(values)):
        if old != new:
            size = new / old - 1 if old else math.inf
            found.append(Change(index, index + 1, size, size, size))
    return tuple(found)


def proposed(levels: Numbers) -> list[int]:
    """Where the level may change, by ruptures: the first index of each new level.

    All cuts are weighed together (PELT), which also finds a level that was left and taken up again; one after the
    other (binary segmentation) the first cut of two such gains nothing. Sums of squares would follow a single
    disturbed run, so that the series goes in without those.
    """
    if find_spec("ruptures") is None:
        raise CannotMeasure("changes are found with ruptures; pip install 'macscope[check]'")
    from ruptures import KernelCPD

    scale = noise(levels)
    if not scale:
        scale = float(np.ptp(levels)) / 10
    if not scale:
        return []
    search = KernelCPD(kernel="linear", min_size=LEAST_RUNS).fit(calmed(levels - np.median(levels)) / scale)
    cuts = [int(cut) for cut in search.predict(pen=PENALTY * math.log(len(levels)))]
    return [placed(levels, start, cut, end) for start, cut, end in zip([0, *cuts], cuts, cuts[1:], strict=False)]


def calmed(levels: Numbers) -> Numbers:
    """The median of each run and its two neighbours: steps stay where they are, one run beside itself goes."""
    wide = np.pad(levels, 1, mode="edge")
    return np.asarray(np.median(np.stack([wide[:-2], wide[1:-1], wide[2:]]), axis=0))


def placed(levels: Numbers, start: int, cut: int, end: int) -> int:
    """The place near a cut that parts the runs themselves best, by absolute differences from the medians."""
    near = range(max(start + LEAST_RUNS, cut - NEAR), min(end - LEAST_RUNS, cut + NEAR) + 1)

    def left_over(at: int) -> float:
        return sum(float(np.abs(side - np.median(side)).sum()) for side in (levels[start:at], levels[at:end]))

    return min(near, key=left_over, default=cut)


def noise(levels: Numbers) -> float:
    """The spread from one run to the next, which steps hardly touch: the median difference, as a standard deviation."""
    return float(np.median(np.abs(np.diff(levels)))) / (0.6745 * math.sqrt(2))


def _standing(levels: Numbers, cuts: Sequence[int], least: float) -> list[int]:
    """The proposals that stand, each between those neighbours that do."""
    kept = list(cuts)
    while kept:
        edges = [0, *kept, len(levels)]
        doubts = [
            doubt(levels[start:end], cut - start, least) / bar(end - start, cut - start)
            for start, cut, end in zip(edges, edges[1:], edges[2:], strict=False)
        ]
        worst = max(range(len(kept)), key=doubts.__getitem__)
        if doubts[worst] <= 1:
            break
        del kept[worst]
    return kept


def bar(runs: int, cut: int) -> float:
    """What doubt may remain. Of ten runs even two halves without overlap come in 2 of 252 orders: that must do there.

    >>> bar(10, 5) == 3 / 252, bar(40, 20) == P_VALUE
    (True, True)
    """
    return max(P_VALUE, 3 / math.comb(runs, cut))


def doubt(stretch: Numbers, cut: int, least: float = LEAST_SIZE) -> float:
    """How often the same runs in another order show a step as large anywhere, 0 to 1; 1 where it is below `least`.

    On ranks, so that a run disturbed beyond measure counts as one run and no more. The largest step of any place is
    held against the largest of any place: this place was chosen because it looked like one.
    """
    left, right = stretch[:cut], stretch[cut:]
    if abs(float(np.median(right) - np.median(left))) < least:
        return 1.0
    size = len(stretch)
    ranks = np.argsort(np.argsort(stretch, kind="stable"), kind="stable") - (size - 1) / 2
    order = np.random.default_rng(0)
    places = np.arange(LEAST_RUNS, size - LEAST_RUNS + 1)
    spread = np.sqrt(places * (size - places) / size)  # Of a sum of so many ranks, but for a factor all share.

    def as_large(orders: int) -> int:
        drawn = order.permuted(np.tile(ranks, (orders, 1)), axis=1)
        largest = np.max(np.abs(np.cumsum(drawn, axis=1)[:, places - 1]) / spread, axis=1)
        return int(np.count_nonzero(largest >= seen - 1e-9))

    seen = abs(float(ranks[:cut].sum())) / math.sqrt(cut * (size - cut) / size)
    lot = max(1, min(ORDERS, ROOM // size))
    return (1 + sum(as_large(min(lot, ORDERS - done)) for done in range(0, ORDERS, lot))) / (1 + ORDERS)


def sized(left: Numbers, right: Numbers) -> tuple[float, float, float]:
    """A step's size with its bootstrap interval: runs of each side are drawn anew, medians taken.

    Half as many are drawn as there are: runs that follow each other drift together, and say less than so many would.
    """
    draw = np.random.default_rng(0)
    sides = [np.median(draw.choice(side, (RESAMPLES, (len(side) + 1) // 2)), axis=1) for side in (left, right)]
    low, high = np.quantile(sides[1] - sides[0], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    size = float(np.median(right) - np.median(left))
    return math.expm1(size), math.expm1(float(low)), math.expm1(float(high))
