"""The figures of a record that are formulas of its sizes, and the likely period of an image's size."""

from __future__ import annotations

from analyzer.records.record import Record
from analyzer.records.rows import Row
from analyzer.scaling.axes import Axis

FORWARD = ("params", "macs", "flops", "activations", "traffic")
TRAINING = ("backward_macs", "backward_flops", "step_macs", "step_flops")


def values_of(record: Record, *, memory: bool) -> dict[str, int]:
    """The metrics of a record, with the peak of memory if wanted, and `macs of conv2d` for each operator with MACs."""
    totals = record.totals
    names = FORWARD if totals.backward_macs is None else (*FORWARD, *TRAINING)
    values = {name: int(totals.value(name) or 0) for name in names}
    if memory and record.memory is not None:
        values["peak_memory"] = record.memory.peak
    by_operator: dict[str, int] = {}
    for row in record.rows:
        if row.macs:
            by_operator[row.op] = by_operator.get(row.op, 0) + row.macs
    return {**values, **{macs_of(op): value for op, value in by_operator.items()}}


def macs_of(op: str) -> str:
    return f"macs of {op}"


def likely_steps(record: Record, axis: Axis) -> tuple[int, ...]:
    """Likely periods of an image's size: how often the smallest map fits into it, exactly or as a power of 2, which
    also may be multiplied by the strides of pools beside the main path; and the present size, for windows."""
    dimension = {"height": -2, "width": -1, "frames": -3}[axis.name]
    sizes = [_size(row, dimension) for row in record.rows]
    smallest = min((size for size in sizes if size > 1), default=axis.base)
    ratio = axis.base // smallest
    power = 1 << max(ratio.bit_length() - 1, 0)
    exact = [ratio] if axis.base % smallest == 0 else []
    return tuple(dict.fromkeys((*exact, *(power * factor for factor in (1, 2, 3, 5, 6)), axis.base)))


def _size(row: Row, dimension: int) -> int:
    return next((shape[dimension] for shape in row.outputs if len(shape) >= 4), 0)
