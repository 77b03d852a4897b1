"""Memory as tables: what takes how much at the peak, module by module, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from analyzer.core.units import scaled
from analyzer.counting.closed_form.max_batch import MOST, largest_batches
from analyzer.records.record import OPTIMIZER_COPIES, Memory, Record
from reports.counting.network import TOP_LEVEL, settings, tree_name
from reports.table import Cell, Column, Name, Table

GIB = 2**30
CAPACITIES_GIB = (8, 16, 24, 40, 80)
NOTES = (
    "Alive: what operators hand out and somebody still needs, by liveness over the pass; scratch space inside kernels "
    "and libraries is not seen. B are bytes, 1 GiB is 2^30 of them.",
)


def tables(record: Record, at: Callable[[int], Record]) -> list[Table]:
    """The tables of one record; `at` gives the record of another batch."""
    if record.memory is None:
        title = f"Memory of {record.label}: unknown"
        return [Table(title, (Column("why", "left"),), tuple((note,) for note in record.notes))]
    return [_parts(record, record.memory), _modules(record.memory), _fits(record, at)]


def _parts(record: Record, memory: Memory) -> Table:
    where = memory.peak_path or ("the backward pass" if record.mode == "training" else TOP_LEVEL)
    rows: list[tuple[Cell, ...]] = [
        (Name("parameters"), *_size(memory.parameters)),
        (Name("buffers"), *_size(memory.buffers)),
        (Name("inputs"), *_size(memory.inputs)),
        (Name(f"alive at the peak, in {where}"), *_size(memory.activations)),
    ]
    if record.mode == "training":
        rows += [
            (Name("saved for backward", 1), *_size(memory.saved)),
            (Name("gradients", 1), *_size(memory.gradients)),
        ]
    rows.append((Name("peak"), *_size(memory.peak)))
    if record.mode == "training":
        rows += [(Name(f"with {name}", 1), *_size(memory.peak + memory.optimizer(name))) for name in OPTIMIZER_COPIES]
    columns = (Column("memory", "left"), Column("size"), Column("bytes"))
    return Table(f"Memory of {record.label}: {settings(record)}", columns, tuple(rows), notes=NOTES)


def _size(figure: int) -> tuple[str, str]:
    return scaled(figure, "B"), f"{figure:,}"


def _modules(memory: Memory) -> Table:
    """The top level: what each made, and the most that was alive while it ran."""
    rows: list[tuple[Cell, ...]] = []
    for module in memory.modules:
        name = tree_name(module.path, "", 1)
        if name is not None:
            rows.append((name, scaled(module.made, "B"), scaled(module.highest, "B")))
    columns = (Column("module", "left"), Column("made"), Column("most alive"))
    return Table("By module: bytes made in it, and the most alive while it ran", columns, tuple(rows))


def _fits(record: Record, at: Callable[[int], Record]) -> Table:
    """Without an optimizer at inference; in training with each optimizer's state."""
    names = list(OPTIMIZER_COPIES) if record.mode == "training" else [""]

    @cache
    def memory(batch: int) -> Memory:
        found = at(batch).memory
        assert found is not None
        return found

    def peak(name: str, batch: int) -> int:
        return memory(batch).peak + (memory(batch).optimizer(name) if name else 0)

    title = "Largest batch that fits" + (", by optimizer" if record.mode == "training" else "")
    columns = (Column("memory", "left"), *(Column(name or "batch") for name in names))
    if memory(2).inputs == memory(1).inputs:
        note = "Unknown: the batch does not change this model's inputs; give them with --input."
        return Table(title, columns, (), notes=(note,))
    capacities = [gib * GIB for gib in CAPACITIES_GIB]
    batches = [largest_batches(partial(peak, name), capacities) for name in names]
    rows: list[tuple[Cell, ...]] = [
        (Name(f"{gib} GiB"), *(_batch(one) for one in line))
        for gib, line in zip(CAPACITIES_GIB, zip(*batches, strict=True), strict=True)
    ]
    return Table(title, columns, tuple(rows))


def _batch(batch: int) -> str:
    return "none" if batch == 0 else f"at least {batch:,}" if batch == MOST else f"{batch:,}"
