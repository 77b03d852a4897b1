"""Machine against machine: the same configurations on both, with the interval of the ratio of their times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.best_configuration import default_point
from analyzer.sweeps.analysis.points import Machine, Point

Outcome: TypeAlias = Literal["faster", "slower", "undecided"]


class Comparison(Frozen):
    """One configuration on two machines; `ratio` is the time on the second ÷ that on the first, with its 95 % interval.

    The outcome is that of the second machine: undecided if the interval includes 1.
    """

    first: Point
    second: Point
    ratio: float
    low: float
    high: float

    @property
    def outcome(self) -> Outcome:
        return "faster" if self.high < 1 else "slower" if self.low > 1 else "undecided"


class MachinePair(Frozen):
    first: Machine
    second: Machine
    comparisons: tuple[Comparison, ...]

    @property
    def outcomes(self) -> Counter[Outcome]:
        return Counter(comparison.outcome for comparison in self.comparisons)


def machine_pairs(points: Sequence[Point]) -> list[MachinePair]:
    """The machine with most times against each other one. Void times are left out."""
    by_machine: dict[Machine, list[Point]] = {}
    for point in points:
        if point.usable and point.machine:
            by_machine.setdefault(point.machine, []).append(point)
    if len(by_machine) < 2:
        return []
    first, *others = sorted(by_machine, key=lambda machine: -len(by_machine[machine]))
    pairs = (MachinePair(first, other, _compare(by_machine[first], by_machine[other])) for other in others)
    return [pair for pair in pairs if pair.comparisons]


def _compare(first: Sequence[Point], second: Sequence[Point]) -> tuple[Comparison, ...]:
    """Points of equal configurations. Between two kinds of device threads differ: those of the default are taken."""
    from analyzer.timing.statistics import median_ratio_interval  # Imports numpy: not for grids without times.

    devices = {point.configuration.device for point in (*first, *second)}
    before, after = (_by_configuration(points, devices) for points in (first, second))
    comparisons = []
    for key in before.keys() & after.keys():
        on_first, on_second = before[key].median, after[key].median
        interval = median_ratio_interval(on_first, on_second)
        comparisons.append(Comparison(before[key], after[key], on_second.value / on_first.value, *interval))
    return tuple(sorted(comparisons, key=lambda item: item.ratio))


def _by_configuration(points: Sequence[Point], devices: set[str]) -> dict[object, Point]:
    if len(devices) == 1:
        return {(point.name, point.configuration): point for point in points}
    groups: dict[object, list[Point]] = {}
    for point in points:
        groups.setdefault((point.name, point.configuration.replace(device="", threads=0)), []).append(point)
    return {key: _with_default_threads(group) for key, group in groups.items()}


def _with_default_threads(group: Sequence[Point]) -> Point:
    equal = [p.replace(configuration=p.configuration.replace(dtype="float32", layout="contiguous", compiled=False))
             for p in group]  # fmt: skip
    chosen = default_point(equal)
    return group[equal.index(chosen)] if chosen else group[0]
