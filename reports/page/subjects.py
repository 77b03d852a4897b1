"""What the page is about: records made harmless, told apart by name, timed settings gathered under what they are of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.records.comparable import batch, why_not
from analyzer.records.record import Memory, Module, Record, Row, Totals, total
from analyzer.records.timings import Measurement, Timing
from reports.counting.network import TOP_LEVEL


class Subject(Frozen):
    """One network on the page. `record` is counted; `timed` are its records with timings, one a setting.

    `apart` says why it is not held against the first, or is None.
    """

    name: str
    record: Record
    timed: tuple[Record, ...]
    apart: str | None
    place: int
    modules: tuple[Module, ...]
    totals: Totals
    own: tuple[Module, ...] = ()

    @property
    def memory(self) -> Memory | None:
        return self.record.memory

    @property
    def parts(self) -> tuple[Module, ...]:
        """The modules, and after them what the network's own forward computes, which is below none of them."""
        return (*self.modules, *self.own)

    @property
    def empty(self) -> bool:
        return not self.record.rows


def subjects(records: Sequence[Record]) -> tuple[Subject, ...]:
    """Records in order; those that differ in nothing but how they were timed are one subject."""
    groups: list[list[Record]] = []
    for record in map(harmless, records):
        group = next((group for group in groups if _same(group[0], record)), None)
        if group is None:
            groups.append([record])
        else:
            group.append(record)
    names = _names([group[0] for group in groups])
    return tuple(
        Subject(
            name=name,
            record=_fullest(group),
            timed=tuple(record for record in group if record.measurement),
            apart=why_not(groups[0][0], group[0]) if place else None,
            place=place,
            modules=group[0].modules,
            totals=group[0].totals,
            own=_own(group[0]),
        )
        for place, (name, group) in enumerate(zip(names, groups, strict=True))
    )


def _own(record: Record) -> tuple[Module, ...]:
    rows = () if record.module else tuple(row for row in record.rows if not row.path)
    return (Module(TOP_LEVEL, TOP_LEVEL, (), (), total(rows)),) if rows else ()


def _same(first: Record, other: Record) -> bool:
    """The same network, input and kind of pass: rows are equal, or differ by the batch alone."""
    if (first.label, first.mode, first.dtype, first.module) != (other.label, other.mode, other.dtype, other.module):
        return False
    if [shape[1:] for shape in first.input] != [shape[1:] for shape in other.input]:
        return False
    if batch(first) != batch(other):
        return bool(first.measurement and other.measurement) and _kept(first) == _kept(other)
    return first.rows == other.rows


def _kept(record: Record) -> list[tuple[str, str, int]]:
    return [(row.path, row.op, row.params) for row in record.rows]


def _fullest(group: Sequence[Record]) -> Record:
    """The first record, with the memory of whichever has one at its batch."""
    first = group[0]
    if first.memory:
        return first
    found = next((one.memory for one in group if one.memory and batch(one) == batch(first)), None)
    return first.replace(memory=found) if found else first


def _names(records: Sequence[Record]) -> list[str]:
    """Labels, made longer by what sets equal ones apart, at last by a number."""
    names = [record.label or "(no name)" for record in records]
    for texts in (
        [record.mode for record in records],
        [record.dtype for record in records],
        [f"batch {batch(record)}" for record in records],
        [", ".join(map(shape_text, record.input)) for record in records],
        [record.created or "" for record in records],
    ):
        for name in {name for name in names if names.count(name) > 1}:
            alike = [index for index, other in enumerate(names) if other == name]
            if len({texts[index] for index in alike}) > 1:
                for index in alike:
                    names[index] = f"{name} ({texts[index]})" if texts[index] else name
    return [f"{name} #{names[:at].count(name) + 1}" if names.count(name) > 1 else name for at, name in enumerate(names)]


def harmless(record: Record) -> Record:
    """The record with every name in it on one line, free of control and direction marks."""
    count, cell = record.count, record.measurement
    return record.replace(
        model=one_line(record.model),
        mode=one_line(record.mode),
        dtype=one_line(record.dtype),
        overrides={one_line(key): value for key, value in record.overrides.items()},
        notes=tuple(map(one_line, record.notes)),
        module=None if record.module is None else one_line(record.module),
        commit=record.commit and one_line(record.commit),
        created=record.created and one_line(record.created),
        count=count.replace(
            counter=one_line(count.counter),
            rows=tuple(map(_row, count.rows)),
            unknown_ops={one_line(op): times for op, times in count.unknown_ops.items()},
            as_if_dense={one_line(op): times for op, times in count.as_if_dense.items()},
            unknown_in={
                one_line(op): {one_line(path): times for path, times in calls.items()}
                for op, calls in count.unknown_in.items()
            },
        ),
        memory=record.memory and _memory(record.memory),
        measurement=cell and _cell(cell),
    )


def _row(row: Row) -> Row:
    if (row.path + row.role + row.op).isprintable():
        return row
    return row.replace(path=one_line(row.path), role=one_line(row.role), op=one_line(row.op))


def _memory(memory: Memory) -> Memory:
    modules = tuple(one.replace(path=one_line(one.path)) for one in memory.modules)
    return memory.replace(peak_path=one_line(memory.peak_path), modules=modules)


def _cell(cell: Measurement) -> Measurement:
    return cell.replace(
        reason=one_line(cell.reason),
        warnings=tuple(map(one_line, cell.warnings)),
        timings=tuple(map(_timing, cell.timings)),
    )


def _timing(one: Timing) -> Timing:
    if (one.path + one.op + one.reason).isprintable():
        return one
    return one.replace(path=one_line(one.path), op=one_line(one.op), reason=one_line(one.reason))


def pairs(found: Sequence[Subject], *, most: int = 4) -> Iterator[tuple[Subject, Subject, str | None]]:
    """Any two subjects, the first one's pairs first, with why they must not be subtracted; of many only the first's."""
    for index, first in enumerate(found):
        if index and len(found) > most:
            return
        for other in found[index + 1 :]:
            yield first, other, why_not(first.record, other.record)
