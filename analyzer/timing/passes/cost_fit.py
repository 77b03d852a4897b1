"""How much of the cost of instruments a model's own pass has, from pairs of passes with and without them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from statistics import fmean

from analyzer.records.timings import interquartile

FITTED_PAIRS = 10  # Before the first sample.
MIN_FITTED_SHARE = 0.005  # Of the pass: smaller costs, with cold caches, are not fitted.
MIN_FACTOR = 0.5  # Of the cost with warm caches.
MAX_COLDNESS = 1.5  # A larger difference between the passes has another cause than instruments.


class CostFit:
    """`factor` scales the cost with warm caches, at most to 1. `coldness` is where a pass lies between warm caches, 0,
    and cold ones, 1."""

    def __init__(self) -> None:
        self.factor, self.coldness = 1.0, 0.0
        self.instrumented_s: list[float] = []
        self.plain_s: list[float] = []

    def costs(self, warm: Sequence[float], cold: Sequence[float]) -> tuple[float, ...]:
        """Seconds that instruments add to a pass, from those with warm and with cold caches."""
        return tuple(self.factor * low + self.coldness * (high - low) for low, high in zip(warm, cold, strict=True))

    def add_pair(self, instrumented_s: float, plain_s: float, warm_s: float, cold_s: float) -> bool:
        """Of two passes one after the other; `instrumented_s` is the sum of the parts and of the costs subtracted from
        them. False, and nothing is fitted, if the cost is a small share of the pass.

        The difference of interquartile means, because results are interquartile means too, and because minima would
        leave out that instruments take longer as well while the machine is slow.
        """
        if cold_s <= MIN_FITTED_SHARE * plain_s:
            return False
        insort(self.instrumented_s, instrumented_s)
        insort(self.plain_s, plain_s)
        added_s = fmean(interquartile(self.instrumented_s)) - fmean(interquartile(self.plain_s))
        self.factor = min(max(added_s / warm_s, MIN_FACTOR), 1.0)
        self.coldness = min(max((added_s - warm_s) / (cold_s - warm_s), 0.0), MAX_COLDNESS)
        return True
