"""Groups points into series: one metric of one model in one configuration and environment, run after run.

A shared machine slows down all times of a run alike. A time is therefore divided by the time of a reference workload in
the same run, or else by what all other times of the run share: the median of their deviations from their usual values.
With one or two other times it is unknown which of them changed; see `Series.quotients`. Counts depend on no machine and
are left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, TypeAlias

import numpy as np

from analyzer.core.frozen import Frozen
from analyzer.trends.point import REFERENCE, TIME, Point, differing_keys
from analyzer.trends.step_significance import difference_noise

Normalization: TypeAlias = Literal["reference", "shared", "none"]
MIN_OTHER_TIMES = 3  # With two other times in a run it is unknown which of them changed.
ALL = "(all)"  # The model of the series that all times of a run share.
POLISH_ITERATIONS = 10


class Series(Frozen):
    """`levels` are the logarithms of the normalized times; None if a run has no value to divide by.

    Times of quality void are not among `points`; `void` is their number. `quotients` are further series that must show
    at least half of a change, where a run has only two or three times: the levels relative to each other time alone, or
    for the series ALL each time.
    """

    model: str
    metric: str
    configuration: str
    environment: str
    points: tuple[Point, ...]
    normalization: Normalization = "none"
    levels: tuple[float | None, ...] = ()
    void: int = 0
    quotients: tuple[tuple[float | None, ...], ...] = ()

    @property
    def timed(self) -> bool:
        return self.metric == TIME


def build_series(
    points: Sequence[Point], metric: str = TIME, model: str | None = None, reference: str | None = None
) -> tuple[Series, ...]:
    """All series of a metric, or only one model's, in the order of their first runs.

    `reference` names a model or benchmark to take as the reference workload.
    """
    series = _group([point for point in points if point.metric == metric])
    if metric == TIME:
        normalized = _normalize(series, _reference_times(points, reference))
        series = [*normalized, *_common_courses(normalized)]
    return tuple(group for group in series if model is None or group.model == model)


def _group(points: Sequence[Point]) -> list[Series]:
    groups: dict[tuple[str, str, str, str], list[Point]] = {}
    for point in points:
        groups.setdefault((point.model, point.metric, point.configuration, point.environment), []).append(point)
    # A time of 0 is below the clock's resolution and has no logarithm.
    return [
        Series(*key, tuple(point for point in group if point.quality != "void" and (point.value > 0 or key[1] != TIME)),
               void=sum(point.quality == "void" for point in group))
        for key, group in groups.items()
    ]  # fmt: skip


def _reference_times(points: Sequence[Point], name: str | None) -> dict[tuple[str, str], float]:
    """The reference workload's time in seconds by (run, environment); the median if a run has several."""
    times: dict[tuple[str, str], list[float]] = {}
    for point in points:
        is_reference = point.metric == REFERENCE if name is None else point.metric == TIME and point.model == name
        if is_reference and point.value > 0:
            times.setdefault((point.run, point.environment), []).append(point.value)
    return {key: median(values) for key, values in times.items()}


def _normalize(series: Sequence[Series], references: Mapping[tuple[str, str], float]) -> list[Series]:
    """Divides each series by the first divisor that more than half of its points have.

    One or two other times are a divisor only if they make the noise smaller: their own noise is added to it.
    """
    course = _CommonCourse(series)
    normalized = []
    for index, group in enumerate(series):
        logs = [math.log(point.value) for point in group.points]
        few = course.others[index] < MIN_OTHER_TIMES
        reference = [references.get((point.run, point.environment)) for point in group.points]
        divisors: dict[Normalization, list[float | None]] = {
            "reference": [None if time_s is None else math.log(time_s) for time_s in reference],
            "shared": [course.shift(index, point.run) for point in group.points],
        }
        available = [name for name, values in divisors.items() if 2 * sum(v is not None for v in values) > len(logs)]
        method = available[0] if available else "none"
        if method == "shared" and few and not _is_quieter(logs, divisors["shared"]):
            method = "none"
        levels = _difference(logs, divisors.get(method) or [0.0] * len(logs))
        quotients = [
            _difference(logs, [course.deviation(other, point.run) for point in group.points])
            for other in (course.neighbors(index) if method != "reference" and few else ())
        ]
        normalized.append(group.replace(normalization=method, levels=levels, quotients=tuple(quotients)))
    return normalized


def _difference(logs: Sequence[float], divisor: Sequence[float | None]) -> tuple[float | None, ...]:
    return tuple(None if shift is None else log - shift for log, shift in zip(logs, divisor, strict=True))


