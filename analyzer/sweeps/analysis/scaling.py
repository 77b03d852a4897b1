"""Throughput over the batch and over threads, against linear scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.points import Machine, Point, distance_from_default

Axis: TypeAlias = Literal["batch", "threads"]
AXES: tuple[Axis, ...] = ("batch", "threads")


class Step(Frozen):
    """`efficiency` is the gain in samples per second over the first step ÷ the growth of the axis, with its 95 %
    interval; linear scaling is 1."""

    at: int
    point: Point
    efficiency: float
    low: float
    high: float


class Curve(Frozen):
    """One model in configurations that differ in `axis` alone, by ascending axis."""

    axis: Axis
    model: str
    machine: Machine
    steps: tuple[Step, ...]


def scaling_curves(points: Sequence[Point], axis: Axis) -> list[Curve]:
    """The curves with two steps or more, those with most steps first; of equals those nearest to the default.

    Void times are left out.
    """
    groups: dict[object, list[Point]] = {}
    for point in points:
        if point.usable:
            fixed = point.configuration.replace(**{axis: 1})
            groups.setdefault((point.name, point.machine, fixed), []).append(point)
    curves = [
        Curve(axis, group[0].name, group[0].machine, tuple(_steps(group, axis)))
        for group in groups.values()
        if len(group) > 1
    ]
    return sorted(
        curves, key=lambda curve: (-len(curve.steps), distance_from_default(curve.steps[0].point.configuration))
    )


def _steps(group: Sequence[Point], axis: Axis) -> list[Step]:
    from analyzer.timing.statistics import median_ratio_interval  # Imports numpy: not for grids without times.

    ordered = sorted(group, key=lambda point: int(getattr(point.configuration, axis)))
    first = ordered[0]
    steps = []
    for point in ordered:
        at, start = (int(getattr(each.configuration, axis)) for each in (point, first))
        # Efficiency is (batch ÷ time) ÷ (first batch ÷ first time) ÷ (at ÷ start).
        factor = point.configuration.batch / first.configuration.batch * start / at
        low, high = (1.0, 1.0) if point is first else median_ratio_interval(point.median, first.median)
        value = first.median.value / point.median.value
        steps.append(Step(at, point, factor * value, factor * low, factor * high))
    return steps
