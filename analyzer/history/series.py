"""Groups points into series: one metric of one model in one configuration and environment, run after run.

A shared machine slows down all times of a run alike. A time is therefore divided by the time of a reference workload in
the same run, or else by what all other times of the run share: the median of their deviations from their usual values.
Counts depend on no machine and are left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.history.point import REFERENCE, TIME, Point, differing_keys

Normalization: TypeAlias = Literal["reference", "shared", "none"]
MIN_OTHER_TIMES = 3  # With two other times in a run it is unknown which of them changed.
POLISH_ITERATIONS = 10


class Series(Frozen):
    """`levels` are the logarithms of the normalized times; None if a run has no value to divide by.

    Times of quality void are not among `points`; `void` is their number.
    """

    model: str
    metric: str
    configuration: str
    environment: str
    points: tuple[Point, ...]
    normalization: Normalization = "none"
    levels: tuple[float | None, ...] = ()
    void: int = 0

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
        series = _normalize(series, _reference_times(points, reference))
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
    """Divides each series by the first divisor that more than half of its points have."""
    shifts = shared_shifts(series)
    normalized = []
    for index, group in enumerate(series):
        logs = [math.log(point.value) for point in group.points]
        divisors: dict[Normalization, list[float | None]] = {
            "reference": [
                None if (time_s := references.get((point.run, point.environment))) is None else math.log(time_s)
                for point in group.points
            ],
            "shared": [shifts.get((index, point.run)) for point in group.points],
            "none": [0.0] * len(logs),
        }
        available = [name for name, values in divisors.items() if 2 * sum(v is not None for v in values) > len(logs)]
        method = available[0] if available else "none"
        levels = [
            None if divisor is None else log - divisor for log, divisor in zip(logs, divisors[method], strict=True)
        ]
        normalized.append(group.replace(normalization=method, levels=tuple(levels)))
    return normalized


def shared_shifts(series: Sequence[Series]) -> dict[tuple[int, str], float]:
    """Maps (index of a series, run) to the deviation of the run's other times from their usual values, as a logarithm.

    Usual values are found by median polish (Tukey 1977, ch. 11). The median over the others is affected neither by the
    series' own change nor by changes in fewer than half of the others.
    """
    logs = {(index, point.run): math.log(point.value) for index, group in enumerate(series) for point in group.points}
    by_run: dict[tuple[str, str], list[int]] = {}
    for index, run in logs:
        by_run.setdefault((run, series[index].environment), []).append(index)
    runs = [(run, indices) for (run, _), indices in by_run.items() if len(indices) > MIN_OTHER_TIMES]
    shifts = [0.0] * len(runs)
    usual: dict[int, float] = {}
    for _ in range(POLISH_ITERATIONS):
        residuals: dict[int, list[float]] = {}
        for (run, indices), shift in zip(runs, shifts, strict=True):
            for index in indices:
                residuals.setdefault(index, []).append(logs[index, run] - shift)
        usual = {index: median(values) for index, values in residuals.items()}
        shifts = [median(logs[index, run] - usual[index] for index in indices) for run, indices in runs]
    return {
        (index, run): median(logs[other, run] - usual[other] for other in indices if other != index)
        for run, indices in runs
        for index in indices
    }


def environment_differences(series: Sequence[Series]) -> dict[tuple[str, str], list[str]]:
    """For each (model, configuration) in several environments, the names of the parts in which these differ."""
    environments: dict[tuple[str, str], list[str]] = {}
    for group in series:
        environments.setdefault((group.model, group.configuration), []).append(group.environment)
    return {key: differing_keys(values) for key, values in environments.items() if len(values) > 1}