def _is_quieter(logs: Sequence[float], divisor: Sequence[float | None]) -> bool:
    pairs = [(log, shift) for log, shift in zip(logs, divisor, strict=True) if shift is not None]
    raw, shifts = np.array(pairs).T
    return difference_noise(raw - shifts) < difference_noise(raw)


def _common_courses(series: Sequence[Series]) -> list[Series]:
    """For each environment, what its times share, as a series named ALL: a ratio to its usual value in each run.

    It may change because of the machine, or of code that all benchmarks use; no other series shows the latter. Of two
    or three times each must show the change, since one alone moves their median.
    """
    courses = []
    for environment in dict.fromkeys(group.environment for group in series):
        groups = [
            group
            for group in series
            if group.environment == environment and (group.normalization == "shared" or group.quotients)
        ]
        course, few = _CommonCourse(groups), all(group.quotients for group in groups)
        runs = {point.run: point for group in groups if few or not group.quotients for point in group.points}
        points = [
            point.replace(
                model=ALL, configuration="", value=math.exp(course.shifts[point.run, environment]), quality=""
            )
            for point in sorted(runs.values(), key=lambda point: (point.created, point.run))
            if (point.run, environment) in course.shifts
        ]
        if points:
            levels = tuple(math.log(point.value) for point in points)
            indices = range(len(groups)) if few else ()
            times = tuple(tuple(course.deviation(index, point.run) for point in points) for index in indices)
            courses.append(Series(ALL, TIME, "", environment, tuple(points), levels=levels, quotients=times))
    return courses


class _CommonCourse:
    """What all times of a run share, by median polish (Tukey 1977, ch. 11): usual values, and each run's shift.

    All are logarithms. `others` is the usual number of other times in a run of each series.
    """

    def __init__(self, series: Sequence[Series]) -> None:
        self.series = series
        self.logs = {(index, p.run): math.log(p.value) for index, group in enumerate(series) for p in group.points}
        self.indices: dict[tuple[str, str], list[int]] = {}
        for index, run in self.logs:
            self.indices.setdefault((run, series[index].environment), []).append(index)
        counts: dict[int, list[int]] = {}
        for indices in self.indices.values():
            for index in indices:
                counts.setdefault(index, []).append(len(indices) - 1)
        self.others = [int(median(counts.get(index, [0]))) for index in range(len(series))]
        self.usual: dict[int, float] = {}
        self.shifts: dict[tuple[str, str], float] = {}
        self._polish()

    def _polish(self) -> None:
        runs = {key: indices for key, indices in self.indices.items() if len(indices) > 1}
        self.shifts = dict.fromkeys(runs, 0.0)
        for _ in range(POLISH_ITERATIONS):
            residuals: dict[int, list[float]] = {}
            for key, indices in runs.items():
                for index in indices:
                    residuals.setdefault(index, []).append(self.logs[index, key[0]] - self.shifts[key])
            self.usual = {index: median(values) for index, values in residuals.items()}
            self.shifts = {
                key: median(self.logs[index, key[0]] - self.usual[index] for index in indices)
                for key, indices in runs.items()
            }

    def deviation(self, index: int, run: str) -> float | None:
        """How far a time is from its usual value; None if the run lacks it."""
        return self.logs[index, run] - self.usual[index] if (index, run) in self.logs and index in self.usual else None

    def shift(self, index: int, run: str) -> float | None:
        """The median deviation of the run's other times: a change of the series itself does not affect it."""
        others = [other for other in self.indices[run, self.series[index].environment] if other != index]
        if len(others) < min(max(self.others[index], 1), MIN_OTHER_TIMES):
            return None
        return median(self.logs[other, run] - self.usual[other] for other in others)

    def neighbors(self, index: int) -> list[int]:
        """The series that share more than half of this series' runs."""
        shared: dict[int, int] = {}
        for point in self.series[index].points:
            for other in self.indices[point.run, self.series[index].environment]:
                shared[other] = shared.get(other, 0) + 1
        runs = len(self.series[index].points)
        return [other for other, count in shared.items() if other != index and 2 * count > runs]


def environment_differences(series: Sequence[Series]) -> dict[tuple[str, str], list[str]]:
    """For each (model, configuration) in several environments, the names of the parts in which these differ."""
    environments: dict[tuple[str, str], list[str]] = {}
    for group in series:
        environments.setdefault((group.model, group.configuration), []).append(group.environment)
    return {key: differing_keys(values) for key, values in environments.items() if len(values) > 1}
