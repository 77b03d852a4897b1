"""The configuration in which each model is fastest on each device, with the measured evidence.

Choosing the fastest of many configurations finds one that was lucky, unless the intervals allow for it: all intervals
against the default hold together with 95 % (Bonferroni's inequality; Dunn 1961).
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.points import Point

CONFIDENCE = 0.95


class Best(Frozen):
    """A model at one batch and mode on one machine.

    `speed` is how many times as many samples per second the `fastest` reaches as the `default`, with its interval;
    None if there is no default or it is the fastest. `undecided` are configurations that may be as fast as the fastest:
    with 95 % they and the fastest include the one that is truly fastest (Hsu 1984). `void` is how many were left out.
    """

    fastest: Point
    default: Point | None
    speed: float | None
    low: float | None
    high: float | None
    undecided: tuple[Point, ...]
    compared: int
    void: int = 0

    @property
    def certain(self) -> bool:
        """Whether the fastest is certainly faster than the default."""
        return self.low is not None and self.low > 1


def best_configurations(points: Sequence[Point]) -> list[Best]:
    """One per model, batch, mode and machine with two timed configurations or more."""
    groups: dict[object, list[Point]] = {}
    for point in points:
        if point.time:
            setting = point.configuration
            workload = (point.name, setting.batch, setting.mode, setting.flushed, setting.device, point.machine)
            groups.setdefault(workload, []).append(point)
    candidates = (_best(group) for group in groups.values())
    return [best for best in candidates if best]


def _best(group: Sequence[Point]) -> Best | None:
    usable = [point for point in group if point.usable]
    if len(usable) < 2:
        return None
    default = default_point(usable)
    confidence = 1 - (1 - CONFIDENCE) / (len(usable) - 1)
    gains = {id(point): _gain(default, point, confidence) for point in usable if default and point is not default}
    certain = [point for point in usable if id(point) in gains and gains[id(point)][1] > 1]
    # The gain that is certain decides: the shortest median may be that of a noisy measurement.
    fastest = (
        max(certain, key=lambda point: gains[id(point)][1])
        if certain
        else min(usable, key=lambda point: point.median.value)
    )
    undecided = [p for p in usable if p is not fastest and _gain(p, fastest, confidence)[1] <= 1]
    speed, low, high = gains.get(id(fastest), (None, None, None))
    return Best(fastest, default, speed, low, high, tuple(undecided), len(usable), len(group) - len(usable))


def default_point(group: Sequence[Point]) -> Point | None:
    """The point in the configuration of `analyze time` without options: float32, contiguous, eager, on all processors.

    If all processors were not measured, that with most threads.
    """
    plain = [
        point for point in group
        if (point.configuration.dtype, point.configuration.layout) == ("float32", "contiguous")
        and not point.configuration.compiled
    ]  # fmt: skip
    threads = [point for point in plain if point.configuration.threads == point.processors]
    return next(iter(threads), max(plain, key=lambda point: point.configuration.threads, default=None))


def _gain(before: Point, after: Point, confidence: float) -> tuple[float, float, float]:
    """How many times as fast `after` is as `before` at the same batch, and the interval of this ratio."""
    from analyzer.timing.statistics import median_ratio_interval  # Imports numpy: not for grids without times.

    return before.median.value / after.median.value, *median_ratio_interval(after.median, before.median, confidence)
