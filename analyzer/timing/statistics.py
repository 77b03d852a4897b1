"""What samples say: a median with an interval, computed when asked for. Samples of one process hang together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from typing import TypeAlias

import numpy as np

from analyzer.timings import Cell, Timing

Lot: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]  # The samples of one process.

RESAMPLES = 2000
CONFIDENCE = 0.95


def interval(timing: Timing, *, seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of the median, in seconds: what is drawn are processes, each with all its samples.

    With one process only the spread within it is known, and only that is in the interval. The draws are the same for
    the same samples.

    >>> one = Timing("", "", 1, "whole", "pass", (1.0, 1.0, 1.0), "trusted")
    >>> interval(one)
    (1.0, 1.0)
    """
    return bootstrap(split(timing), seed=seed)


def bootstrap(lots: Sequence[Lot], *, seed: int = 0) -> tuple[float, float]:
    """The same of samples by process, none of them empty."""
    samples = np.concatenate(lots)
    order = samples.argsort()
    sizes = [lot.size for lot in lots]
    reached = weights(sizes, seed=seed)[:, order].cumsum(axis=1)
    drawn = reached[:, -1:]
    # Of as many as were drawn, the two in the middle; of an odd number they are one.
    middle = [(reached >= at).argmax(axis=1) for at in ((drawn + 1) // 2, drawn // 2 + 1)]
    medians = (samples[order][middle[0]] + samples[order][middle[1]]) / 2
    low, high = np.quantile(medians, levels(sizes))
    return float(low), float(high)


def weights(sizes: Sequence[int], *, seed: int = 0) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """A row a resample: how often it draws each sample. Processes are drawn, of one process alone its samples.

    Samples of a drawn process are all taken: to draw among them too would count their scatter twice. (Davison and
    Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.)
    """
    draw = np.random.default_rng(seed)
    count = len(sizes) if len(sizes) > 1 else sizes[0]
    times = draw.multinomial(count, [1 / count] * count, size=RESAMPLES)
    return np.repeat(times, sizes, axis=1) if len(sizes) > 1 else times


def levels(sizes: Sequence[int]) -> tuple[float, float]:
    """Which quantiles of the resamples are the ends of a 95 % interval.

    Not 2.5 and 97.5 %: a few processes scatter less than what they are drawn from, and so would the interval. (The
    expanded percentile interval of Hesterberg, "What Teachers Should Know About the Bootstrap", 2015.)

    >>> [round(level, 3) for level in levels([6] * 10)]
    [0.009, 0.991]
    """
    from scipy.special import ndtr, stdtrit

    count = len(sizes) if len(sizes) > 1 else sizes[0]
    if count < 2:
        return 0.0, 1.0
    beyond = float(ndtr(stdtrit(count - 1, (1 - CONFIDENCE) / 2) * sqrt(count / (count - 1))))
    return beyond, 1 - beyond


def doubts(cell: Cell) -> Callable[[Sequence[Timing]], float | None]:
    """How well a cell's parts are known: of some of them together, half of the 95 % interval of their mean, in seconds.

    Drawn as medians are, by process; of each draw the middle half by length is taken, as `Cell.parts` takes it. None
    where there is one pass alone.
    """
    cut = list(cell.parts)
    if not cut or len(cut[0].samples_s) < 2:
        return lambda some: None
    samples = np.array([one.samples_s for one in cut])
    sizes = [size for size in cut[0].processes or (samples.shape[1],) if size]
    order = samples.sum(axis=0).argsort(kind="stable")
    reached = weights(sizes)[:, order].cumsum(axis=1)
    drawn = reached[:, -1:]
    within = np.diff(np.clip(reached, drawn / 4, drawn * 3 / 4), axis=1, prepend=drawn / 4)
    means = (within / within.sum(axis=1, keepdims=True)) @ samples[:, order].T
    ends = levels(sizes)
    place = {one: index for index, one in enumerate(cut)}

    def doubt(some: Sequence[Timing]) -> float | None:
        if not some:
            return None
        low, high = np.quantile(means[:, [place[one] for one in some]].sum(axis=1), ends)
        return float(high - low) / 2

    return doubt


def split(timing: Timing) -> list[Lot]:
    """The samples by process."""
    samples = np.asarray(timing.samples_s, dtype=np.float64)
    sizes: Sequence[int] = timing.processes or (len(samples),)
    if sum(sizes) != len(samples):
        raise ValueError(f"{len(samples)} samples of processes with {sizes}")
    return [lot for lot in np.split(samples, np.cumsum(sizes)[:-1]) if lot.size]
