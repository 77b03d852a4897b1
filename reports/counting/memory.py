"""Memory as tables: what the peak consists of, memory by module, optimizers, and the largest batch that fits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from analyzer.core.errors import AnalyzerError
from analyzer.core.units import scaled
from analyzer.counting.closed_form.max_batch import MAX_BATCH, largest_batches
from analyzer.records.comparable import batch as batch_of
from analyzer.records.memory import Memory
from analyzer.records.record import Record
from reports import cells
from reports.counting.count_tables import conditions
from reports.counting.groups import TOP_LEVEL, base_path
from reports.counting.tree import tree_name
from reports.formats.text import csv_text
from reports.table import MISSING, Cell, Column, Row, Table, as_cell, cell_text, columns

GIB = 2**30
MAX_LISTED = 2  # Records with a row per optimizer.
MAX_SIDE_BY_SIDE = 4  # Records with a column each; more have a row each.
CAPACITIES = {f"{gib} GiB": gib * GIB for gib in (8, 16, 24, 40, 80)}
AT_PEAK = {"gradients": "gradients at the peak"}  # Others have been freed or do not exist yet.
CONSTANT = ("parameters", "buffers", "inputs")  # Shown even if they are 0.
LIFETIME = (
    "A tensor counts from the operator that makes it until nothing refers to it: no variable of the model's code and, "
    "in training, no gradient. Scratch space inside kernels and libraries is not counted. B are bytes, 1 GiB is 2^30 "
    "bytes."
)
MIXED = (
    "{}: parameters, gradients and activations have 2 bytes, master weights and optimizer state 4; torch.autocast "
    "keeps other copies."
)
GATHERED = "Gathered layer: the parameters and gradients of the largest layer, whole while the layer runs."


def tables(
    record: Record,
    count: Callable[..., Record] | None = None,
    depth: int = 1,
    capacities: Mapping[str, int] | None = None,
) -> list[Table]:
    """The tables of one record. `count(batch=…, memory=…)` counts at another batch; without it, largest batches are
    left out. `capacities` are bytes of memory by name, by default those of common GPUs."""
    if record.memory is None:
        reasons: list[Row] = [(note,) for note in record.notes]
        return [Table(f"Memory of {record.label}: unknown", columns("reason"), tuple(reasons))]
    peak = peak_parts({"size": record})
    rows = [(*row, f"{size.value:,}" if isinstance(size := row[1], Cell) else "") for row in peak.rows]
    precision = record.memory.setup.precision if record.memory.setup else ""
    title = f"Memory of {record.label}: {conditions(record.replace(dtype=precision or record.dtype))}"
    title += _setup(record.memory)
    mixed = [MIXED.format(precision)] if precision.endswith("-mixed") else []
    notes = (LIFETIME, *mixed, *([GATHERED] if record.memory.gathered else []))
    return [
        peak.replace(title=title, columns=(*peak.columns, Column("bytes")), rows=tuple(rows), notes=notes),
        _modules(record, depth),
        *([_largest_batches(record, count, capacities or CAPACITIES)] if count else []),
    ]


def peak_parts(records: Mapping[str, Record]) -> Table:
    """What the peak of each record consists of: one row per part, one column per record; every record has memory.

    Of many records each has a row.
    """
    parts = [_parts(record.memory) for record in records.values() if record.memory]
    shown = [name for part in parts for name in part if name in CONSTANT or any(other.get(name) for other in parts)]
    names = [*dict.fromkeys(name for name in shown if name != "peak"), "peak"]
    rows: list[Row] = [
        (Cell(AT_PEAK.get(name, name)), *(cells.count("peak_memory", part.get(name)) for part in parts))
        for name in names
    ]
    rows.append((Cell("peak occurs in"), *map(_peak_place, records.values())))
    title = "What the peak consists of"
    if len(records) > MAX_SIDE_BY_SIDE:
        turned = [(Cell(name), *values) for name, *values in zip(records, *(row[1:] for row in rows), strict=True)]
        return Table(title, columns("network", *(as_cell(row[0]).text for row in rows)), tuple(turned))
    return Table(title, columns("memory", *records), tuple(rows))


def by_optimizer(records: Mapping[str, Record]) -> Table | None:
    """The peak with each optimizer, and its state, of many records as small print; None without training."""
    if len(records) > MAX_LISTED:
        return _peaks_by_optimizer(records)
    rows: list[Row] = [
        (Cell(name), optimizer, *_state_and_peak(record.memory, optimizer))
        for name, record in records.items()
        if record.memory
        for optimizer in record.memory.optimizers
    ]
    titles = columns("network", "optimizer", "state", "peak", left=("optimizer",))
    return Table("Training memory by optimizer", titles, tuple(rows)) if rows else None


def _peaks_by_optimizer(records: Mapping[str, Record]) -> Table | None:
    """One row per record, one column per optimizer."""
    memories = {name: record.memory for name, record in records.items() if record.memory and record.memory.optimizers}
    optimizers = list(dict.fromkeys(optimizer for memory in memories.values() for optimizer in memory.optimizers))
    rows: list[Row] = []
    for name, memory in memories.items():
        pairs = [_state_and_peak(memory, name) if name in memory.optimizers else None for name in optimizers]
        peaks = (as_cell(pair[1]).replace(note=f"state {cell_text(pair[0])}") if pair else MISSING for pair in pairs)
        rows.append((Cell(name), *peaks))
    title = "Peak training memory by optimizer, with its state"
    return Table(title, columns("network", *optimizers), tuple(rows)) if rows else None


def _state_and_peak(memory: Memory, optimizer: str) -> tuple[Cell | str, ...]:
    return tuple(
        cells.count("peak_memory", size) for size in (memory.optimizers[optimizer].state, memory.total(optimizer))
    )


def _optimizer(memory: Memory) -> str:
    """The optimizer that was chosen; "" if none was."""
    return memory.setup.optimizer if memory.setup else ""


def _parts(memory: Memory) -> dict[str, int]:
    terms = memory.terms(_optimizer(memory))
    return {**terms, "peak": sum(terms.values())}


def _setup(memory: Memory) -> str:
    """How the model is trained but for the precision: `, adam, one of 8 devices at stage 3, 4 passes per step`."""
    setup = memory.setup
    if setup is None:
        return ""
    devices = f"one of {setup.devices} devices at stage {setup.stage}" if setup.devices > 1 else ""
    passes = f"{setup.accumulate} passes per step" if setup.accumulate > 1 else ""
    return "".join(f", {text}" for text in (setup.optimizer, devices, passes) if text)


def _peak_place(record: Record) -> str:
    assert record.memory
    if record.memory.peaks_in_step(_optimizer(record.memory)):
        return "the optimizer's step"
    return record.memory.peak_path or ("the backward pass" if record.mode == "training" else TOP_LEVEL)


def _modules(record: Record, depth: int) -> Table:
    assert record.memory
    base = base_path(record.module, record.modules)
    rows: list[Row] = [
        (name, scaled(module.allocated, "B"), scaled(module.peak, "B"))
        for module in record.memory.modules
        if (name := tree_name(module.path, base, depth))
    ]
    of = f" of {record.module}" if record.module else ""
    title = f"By module{of}: bytes allocated in it, and the peak memory while it ran"
    return Table(title, columns("module", "allocated", "peak memory"), tuple(rows))


def _largest_batches(record: Record, count: Callable[..., Record], capacities: Mapping[str, int]) -> Table:
    """At inference without an optimizer; in training with each optimizer's state."""
    assert record.memory
    setup: object = record.memory.setup or True
    own = batch_of(record)

    @cache
    def memory(batch: int) -> Memory:
        memory = record.memory if str(batch) == own else count(batch=batch, memory=setup).memory
        assert memory is not None
        return memory

    optimizers = record.memory.optimizers
    title = "Largest batch that fits" + (", by optimizer" if optimizers else "")
    unknown = _fixed_batch(memory)
    names = [*optimizers] or [""]
    batches = dict.fromkeys(names, [MISSING] * len(capacities))
    if not unknown:
        try:
            batches = _batches(memory, names, [*capacities.values()])
        except AnalyzerError as error:  # The model does not run at a larger batch.
            unknown = str(error).partition(";")[0]
    notes = (f"Unknown: {unknown}",) if unknown else ()
    if not optimizers:
        rows: list[Row] = [(Cell(name), batch) for name, batch in zip(capacities, batches[""], strict=True)]
        return Table(title, columns("memory", "batch"), tuple(rows), notes=notes)
    rows = [(Cell(name), *_state_and_peak(record.memory, name), *batches[name]) for name in optimizers]
    return Table(title, columns("optimizer", "state", "peak", *capacities), tuple(rows), notes=notes)


