"""What samples say: a median with an interval, computed when asked for. Samples of one process hang together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import inf, sqrt
from typing import TypeAlias

import numpy as np

from analyzer.records.timings import Measurement, Timing

Lot: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]  # The samples of one process.

RESAMPLES = 2000
CONFIDENCE = 0.95
BLOCK = 2**21  # Draws at a time, so that memory does not grow with the samples.


def interval(timing: Timing, *, seed: int = 0) -> tuple[float, float]:
    """A 95 % bootstrap interval of the median, in seconds: what is drawn are processes, each with all its samples.

    With one process only the spread within it is known, and only that is in the interval; of one sample nothing is, and
    it has no ends. The draws are the same for the same samples.

    >>> one = Timing("", "", 1, "whole", "pass", (1.0, 1.0, 1.0), "trusted")
    >>> interval(one)
    (1.0, 1.0)
    """
    return bootstrap(split(timing), seed=seed)


def bootstrap(lots: Sequence[Lot], *, seed: int = 0) -> tuple[float, float]:
    """The same of samples by process, none of them empty."""
    samples = np.concatenate(lots)
    order = samples.argsort()
    ordered, sizes = samples[order], [lot.size for lot in lots]
    medians = []
    for drawn in draws(sizes, seed=seed):
        reached = drawn[:, order].cumsum(axis=1)
        count = reached[:, -1:]
        # Of as many as were drawn, the two in the middle; of an odd number they are one.
        low, high = ((reached >= at).argmax(axis=1) for at in ((count + 1) // 2, count // 2 + 1))
        medians.append((ordered[low] + ordered[high]) / 2)
    middle, scatter, factor = float(np.median(samples)), float(np.concatenate(medians).std()), reach(sizes)
    half = factor * scatter if factor < inf else inf
    return middle - half, middle + half


def draws(sizes: Sequence[int], *, seed: int = 0) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.int64]]]:
    """Resamples, a row each, in blocks: how often one draws each sample. Of one process alone samples are drawn.

    Samples of a drawn process are all taken: to draw among them too would count their scatter twice. (Davison and
    Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.)
    """
    draw = np.random.default_rng(seed)
    count, total = len(sizes) if len(sizes) > 1 else sizes[0], sum(sizes)
    rows = max(min(BLOCK // total, RESAMPLES), 1)
    for start in range(0, RESAMPLES, rows):
        chosen = draw.integers(count, size=(min(rows, RESAMPLES - start), count))
        times = np.stack([np.bincount(row, minlength=count) for row in chosen])
        yield np.repeat(times, sizes, axis=1) if len(sizes) > 1 else times


def reach(sizes: Sequence[int]) -> float:
    """How many of its resamples' standard deviations an estimate is from the end of its 95 % interval.

    Student's t of as many processes; and resamples scatter less than estimates do, as n - 1 to n in the square. (Efron
    and Tibshirani, "An Introduction to the Bootstrap", 1993, sections 5.3 and 12.4.) Quantiles of the resamples in its
    place never lie beyond what was drawn, and hold the truth of three processes three times in four.

    >>> [round(reach([6] * count), 2) for count in (2, 3, 10)]
    [17.97, 5.27, 2.38]
    """
    from scipy.special import stdtrit

    count = len(sizes) if len(sizes) > 1 else sizes[0]
    if count < 2:
        return inf
    return float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * sqrt(count / (count - 1))


def doubts(measurement: Measurement) -> Callable[[Sequence[Timing]], float | None]:
    """How well a measurement's parts are known: of some of them together, half of the 95 % interval of their mean, in seconds.

    Drawn as medians are, by process; of each draw the middle half by length is taken, as `Measurement.parts` takes it. None
    where there is one pass alone.
    """
    cut = list(measurement.parts)
    if not cut or len(cut[0].samples_s) < 2:
        return lambda some: None
    samples = np.array([one.samples_s for one in cut])
    sizes = [lot.size for lot in split(cut[0])]
    order = samples.sum(axis=0).argsort(kind="stable")
    means = []
    for drawn in draws(sizes):
        reached = drawn[:, order].cumsum(axis=1)
        count = reached[:, -1:]
        within = np.diff(np.clip(reached, count / 4, count * 3 / 4), axis=1, prepend=count / 4)
        means.append((within / within.sum(axis=1, keepdims=True)) @ samples[:, order].T)
    found, factor = np.concatenate(means), reach(sizes)
    place = {one: index for index, one in enumerate(cut)}

    def doubt(some: Sequence[Timing]) -> float | None:
        return factor * float(found[:, [place[one] for one in some]].sum(axis=1).std()) if some else None

    return doubt


def split(timing: Timing) -> list[Lot]:
    """The samples by process."""
    samples = np.asarray(timing.samples_s, dtype=np.float64)
    sizes: Sequence[int] = timing.processes or (len(samples),)
    if sum(sizes) != len(samples) or min(sizes, default=0) < 0:
        raise ValueError(f"{len(samples)} samples of processes with {sizes}")
    return [lot for lot in np.split(samples, np.cumsum(sizes)[:-1]) if lot.size]
