"""What the samples of a pass show in the order in which they were taken: a trend, growing memory, or several modes.

A median hides all three: a cache that grows, a leak, and a pass in ten that is long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erfc, sqrt
from typing import Any, TypeAlias

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.core.units import percent, scaled, seconds, times
from analyzer.timing.statistics import Samples

MIN_SAMPLES = 12
SIGNIFICANCE = 0.001  # Of the Mann-Kendall test, in each of most processes.
MIN_TREND = 0.05  # Change from the first to the last sample of a process, relative to the median.
MIN_GROWTH_PER_PASS, MIN_GROWTH = 2**14, 2**23  # Bytes.
MIN_RATIO, MIN_SHARE = 1.2, 0.03  # Of a second mode's median to the first, and of the samples in the smaller mode.
MIN_SEPARATION = 4.0  # Ashman's D. Above 2 two modes are separate (Ashman, Bird and Zepf 1994); noise reaches 3.
MAX_PERIOD = 64  # Passes.

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


class PassLog(Frozen):
    """Undisturbed samples of one process in order: the number of its pass, seconds, and bytes of memory after it."""

    numbers: tuple[int, ...]
    seconds: tuple[float, ...]
    memory: tuple[int, ...]
    repeats: int = 1  # Passes per sample.
    own_bytes: int = 0  # That the measurement itself may keep per pass: its samples, until they are sent.


class Patterns(Frozen):
    """`trend` is a reason not to trust the time; `notes` are the other things seen. `leaks`: memory grows."""

    trend: str = ""
    notes: tuple[str, ...] = ()
    leaks: bool = False


def find_patterns(logs: Sequence[PassLog], *, disturbed: bool = False) -> Patterns:
    """What most processes with enough samples show. Of `disturbed` samples only the memory means anything."""
    logs = [log for log in logs if len(log.seconds) >= MIN_SAMPLES]
    if not logs:
        return Patterns()
    growth = _growth(logs)
    if disturbed:
        return Patterns("", (growth,) if growth else (), bool(growth))
    return Patterns(_trend(logs), tuple(filter(None, (growth, _modes(logs)))), bool(growth))


def mann_kendall(values: Samples) -> float:
    """Two-sided p-value of the Mann-Kendall test for a monotonic trend, with the normal approximation and the
    correction for ties (Mann 1945; Kendall 1975; Gilbert 1987, section 16.4).

    >>> round(mann_kendall(np.arange(10.0)), 5)
    8e-05
    """
    count = values.size
    signs = np.sign(values[None, :] - values[:, None])
    score = float(np.triu(signs, 1).sum())
    _, ties = np.unique(values, return_counts=True)
    variance = (count * (count - 1) * (2 * count + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    if variance <= 0 or not score:
        return 1.0
    return erfc((abs(score) - 1) / sqrt(variance) / sqrt(2))


def theil_sen(x: Array, y: Array) -> float:
    """Median slope over all pairs (Theil 1950; Sen 1968): a level that rises once and stays has slope 0."""
    first, second = np.triu_indices(x.size, 1)
    return float(np.median((y[second] - y[first]) / (x[second] - x[first])))


def _trend(logs: Sequence[PassLog]) -> str:
    """A monotonic trend in the seconds of most processes, all in one direction."""
    changes = []
    for log in logs:
        numbers, samples = np.array(log.numbers, float), np.array(log.seconds)
        change = theil_sen(numbers, samples) * (numbers[-1] - numbers[0]) / float(np.median(samples))
        if abs(change) >= MIN_TREND and mann_kendall(samples) < SIGNIFICANCE:
            changes.append(change)
    longer = [change for change in changes if change > 0]
    changes = longer if 2 * len(longer) > len(changes) else [change for change in changes if change < 0]
    if 2 * len(changes) <= len(logs):
        return ""
    change = float(np.median(changes))
    passes = round(float(np.median([log.numbers[-1] - log.numbers[0] for log in logs])))
    direction = "longer" if change > 0 else "shorter"
    return (
        f"passes get {direction}, by {percent(abs(change))} of the median over the {passes:,} passes of a process "
        f"({_most(changes, logs)}, Mann-Kendall test), so the time depends on --budget"
    )


def _growth(logs: Sequence[PassLog]) -> str:
    """Memory that grows from pass to pass in most processes."""
    slopes = []
    for log in logs:
        if len(log.memory) != len(log.numbers):
            continue
        numbers, memory = np.array(log.numbers, float), np.array(log.memory, float)
        slope = theil_sen(numbers, memory)
        if slope >= MIN_GROWTH_PER_PASS + log.own_bytes and slope * (numbers[-1] - numbers[0]) >= MIN_GROWTH:
            slopes.append(slope)
    if 2 * len(slopes) <= len(logs):
        return ""
    grows = scaled(float(np.median(slopes)), "B", digits=3)
    return (
        f"memory grows by {grows} per pass ({_most(slopes, logs)}): the model keeps tensors of earlier passes, a leak "
        "or a cache without a limit"
    )


def _modes(logs: Sequence[PassLog]) -> str:
    """Two separate modes in most processes, the longer one's share, and its period if it has one."""
    bimodal = [(log, long) for log in logs if (long := longer_mode(np.array(log.seconds))) is not None]
    if 2 * len(bimodal) <= len(logs):
        return ""

    def pooled(choose: Callable[[Array], Array]) -> float:
        return float(np.median(np.concatenate([np.array(log.seconds)[choose(long)] for log, long in bimodal])))

    short_s, long_s = pooled(np.logical_not), pooled(lambda long: long)
    share = sum(int(long.sum()) for _, long in bimodal) / sum(long.size for _, long in bimodal)
    periods = {_period(log, long) for log, long in bimodal}
    period = periods.pop() if len(periods) == 1 else None
    which = f"one in every {period}, at regular intervals, takes" if period else f"{percent(share)} of them take"
    what = "passes" if bimodal[0][0].repeats == 1 else f"means of {bimodal[0][0].repeats} passes"
    return (
        f"{what} have two modes, {seconds(short_s)} and {seconds(long_s)}: {which} {times(long_s / short_s)} as "
        f"long ({_most(bimodal, logs)})"
    )