def _fixed_batch(memory: Callable[[int], Memory]) -> str:
    """Why the memory of other batches is not known; "" if it is."""
    try:
        if memory(2).inputs != memory(1).inputs:
            return ""
    except AnalyzerError as error:
        return str(error).partition(";")[0]
    return "the batch does not change this model's inputs; give them with --input."


def _batches(
    memory: Callable[[int], Memory], optimizers: Sequence[str], capacities: Sequence[int]
) -> dict[str, list[str]]:
    """By optimizer the largest batch for each capacity: in the passes, and in the optimizer's step."""
    first, states = memory(1), {name: memory(1).optimizers.get(name) for name in optimizers}
    sizes = [capacity - (state.state if state else 0) for state in states.values() for capacity in capacities]
    batches = iter(largest_batches(lambda batch: memory(batch).peak, sizes))
    texts = {0: "none", MAX_BATCH: f"at least {MAX_BATCH:,}"}
    result = {}
    for name, state in states.items():
        fitting = [next(batches) for _ in capacities]
        if state:  # Only the inputs grow with the batch.
            constant = first.peak - first.activations - first.inputs + first.gradients + state.state + state.temporary
            step = memory(2).inputs - first.inputs
            spare = [capacity - constant - first.inputs for capacity in capacities]
            fitting = [min(batch, max(0, 1 + room // step)) for batch, room in zip(fitting, spare, strict=True)]
        result[name] = [texts.get(batch, f"{batch:,}") for batch in fitting]
    return result


def memory_csv(records: Sequence[Record]) -> str:
    """One line per figure in bytes: the terms of the peak without a path, then what each module allocates."""
    lines: list[tuple[object, ...]] = [("model", "path", "term", "bytes")]
    for record in records:
        if memory := record.memory:
            lines += [(record.label, "", term, size) for term, size in _parts(memory).items()]
            for name, optimizer in memory.optimizers.items():
                lines += [
                    (record.label, "", f"state of {name}", optimizer.state),
                    (record.label, "", f"peak with {name}", memory.total(name)),
                ]
            for module in memory.modules:
                lines += [
                    (record.label, module.path, "allocated", module.allocated),
                    (record.label, module.path, "peak while it ran", module.peak),
                ]
    return csv_text(lines)
