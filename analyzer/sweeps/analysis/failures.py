"""Failures by reason."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.points import Point

NUMBER = re.compile(r"\d[\d.,]*")


class Failure(Frozen):
    """Configurations that failed for one `reason`; reasons that differ in numbers and the model alone are one."""

    reason: str
    points: tuple[Point, ...]


def _without_model(point: Point) -> str:
    """The reason without the name of the model in front."""
    return point.reason.removeprefix(f"{point.model}: ").removeprefix(f"{point.base}: ")


def group_failures(points: Sequence[Point]) -> list[Failure]:
    """The most frequent first."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        if point.failed:
            name = rf"(?<!\w)({re.escape(point.model)}|{re.escape(point.base)})(?!\w)"
            groups.setdefault(NUMBER.sub("N", re.sub(name, "MODEL", point.reason)), []).append(point)
    failures = [Failure(_without_model(group[0]), tuple(group)) for group in groups.values()]
    return sorted(failures, key=lambda failure: -len(failure.points))
