"""Two bounds on the time of operators by a device's specifications: `direct` and `at least` (docs/timing.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from analyzer.core.frozen import Frozen
from analyzer.records.record import Record
from analyzer.records.rows import Row, is_below
from analyzer.timing.machine.fast_convolution import fewest_flops
from analyzer.timing.machine.roofline import Ceilings, Work, bound


class Bounds(Frozen):
    """Seconds with the multiplications of the direct algorithm, and with the fewest of any known algorithm.

    `bound_by` is the limit that applies to most of `at_least_s`: "compute" or "memory"; None without work.
    """

    direct_s: float
    at_least_s: float
    bound_by: str | None


class Works(NamedTuple):
    """The work of a row by both counts of multiplications."""

    direct: Work
    fewest: Work


def works_of(row: Row) -> Works:
    return Works((row.flops, row.bytes_read, row.bytes_written), (fewest_flops(row), row.bytes_read, row.bytes_written))


def bounds(works: Sequence[Works], ceilings: Ceilings) -> Bounds:
    """The sums over rows."""
    if not any(any(work.direct) for work in works):
        return Bounds(0.0, 0.0, None)
    direct_s, _ = bound([work.direct for work in works], ceilings)
    return Bounds(direct_s, *bound([work.fewest for work in works], ceilings))


def bounds_json(record: Record, ceilings: Ceilings) -> dict[str, Any]:
    """The key `bounds` of a record: of the network, its modules and its rows; both are in the record's order."""
    works = [(row, works_of(row)) for row in record.rows]
    rows = [{"path": row.path, "op": row.op, "call": row.call, **vars(bounds([work], ceilings))} for row, work in works]
    modules = [
        {
            "path": module.path,
            **vars(bounds([work for row, work in works if is_below(row.path, module.path)], ceilings)),
        }
        for module in record.modules
    ]
    return {
        "device": ceilings.source,
        "peak_flops_per_s": ceilings.flops_per_s,
        "peak_type": ceilings.peak_type,
        "memory_bytes_per_s": ceilings.levels[-1].bytes_per_s,
        **vars(bounds([work for _, work in works], ceilings)),
        "modules": modules,
        "rows": rows,
    }
