"""The fits of a model: one over all axes or, along a single axis, one for each range on which another formula holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analyzer.records.record import Record
from analyzer.records.rows import Row
from analyzer.scaling.axes import Axis
from analyzer.scaling.fit import PROBE_FACTOR, AxisFit, Evaluate, Fit, fit_axis, fit_grid

SPATIAL = {"height": -2, "width": -1, "frames": -3}  # Dimensions of an image.
MAX_RANGES = 8


def fits_of(count: Evaluate, axes: Sequence[Axis], base: Record, limits: Mapping[str, int]) -> Iterator[Fit]:
    """`base` is the record at the present sizes, `limits` the largest sizes of interest."""

    def along(axis: Axis, start: int, limit: int | None) -> AxisFit | None:
        return fit_axis(lambda size: count({axis.name: size}), start, guesses=likely_steps(base, axis), limit=limit)

    fits: dict[str, AxisFit] = {}
    for axis in axes:
        fit = along(axis, axis.base, limits.get(axis.name))
        if fit is None:
            yield Fit({}, {}, dict.fromkeys(count({}) or (), f"no polynomial in {axis.name}"))
            return
        fits[axis.name] = fit
    yield fit_grid(count, fits, {axis.name: axis.base for axis in axes})
    if len(axes) > 1:
        return
    (axis,) = axes
    for _ in range(MAX_RANGES - 1):
        if fit is None or not fit.bounded:
            return
        start = fit.domain.high + fit.domain.step
        fit = along(axis, start, max(limits.get(axis.name, 0), axis.base * PROBE_FACTOR))
        if fit is None or start not in fit.domain:
            return
        yield fit_grid(count, {axis.name: fit}, {axis.name: start})


def likely_steps(record: Record, axis: Axis) -> tuple[int, ...]:
    """Likely periods of an image's size: how often the smallest map fits into it, exactly or as a power of 2, which
    also may be multiplied by the strides of pools beside the main path; and the present size, for windows."""
    dimension = SPATIAL.get(axis.name)
    if dimension is None:
        return ()
    sizes = [_size(row, dimension) for row in record.rows]
    smallest = min((size for size in sizes if size > 1), default=axis.base)
    ratio = axis.base // smallest
    power = 1 << max(ratio.bit_length() - 1, 0)
    exact = [ratio] if axis.base % smallest == 0 else []
    return tuple(dict.fromkeys((*exact, *(power * factor for factor in (1, 2, 3, 5, 6)), axis.base)))


def _size(row: Row, dimension: int) -> int:
    return next((shape[dimension] for shape in row.outputs if len(shape) >= 4), 0)
