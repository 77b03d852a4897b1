"""The figures of a record as integers by name: its metrics, and the MACs of each kind of operator."""

from __future__ import annotations

from analyzer.records.record import Record, restrict

FORWARD = ("params", "macs", "flops", "activations", "traffic")
TRAINING = ("backward_macs", "backward_flops", "step_macs", "step_flops")


def values_of(record: Record, module: str | None = None) -> dict[str, int]:
    """The metrics of a record or of one module, and `macs of conv2d` for each operator with MACs.

    The peak of memory is of the whole model only.
    """
    if module is not None:
        record = restrict(record, module)
    totals = record.totals
    names = FORWARD if totals.backward_macs is None else (*FORWARD, *TRAINING)
    values = {name: int(totals.value(name) or 0) for name in names}
    if module is None and record.memory is not None:
        values["peak_memory"] = record.memory.peak
    by_operator: dict[str, int] = {}
    for row in record.rows:
        if row.macs:
            by_operator[row.op] = by_operator.get(row.op, 0) + row.macs
    return {**values, **{macs_of(op): value for op, value in by_operator.items()}}


def macs_of(op: str) -> str:
    return f"macs of {op}"
