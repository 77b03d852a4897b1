"""What samples say: a median with an interval, computed when asked for. Samples of one process hang together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from analyzer.timings import Cell, Timing

Lot: TypeAlias = np.ndarray[tuple[int], np.dtype[np.float64]]  # The samples of one process.

RESAMPLES = 2000
CONFIDENCE = 0.95


def interval(timing: Timing, *, confidence: float = CONFIDENCE, seed: int = 0) -> tuple[float, float]:
    """A bootstrap interval of the median, in seconds: processes are drawn first, then samples of each (two-stage).

    With one process only the spread within it is known, and only that is in the interval. The draws are the same for
    the same samples.

    >>> one = Timing("", "", 1, "whole", "pass", (1.0, 1.0, 1.0), "trusted")
    >>> interval(one)
    (1.0, 1.0)
    """
    return bootstrap(split(timing), confidence=confidence, seed=seed)


def bootstrap(lots: Sequence[Lot], *, confidence: float = CONFIDENCE, seed: int = 0) -> tuple[float, float]:
    """The same of samples by process, none of them empty."""
    draw = np.random.default_rng(seed)
    medians = np.empty(RESAMPLES)
    for index in range(RESAMPLES):
        chosen = draw.integers(len(lots), size=len(lots))
        medians[index] = np.median(np.concatenate([draw.choice(lots[which], lots[which].size) for which in chosen]))
    low, high = np.quantile(medians, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def doubts(cell: Cell) -> Callable[[Sequence[Timing]], float | None]:
    """How well a cell's parts are known: of some of them together, half of the 95 % interval of their mean, in seconds.

    Drawn as medians are, processes first, from the passes that `Cell.parts` takes its means over. None where there is
    one pass alone.
    """
    cut = list(cell.parts)
    passes = cell.middle
    if len(passes) < 2:
        return lambda some: None
    samples = np.array([one.samples_s for one in cut])[:, passes]
    edges = np.cumsum(cut[0].processes or (samples.shape[1],))
    lots = np.searchsorted(edges, passes, side="right")  # The process of each pass.
    own = [np.flatnonzero(lots == lot) for lot in np.unique(lots)]
    draw = np.random.default_rng(0)
    weights = np.zeros((RESAMPLES, len(passes)))
    for row in weights:
        drawn = [draw.choice(own[which], own[which].size) for which in draw.integers(len(own), size=len(own))]
        np.add.at(row, np.concatenate(drawn), 1.0)
    means = (weights / weights.sum(axis=1, keepdims=True)) @ samples.T
    place = {one: index for index, one in enumerate(cut)}

    def doubt(some: Sequence[Timing]) -> float | None:
        if not some:
            return None
        low, high = np.quantile(means[:, [place[one] for one in some]].sum(axis=1), [0.025, 0.975])
        return float(high - low) / 2

    return doubt


def split(timing: Timing) -> list[Lot]:
    """The samples by process."""
    samples = np.asarray(timing.samples_s, dtype=np.float64)
    sizes: Sequence[int] = timing.processes or (len(samples),)
    if sum(sizes) != len(samples):
        raise ValueError(f"{len(samples)} samples of processes with {sizes}")
    return [lot for lot in np.split(samples, np.cumsum(sizes)[:-1]) if lot.size]
