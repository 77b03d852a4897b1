"""How much faster one measurement is than another, as a ratio with its interval."""

from __future__ import annotations

from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Measurement
from analyzer.timing.statistics import ratio_interval

Verdict: TypeAlias = Literal["faster", "slower", "unclear"]


class Speed(Frozen):
    """Samples per second, relative to another measurement, with a 95 % interval. Certain only if it excludes 1."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> Verdict:
        return "faster" if self.low > 1 else "slower" if self.high < 1 else "unclear"


def relative_speed(before: Measurement, after: Measurement) -> Speed | None:
    """None if one of them has no times, or void ones.

    The interval is that of a ratio of independent medians by Fieller's theorem (1954).
    """
    if before.pass_timing is None or after.pass_timing is None or "void" in (before.quality, after.quality):
        return None
    per_sample = after.configuration.batch / before.configuration.batch
    low, high = ratio_interval(after.pass_timing, before.pass_timing)
    ratio = before.pass_timing.median_s / after.pass_timing.median_s
    return Speed(ratio * per_sample, low * per_sample, high * per_sample)
