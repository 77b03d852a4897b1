"""Records as the networks of a page: names sanitized and unique, runs of one network grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS
from analyzer.records.comparable import batch, incompatibility, unique_names
from analyzer.records.memory import Memory
from analyzer.records.record import Record
from analyzer.records.rows import Module, Totals, prefixes, total
from analyzer.records.timings import Measurement
from reports.counting.groups import TOP_LEVEL, top_level_rows
from reports.table import MISSING

MAX_ALL_PAIRS = 4
Value = TypeVar("Value")


class NetworkView(Frozen):
    """One network on the page. `record` has its counts; `timed` are its records with measurements.

    `index` is its position on the page. `incompatibility` is why it must not be compared with the first network.
    """

    name: str
    record: Record
    timed: tuple[Record, ...]
    incompatibility: str | None
    index: int
    modules: tuple[Module, ...]
    totals: Totals

    @property
    def memory(self) -> Memory | None:
        return self.record.memory

    @property
    def parts(self) -> tuple[Module, ...]:
        """The modules, then the network's own forward, which is outside all of them."""
        rows = top_level_rows(self.record)
        return (*self.modules, Module(TOP_LEVEL, TOP_LEVEL, (), (), total(rows))) if rows else self.modules

    @property
    def top_modules(self) -> tuple[Module, ...]:
        return tuple(module for module in self.parts if "." not in module.path)

    @property
    def empty(self) -> bool:
        return not self.record.rows

    @property
    def input_text(self) -> str:
        return ", ".join(map(shape_text, self.record.input)) or MISSING

    @property
    def peak(self) -> int | None:
        """Peak memory in bytes, with the optimizer that was chosen."""
        if self.memory is None:
            return None
        return self.memory.total(self.memory.setup.optimizer if self.memory.setup else "")

    @property
    def measurement(self) -> Measurement | None:
        """The first measurement with a time of the pass that is not void; a void one only if there is no other."""
        measurements = [measurement for record in self.timed if (measurement := record.measurement)]
        timed = [measurement for measurement in measurements if measurement.pass_timing]
        return next((measurement for measurement in timed if measurement.quality != "void"), next(iter(timed), None))

    @property
    def module_times_s(self) -> dict[str, float]:
        """Seconds of every module in the first timed pass that is not void, the whole pass under ""; else empty."""
        for record in self.timed:
            if record.measurement and "void" in (record.measurement.quality, record.measurement.operator_quality[0]):
                continue
            # Whole nanoseconds: otherwise rounding could make the tiles of a module larger than the module.
            times: Counter[str] = Counter()
            for timing, time_s in record.measurement.operator_times_s.items() if record.measurement else ():
                for path in ("", *prefixes(timing.path)):
                    times[path] += round(time_s * 1e9)
            if times:
                return {path: time / 1e9 for path, time in times.items()}
        return {}


def network_views(records: Sequence[Record]) -> tuple[NetworkView, ...]:
    """The networks in order; records that differ only in how they were timed are one network."""
    groups: list[list[Record]] = []
    for record in map(sanitize, records):
        group = next((group for group in groups if _same_network(group[0], record)), None)
        if group is None:
            groups.append([record])
        else:
            group.append(record)
    names = unique_names([group[0] for group in groups])
    return tuple(
        NetworkView(
            name=name,
            record=_with_memory(group),
            timed=tuple(record for record in group if record.measurement),
            incompatibility=incompatibility(groups[0][0], group[0]) if index else None,
            index=index,
            modules=group[0].modules,
            totals=group[0].totals,
        )
        for index, (name, group) in enumerate(zip(names, groups, strict=True))
    )


def compute_metric(networks: Sequence[NetworkView]) -> str:
    """The MACs that the page compares: of a training step if all networks were counted in training."""
    return "step_macs" if networks and all(network.totals.step for network in networks) else "macs"


def metric_title(metric: str) -> str:
    return "MACs of a step" if metric == "step_macs" else METRICS[metric].title


def metric_noun(metric: str) -> str:
    return "multiply-adds of a step" if metric == "step_macs" else METRICS[metric].unit


def _same_network(first: Record, other: Record) -> bool:
    """The same network, input and mode: equal rows, or for two timed records rows that differ by the batch alone."""
    if (first.label, first.mode, first.dtype, first.module) != (other.label, other.mode, other.dtype, other.module):
        return False
    if [shape[1:] for shape in first.input] != [shape[1:] for shape in other.input]:
        return False
    if batch(first) != batch(other):
        operators, other_operators = ([(row.path, row.op, row.params) for row in r.rows] for r in (first, other))
        return bool(first.measurement and other.measurement) and operators == other_operators
    return first.rows == other.rows


def _with_memory(group: Sequence[Record]) -> Record:
    """The first record; if it has no memory, with that of another record at the same batch."""
    first = group[0]
    memories = (record.memory for record in group if batch(record) == batch(first))
    return first if first.memory else first.replace(memory=next(filter(None, memories), None))


def sanitize(value: Value) -> Value:
    """Frozen data with all its texts on one line, without control or direction marks."""
    clean: object = value
    if isinstance(value, str):
        clean = value if value.isprintable() else one_line(value)
    elif isinstance(value, Frozen):
        clean = type(value)(**{name: sanitize(getattr(value, name)) for name in value.fields})
    elif isinstance(value, Mapping):
        clean = {sanitize(key): sanitize(item) for key, item in value.items()}
    elif isinstance(value, tuple | list) and not (value and isinstance(value[0], int | float)):
        clean = type(value)(map(sanitize, value))
    return clean  # type: ignore[return-value]


def pairs(networks: Sequence[NetworkView]) -> Iterator[tuple[NetworkView, NetworkView, str | None]]:
    """Any two networks and why they must not be compared; of more than four only pairs with the first."""
    for index, first in enumerate(networks):
        if index and len(networks) > MAX_ALL_PAIRS:
            return
        for other in networks[index + 1 :]:
            yield first, other, incompatibility(first.record, other.record)
