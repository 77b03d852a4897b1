"""Pareto fronts: the models that no other beats in both cost and size (or accuracy)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import inf
from typing import Literal, TypeAlias, TypeVar

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.accuracy import Accuracy
from analyzer.sweeps.analysis.points import Machine, Point, distance_from_default

Key = TypeVar("Key")
Cost: TypeAlias = Literal["time", "macs"]
CONFIDENCE = 0.95
MAX_SETTINGS = 4  # Fronts of times, each at one configuration on one machine.


class Candidate(Frozen):
    """A model with its cost, the interval of the cost, and its size or accuracy. MACs are exact: low = high."""

    point: Point
    cost: float
    low: float
    high: float
    value: float
    on_front: bool = False


class Front(Frozen):
    """`cost` against `against`: "params", of which fewer are better, or the title of an accuracy.

    `setting` is the configuration at which all candidates were counted or timed. `confidence` is that of each interval.
    """

    cost: Cost
    against: str
    setting: str
    machine: Machine
    candidates: tuple[Candidate, ...]
    confidence: float = CONFIDENCE

    @property
    def front(self) -> tuple[Candidate, ...]:
        return tuple(sorted((item for item in self.candidates if item.on_front), key=lambda item: item.cost))


def fronts(points: Sequence[Point], accuracy: Accuracy | None = None, *, first: Cost | None = None) -> list[Front]:
    """The fronts with two models or more; those of the cost `first` and those of accuracies come first."""
    every_front = [*_times(points, accuracy), *_macs(points, accuracy)]
    return sorted(every_front, key=lambda front: (front.cost != first if first else 0, front.against == "params"))


def _times(points: Sequence[Point], accuracy: Accuracy | None) -> Iterator[Front]:
    """At the configurations and machines at which most models were timed; of equals at those nearest to the default."""
    timed = [point for point in points if point.usable]
    groups = _groups(timed, lambda point: (point.machine, point.configuration))
    for (machine, configuration), group in list(groups.items())[:MAX_SETTINGS]:
        for against, values in _values(group, accuracy):
            confidence = 1 - (1 - CONFIDENCE) / len(values)  # Dunn 1961: all intervals hold together.
            candidates = []
            for point, value in values:
                low, high = point.median.interval(confidence)
                candidates.append(Candidate(point, point.median.value, max(low, 0.0), high, value))
            yield _front("time", against, configuration.label, machine, candidates, confidence)


def _macs(points: Sequence[Point], accuracy: Accuracy | None) -> Iterator[Front]:
    """At the batch and mode at which most models were counted."""
    counted = {(p.name, p.configuration.batch, p.configuration.mode): p for p in points if p.macs is not None}
    groups = _groups(list(counted.values()), lambda point: (point.configuration.batch, point.configuration.mode))
    for (batch, mode), group in list(groups.items())[:1]:
        for against, values in _values(group, accuracy):
            candidates = [Candidate(p, p.macs or 0, p.macs or 0, p.macs or 0, value) for p, value in values]
            yield _front("macs", against, f"batch {batch}, {mode}", (), candidates, 1.0)


def _groups(points: Sequence[Point], key: Callable[[Point], Key]) -> dict[Key, list[Point]]:
    """The groups of two models or more, the largest first."""
    groups: dict[Key, list[Point]] = {}
    for point in points:
        groups.setdefault(key(point), []).append(point)
    large = [(name, group) for name, group in groups.items() if len({point.name for point in group}) > 1]
    return dict(sorted(large, key=lambda item: (-len(item[1]), distance_from_default(item[1][0].configuration))))


def _values(group: Sequence[Point], accuracy: Accuracy | None) -> Iterator[tuple[str, list[tuple[Point, float]]]]:
    """The size of each point and, where it is known, its accuracy."""
    if accuracy:
        known = [(point, accuracy.values[point.model]) for point in group if point.model in accuracy.values]
        if len(known) > 1:
            yield accuracy.title, known
    sizes = [(point, float(point.params)) for point in group if point.params is not None]
    if len({size for _, size in sizes}) > 1:
        yield "params", sizes


def _front(
    cost: Cost, against: str, setting: str, machine: Machine, candidates: Sequence[Candidate], confidence: float
) -> Front:
    sign = 1 if against == "params" else -1
    marked = mark_front(candidates, lambda item: sign * item.value)
    return Front(cost, against, setting, machine, tuple(marked), confidence)


def mark_front(candidates: Sequence[Candidate], worth: Callable[[Candidate], float]) -> list[Candidate]:
    """Marks the candidates that are not dominated; `worth` is the less the better.

    A candidate is dominated if another is as good in `worth` or better and the whole interval of its cost lies below
    the candidate's, or if its cost is certainly no higher (exact and equal) and its `worth` is better.
    """
    marked: list[Candidate] = []
    best = best_exact = inf  # The lowest upper ends of intervals, of any candidate and of exact ones, so far.
    for _, group in groupby(sorted(candidates, key=worth), key=worth):
        alike = list(group)
        lowest = min(best, *(item.high for item in alike))
        marked += [item.replace(on_front=item.low <= lowest and item.low < best_exact) for item in alike]
        best, best_exact = lowest, min(best_exact, *(item.high for item in alike if item.low == item.high), inf)
    return marked
