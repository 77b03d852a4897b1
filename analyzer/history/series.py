"""Points → series: one figure of one model at one configuration on one machine, run after run, less the machine.

What slowed a whole run says nothing of one model. A time is therefore held against the time of a fixed piece of work of
the same run where there is one, and else against what the other times of the run share: the median of how far each is
from where it usually is. Counts have no noise and are left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.history.point import REFERENCE, TIME, Point, differing

Against: TypeAlias = Literal["reference", "shared", "nothing"]
LEAST_OTHERS = 3  # Of two other times of a run nobody can say which one moved.
ROUNDS = 10


class Series(Frozen):
    """`levels`: the logarithm of each time over what it is held against; None where the run lacks that.

    `void` points mean nothing and are not among `points`; they are counted.
    """

    model: str
    metric: str
    configuration: str
    environment: str
    points: tuple[Point, ...]
    against: Against = "nothing"
    levels: tuple[float | None, ...] = ()
    void: int = 0

    @property
    def timed(self) -> bool:
        return self.metric == TIME


def series(
    points: Sequence[Point], metric: str = TIME, model: str | None = None, reference: str | None = None
) -> tuple[Series, ...]:
    """All series of a metric, of one model if it is named, in the order of their first runs.

    `reference` names a model whose time is the fixed piece of work of each run.
    """
    wanted = [point for point in points if point.metric == metric]
    if metric == TIME:
        void = [point for point in wanted if point.quality == "void"]
        found = _normalised(_grouped(wanted), _references(points, reference))
        found = [one.replace(void=sum(_key(point) == _of(one) for point in void)) for one in found]
    else:
        found = _grouped(wanted)
    return tuple(one for one in found if model is None or one.model == model)


def _grouped(points: Sequence[Point]) -> list[Series]:
    groups: dict[tuple[str, str, str, str], list[Point]] = {}
    for point in points:
        own = groups.setdefault(_key(point), [])
        # A time of 0 has no logarithm: a clock that does not resolve it says nothing of it.
        if point.quality != "void" and (point.value > 0 or point.metric != TIME):
            own.append(point)
    return [
        Series(model, name, configuration, environment, tuple(own))
        for (model, name, configuration, environment), own in groups.items()
    ]


def _key(point: Point) -> tuple[str, str, str, str]:
    return point.model, point.metric, point.configuration, point.environment


def _of(one: Series) -> tuple[str, str, str, str]:
    return one.model, one.metric, one.configuration, one.environment


def _references(points: Sequence[Point], named: str | None) -> dict[tuple[str, str], float]:
    """What each (run, environment) took for the fixed piece of work, in seconds; the median of several."""
    taken: dict[tuple[str, str], list[float]] = {}
    for point in points:
        fixed = point.metric == REFERENCE if named is None else point.metric == TIME and point.model == named
        if fixed and point.value > 0:
            taken.setdefault((point.run, point.environment), []).append(point.value)
    return {key: median(values) for key, values in taken.items()}


def _normalised(found: Sequence[Series], references: Mapping[tuple[str, str], float]) -> list[Series]:
    """Each series against the best that most of its points have; points that lack it have no level."""
    shared = shifts(found)
    done = []
    for index, one in enumerate(found):
        by_reference = [references.get((point.run, point.environment)) for point in one.points]
        by_shared = [shared.get((index, point.run)) for point in one.points]
        raw = [math.log(point.value) for point in one.points]
        if 2 * sum(value is not None for value in by_reference) > len(raw):
            levels = [None if value is None else log - math.log(value)
                      for log, value in zip(raw, by_reference, strict=True)]  # fmt: skip
            done.append(one.replace(against="reference", levels=tuple(levels)))
        elif 2 * sum(value is not None for value in by_shared) > len(raw):
            levels = [None if value is None else log - value for log, value in zip(raw, by_shared, strict=True)]
            done.append(one.replace(against="shared", levels=tuple(levels)))
        else:
            done.append(one.replace(levels=tuple(raw)))
    return done


def shifts(found: Sequence[Series]) -> dict[tuple[int, str], float]:
    """For (series, run): how far the other times of that run are from where they usually are, as a logarithm.

    Where a time usually is, is told by median polish. A median of others is moved neither by the series' own change
    nor, as long as fewer than half of them change at once, by theirs.
    """
    measurements = {
        (index, point.run): math.log(point.value) for index, one in enumerate(found) for point in one.points
    }
    members: dict[tuple[str, str], list[int]] = {}
    for index, run in measurements:
        members.setdefault((run, found[index].environment), []).append(index)
    shared = [(run, own) for (run, _), own in members.items() if len(own) > LEAST_OTHERS]
    shift = [0.0] * len(shared)
    usual: dict[int, float] = {}
    for _ in range(ROUNDS):
        apart: dict[int, list[float]] = {}
        for (run, own), moved in zip(shared, shift, strict=True):
            for index in own:
                apart.setdefault(index, []).append(measurements[index, run] - moved)
        usual = {index: median(values) for index, values in apart.items()}
        shift = [median(measurements[index, run] - usual[index] for index in own) for run, own in shared]
    return {
        (index, run): median(measurements[other, run] - usual[other] for other in own if other != index)
        for run, own in shared
        for index in own
    }


def incomparable(found: Sequence[Series]) -> dict[tuple[str, str], list[str]]:
    """Of each (model, configuration) with several environments, the parts in which these differ, by name."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one.model, one.configuration), []).append(one.environment)
    return {key: differing(own) for key, own in groups.items() if len(own) > 1}
