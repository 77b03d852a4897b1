"""What was timed beside the parts of a cell, as tables: its kernels, and its modules alone. Neither is in a sum."""

from __future__ import annotations

from collections import defaultdict

from analyzer.core.units import seconds
from analyzer.records.record import Record
from reports.counting.network import TOP_LEVEL
from reports.table import Cell, Column, Name, Share, Table
from reports.timing.parts import cell_of, rank, time_of

KERNELS = 15


def kernels(record: Record, depth: int) -> list[Table]:
    """The kernels that take most, under the modules down to `depth` that ran them."""
    cell = cell_of(record)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in cell.of("kernel"):
        found[one.op, ".".join(one.path.split(".")[:depth]) or TOP_LEVEL].append(one.median_s)
    if not found:
        return []
    total = sum(map(sum, found.values()))
    rows = tuple(
        (Name(kernel), path, f"{len(times)}", seconds(sum(times)), Share(sum(times) / total))
        for (kernel, path), times in sorted(found.items(), key=lambda item: -sum(item[1]))[:KERNELS]
    )
    note = (
        "By torch.profiler, whose own cost is in them: time of one pass, without that of kernels called inside; "
        f"{min(KERNELS, len(found))} of {len(found)} shown."
    )
    names = (Column("kernel", "left"), Column("module", "left"))
    columns = (*names, Column("places"), Column("time"), Column("share", "left"))
    return [Table(f"{record.label}: kernels, {cell.trust[0]}", columns, rows, notes=(note,))]


def replays(record: Record) -> list[Table]:
    """Each module alone, hot and flushed, beside its time in the pass; never part of its sums."""
    cell = cell_of(record)
    hot = {(one.path, one.op, one.call): one for one in cell.of("replay")}
    cold = {(one.path, one.op, one.call): one for one in cell.of("replay_cold")}
    if not hot:
        return []
    inside = {(one.path, one.op, one.call): time for one, time in cell.parts.items() if one.phase == "forward"}
    longest = sorted(hot, key=lambda key: rank(hot[key].median_s))[:KERNELS]
    rows: list[tuple[Cell, ...]] = []
    for key in longest:
        flushed = cold[key].median_s if key in cold else None
        rows.append((Name(key[0]), time_of(inside.get(key)), time_of(hot[key].median_s), time_of(flushed)))
    columns = (Column("module alone", "left"), Column("in the pass"), Column("hot"), Column("flushed"))
    note = (
        "A what-if: by itself, its data in the caches or flushed from them. Not what it costs in its place; "
        f"{len(longest)} of {len(hot)} shown."
    )
    return [Table(f"{record.label}: replay, {cell.trust[0]}", columns, tuple(rows), notes=(note,))]
