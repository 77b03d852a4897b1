"""Heat maps: a number for each pair of values of two dimensions of the grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.dimensions import Dimension, Value, dimensions, sorted_values
from analyzer.sweeps.analysis.points import Machine, Point

HeatMetric: TypeAlias = Literal["samples_per_s", "macs", "params", "peak"]
METRICS: tuple[HeatMetric, ...] = ("samples_per_s", "macs", "params", "peak")
MAX_SLICES = 8
MAX_VALUES = 120  # Of a dimension.


class HeatCell(Frozen):
    """`value` is None if all results of the cell are void or failed, as `state` tells. `merged` results were there."""

    value: float | None
    state: Literal["ok", "noisy", "void", "failed"]
    merged: int = 1


class HeatMap(Frozen):
    """`cells` by row (`y`) and column (`x`); None where nothing ran. `y` is empty for one dimension.

    `fixed` are the values of the other dimensions; `over` are dimensions of which each cell has the best: the most
    samples per second, the smallest count. `left_out` is how many values of the dimensions are not shown. `step` tells
    whether MACs are those of a training step.
    """

    metric: HeatMetric
    x: str
    y: str
    x_values: tuple[Value, ...]
    y_values: tuple[Value, ...]
    cells: tuple[tuple[HeatCell | None, ...], ...]
    fixed: tuple[tuple[str, Value], ...] = ()
    over: tuple[str, ...] = ()
    left_out: int = 0
    step: bool = False

    @property
    def varies(self) -> bool:
        """Whether its numbers depend on each of its dimensions."""
        values = [[cell.value if cell else None for cell in row] for row in self.cells]
        columns = [list(column) for column in zip(*values, strict=True)]
        return all(any(map(_differ, lines, lines[1:])) for lines in (values, columns) if len(lines) > 1)


def _differ(line: Sequence[float | None], other: Sequence[float | None]) -> bool:
    return any(a != b for a, b in zip(line, other, strict=True) if a is not None and b is not None)


def heat_maps(points: Sequence[Point], machines: Mapping[Machine, str], axes: Sequence[str] = ()) -> list[HeatMap]:
    """The heat maps over `axes`, by default the two dimensions with most values; none for a single configuration.

    Counts that do not depend on both are left out. Times have a map for each setting of the other dimensions, if these
    are at most eight. Raises AnalyzerError for an unknown axis.
    """
    known = dimensions(points, machines)
    for axis in axes:
        if axis not in known:
            raise AnalyzerError(f"no axis {quoted(axis)} with several values in these results; {nearest(axis, known)}")
    chosen = list(axes or known)[:2]
    if not chosen:
        return []
    y, x = chosen if len(chosen) > 1 else ["", chosen[0]]
    maps = [heat_map for metric in METRICS for heat_map in _of_metric(points, known, metric, x, y)]
    return [heat_map for heat_map in maps if heat_map.metric == "samples_per_s" or heat_map.varies] or maps[:1]


def _of_metric(
    points: Sequence[Point], known: Mapping[str, Dimension], metric: HeatMetric, x: str, y: str
) -> list[HeatMap]:
    if not any(_value(point, metric) is not None for point in points):
        return []
    timed = metric == "samples_per_s"
    others = {name: dimension for name, dimension in known.items() if name not in (x, y)}
    shown = [point for point in points if point.failed or point.time] if timed else list(points)
    slices: dict[tuple[Value, ...], list[Point]] = {}
    for point in shown:
        slices.setdefault(tuple(dimension(point) for dimension in others.values()), []).append(point)
    if not timed or len(slices) > MAX_SLICES:
        return [_heat_map(shown, known, metric, x, y, over=tuple(others))]
    ordered = sorted(slices.items(), key=lambda item: -len(item[1]))
    ordered = [item for item in ordered if len(item[1]) > 1] or ordered[:1]  # A single cell is no map.
    return [
        _heat_map(group, known, metric, x, y, fixed=tuple(zip(others, values, strict=True)))
        for values, group in ordered
        if any(point.usable for point in group)
    ]


def _heat_map(
    points: Sequence[Point], known: Mapping[str, Dimension], metric: HeatMetric, x: str, y: str,
    *, fixed: tuple[tuple[str, Value], ...] = (), over: tuple[str, ...] = (),
) -> HeatMap:  # fmt: skip
    across, down = known[x], known[y] if y else _nothing
    every_x, every_y = sorted_values(across, points), sorted_values(down, points)
    x_values, y_values = every_x[:MAX_VALUES], every_y[:MAX_VALUES]
    groups: dict[tuple[Value, Value], list[Point]] = {}
    for point in points:
        groups.setdefault((down(point), across(point)), []).append(point)
    cells = {place: _cell(groups[place], metric) for place in product(y_values, x_values) if place in groups}
    differing = {name for name in over for group in groups.values() if len(set(map(known[name], group))) > 1}
    exact = metric != "samples_per_s" and all(_constant(group, metric) for group in groups.values())
    return HeatMap(
        metric, x, y, tuple(x_values), tuple(y_values),
        tuple(tuple(cells.get((row, column)) for column in x_values) for row in y_values),
        fixed,
        () if exact else tuple(name for name in over if name in differing),
        len(every_x) - len(x_values) + len(every_y) - len(y_values),
        any(point.step for point in points),
    )  # fmt: skip


def _nothing(point: Point) -> Value:
    return ""


def _constant(group: Sequence[Point], metric: HeatMetric) -> bool:
    return len({value for point in group if (value := _value(point, metric)) is not None}) <= 1


def _cell(group: Sequence[Point], metric: HeatMetric) -> HeatCell:
    usable = [(value, point) for point in group if (value := _value(point, metric)) is not None]
    if not usable:
        return HeatCell(None, "void" if any(point.time for point in group) else "failed", len(group))
    best = max if metric == "samples_per_s" else min
    value, chosen = best(usable, key=lambda item: item[0])
    noisy = metric == "samples_per_s" and chosen.time is not None and chosen.time.quality == "noisy"
    return HeatCell(value, "noisy" if noisy else "ok", len(usable))


def _value(point: Point, metric: HeatMetric) -> float | None:
    if metric == "samples_per_s":
        return point.samples_per_s if point.usable else None
    value: int | None = getattr(point, metric)
    return value
