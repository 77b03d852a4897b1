"""Memory as tables: what the peak consists of, memory by module, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, partial

from analyzer.core.units import scaled
from analyzer.counting.closed_form.max_batch import MAX_BATCH, largest_batches
from analyzer.records.record import OPTIMIZER_COPIES, Memory, Record
from reports import cells
from reports.counting.network import TOP_LEVEL, conditions, tree_name
from reports.table import Cell, Column, Row, Table, columns

GIB = 2**30
CAPACITIES_GIB = (8, 16, 24, 40, 80)
LIVENESS = (
    "Memory is counted by liveness: outputs of operators that a later operator still needs. Scratch space inside "
    "kernels and libraries is not counted. B are bytes, 1 GiB is 2^30 bytes."
)


def tables(record: Record, count: Callable[..., Record]) -> list[Table]:
    """The tables of one record; `count(batch=…, memory=True)` counts the same model at another batch."""
    if record.memory is None:
        reasons: list[Row] = [(note,) for note in record.notes]
        return [Table(f"Memory of {record.label}: unknown", columns("reason"), tuple(reasons))]
    peak = peak_parts({"size": record})
    rows = [(*row, f"{size.value:,}" if isinstance(size := row[1], Cell) else "") for row in peak.rows]
    title = f"Memory of {record.label}: {conditions(record)}"
    return [
        peak.replace(title=title, columns=(*peak.columns, Column("bytes")), rows=tuple(rows), notes=(LIVENESS,)),
        _modules(record.memory),
        _largest_batches(record, count),
    ]


def peak_parts(records: Mapping[str, Record]) -> Table:
    """What the peak of each record consists of: one row per part, one column per record; every record has memory."""
    training = any(record.mode == "training" for record in records.values())
    sizes = [_sizes(record.memory, training) for record in records.values() if record.memory]
    rows: list[Row] = [
        (Cell(name, depth=depth), *(cells.count("peak_memory", size[name, depth]) for size in sizes))
        for name, depth in sizes[0]
    ]
    rows.append((Cell("peak is in"), *map(_peak_place, records.values())))
    return Table("What the peak consists of", columns("memory", *records), tuple(rows))


def _sizes(memory: Memory, training: bool) -> dict[tuple[str, int], int]:
    """Bytes by name and depth of the row."""
    sizes = {
        ("parameters", 0): memory.parameters,
        ("buffers", 0): memory.buffers,
        ("inputs", 0): memory.inputs,
        ("activations at the peak", 0): memory.activations,
    }
    if not training:
        return {**sizes, ("peak", 0): memory.peak}
    optimizers = {(f"with {name}", 1): memory.peak + memory.optimizer(name) for name in OPTIMIZER_COPIES}
    saved = {("saved for backward", 1): memory.saved, ("gradients", 1): memory.gradients}
    return {**sizes, **saved, ("peak", 0): memory.peak, **optimizers}


def _peak_place(record: Record) -> str:
    assert record.memory
    return record.memory.peak_path or ("the backward pass" if record.mode == "training" else TOP_LEVEL)


def _modules(memory: Memory) -> Table:
    rows: list[Row] = [
        (name, scaled(module.allocated, "B"), scaled(module.peak, "B"))
        for module in memory.modules
        if (name := tree_name(module.path, "", 1))
    ]
    title = "By module: bytes allocated in it, and the peak memory while it ran"
    return Table(title, columns("module", "allocated", "peak memory"), tuple(rows))


def _largest_batches(record: Record, count: Callable[..., Record]) -> Table:
    """At inference without an optimizer; in training with each optimizer's state."""
    optimizers = list(OPTIMIZER_COPIES) if record.mode == "training" else [""]

    @cache
    def memory(batch: int) -> Memory:
        memory = count(batch=batch, memory=True).memory
        assert memory is not None
        return memory

    def peak(optimizer: str, batch: int) -> int:
        return memory(batch).peak + (memory(batch).optimizer(optimizer) if optimizer else 0)

    title = "Largest batch that fits" + (", by optimizer" if record.mode == "training" else "")
    titles = columns("memory", *(optimizer or "batch" for optimizer in optimizers))
    if memory(2).inputs == memory(1).inputs:
        note = "Unknown: the batch does not change this model's inputs; give them with --input."
        return Table(title, titles, (), notes=(note,))
    capacities = [gib * GIB for gib in CAPACITIES_GIB]
    batches = [largest_batches(partial(peak, optimizer), capacities) for optimizer in optimizers]
    rows: list[Row] = [
        (Cell(f"{gib} GiB"), *map(_batch, line))
        for gib, line in zip(CAPACITIES_GIB, zip(*batches, strict=True), strict=True)
    ]
    return Table(title, titles, tuple(rows))


def _batch(batch: int) -> str:
    return "none" if batch == 0 else f"at least {batch:,}" if batch == MAX_BATCH else f"{batch:,}"