def longer_mode(samples: Samples) -> Array | None:
    """Which samples belong to the longer of two modes; None if they have one mode.

    The division that minimizes the variance within both (Otsu 1979) of the logarithms, accepted if both parts are
    separate by Ashman's D.
    """
    order = samples.argsort(kind="stable")
    logs, count = np.log(samples[order]), samples.size
    left = np.arange(1, count)
    sums = logs.cumsum()
    means_left, means_right = sums[:-1] / left, (sums[-1] - sums[:-1]) / (count - left)
    between = left * (count - left) * (means_right - means_left) ** 2
    size = int(between.argmax()) + 1
    short, long = logs[:size], logs[size:]
    if min(size, count - size) < max(MIN_SHARE * count, 2) or np.median(long) - np.median(short) < np.log(MIN_RATIO):
        return None
    spread = sqrt(float(short.var() + long.var()))
    if spread and sqrt(2) * float(long.mean() - short.mean()) / spread < MIN_SEPARATION:
        return None
    mask = np.zeros(count, bool)
    mask[order[size:]] = True
    return mask


def _period(log: PassLog, long: Array) -> int | None:
    """k if exactly every k-th pass is long."""
    if log.repeats > 1 or long.sum() < 3:
        return None
    numbers = np.array(log.numbers)
    for period in range(2, MAX_PERIOD + 1):
        residues = numbers % period
        if len(set(residues[long])) == 1 and not np.isin(residues[~long], residues[long]).any():
            return period
    return None


def _most(some: Sequence[Any], logs: Sequence[PassLog]) -> str:
    return f"in {len(some)} of {len(logs)} processes" if len(logs) > 1 else "in its only process"
