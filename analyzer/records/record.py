"""What makers and readers share: a row an operator, a count a counter, a record a model.

Batch is always explicit and first in a shape; bytes and operations are plain integers; nothing here is scaled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.records.agreement import Agreement

if TYPE_CHECKING:
    import pandas

    from analyzer.records.timings import Measurement

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = tuple[Shape, ...]


class Totals(Frozen):
    """Sums over rows. MACs are multiply-adds; FLOPs count a multiply-add as 2; bytes are least traffic per operator."""

    params: int
    macs: int
    flops: int
    activations: int
    bytes_read: int
    bytes_written: int
    backward_macs: int | None = None

    @property
    def traffic(self) -> int:
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """FLOPs per byte moved; 0 where nothing moves."""
        return self.flops / self.traffic if self.traffic else 0.0


class Row(Frozen):
    """One operator of one pass. `call` counts from 1; a module called again has its params in the first call only.

    `backward_macs` are those of the gradients of its inputs and parameters; None where no backward pass was counted.
    """

    path: str
    role: str
    op: str
    call: int
    inputs: Shapes
    outputs: Shapes
    params: int
    weights: int
    biases: int
    macs: int
    flops: int
    activations: int
    bytes_read: int
    bytes_written: int
    backward_macs: int | None = None


class Module(Frozen):
    """The rows at and below one path, summed; its inputs are its first row's, its outputs its last row's."""

    path: str
    role: str
    inputs: Shapes
    outputs: Shapes
    totals: Totals


class Count(Frozen):
    """What one counter says of one model. `unknown_ops`: operators it met and could not count, with how often.

    `unknown_in`: the same by the modules that called them, operator → path → calls. `as_if_dense`: quantized and sparse
    operators, counted as the dense floating-point ones that they replace.
    """

    counter: str
    rows: tuple[Row, ...]
    unknown_ops: Mapping[str, int] = {}
    as_if_dense: Mapping[str, int] = {}
    unknown_in: Mapping[str, Mapping[str, int]] = {}

    @property
    def totals(self) -> Totals:
        return total(self.rows)

    def callers(self, op: str) -> str:
        """The modules that called an unknown operator, the first three by name; empty where nobody watched them."""
        paths = [path or "the model itself" for path in self.unknown_in.get(op, ())]
        more = [f"{len(paths) - 3} more"] if len(paths) > 3 else []
        return ", ".join([*paths[:3], *more])

    @property
    def uncounted(self) -> str:
        """Every unknown operator with its calls and modules: `aten::a 2 (conv1, conv2), aten::b 1 (fc)`."""
        named = [(f"{op} {calls}", self.callers(op)) for op, calls in sorted(self.unknown_ops.items())]
        return ", ".join(f"{text} ({where})" if where else text for text, where in named)


class ModuleMemory(Frozen):
    """A module's outputs and temporaries made in a pass, in bytes, and what was alive at the most while it ran."""

    path: str
    made: int
    highest: int


class Memory(Frozen):
    """Bytes. `activations` is the most that was alive at once of what operators hand out, at `peak_path`.

    In training that holds what autograd saved and the gradients so far. `saved` is what the forward pass leaves for
    the backward pass; parameters, buffers and inputs are apart.
    """

    parameters: int
    buffers: int
    inputs: int
    activations: int
    peak_path: str
    saved: int
    gradients: int
    modules: tuple[ModuleMemory, ...] = ()

    @property
    def peak(self) -> int:
        """Everything at the peak but an optimizer's state."""
        return self.parameters + self.buffers + self.inputs + self.activations

    def optimizer(self, name: str) -> int:
        """State that an optimizer keeps beside the parameters that learn: 0, 1 or 2 copies of their gradients."""
        return OPTIMIZER_COPIES[name] * self.gradients


OPTIMIZER_COPIES = {"sgd": 0, "momentum": 1, "adam": 2}


class Record(Frozen):
    """One model, counted at one input in one mode.

    With `module` set, rows are that module's and `network_totals` the whole network's. Where it was timed, `measurement` has
    the timings of one setting, `environment` the machine's fingerprint, `created` the time in UTC (ISO 8601).
    """

    model: str
    input: Shapes
    mode: str
    count: Count
    dtype: str = "float32"
    overrides: Mapping[str, int] = {}
    agreement: Agreement | None = None
    memory: Memory | None = None
    notes: tuple[str, ...] = ()
    module: str | None = None
    network_totals: Totals | None = None
    measurement: Measurement | None = None
    environment: Mapping[str, Any] = {}
    commit: str | None = None
    created: str | None = None

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.count.rows

    @property
    def totals(self) -> Totals:
        return self.count.totals

    @property
    def unknown_ops(self) -> Mapping[str, int]:
        return self.count.unknown_ops

    @property
    def modules(self) -> tuple[Module, ...]:
        return modules(self.rows)

    @property
    def label(self) -> str:
        """The name that tells this record from its neighbours: `googlenet@inception_4a.reduce_5x5=32`."""
        changes = ",".join(f"{key}={value}" for key, value in self.overrides.items())
        return f"{self.model}@{changes}" if changes else self.model

    def frame(self) -> pandas.DataFrame:
        """A row an operator, columns as in the JSON."""
        import pandas

        keys = [key for key in ROW_KEYS if any(getattr(row, key) is not None for row in self.rows)]
        return pandas.DataFrame([[getattr(row, key) for key in keys] for row in self.rows], columns=keys)


ROW_KEYS = tuple(Row.fields)
TOTAL_KEYS = tuple(Totals.fields)
SUMMED_KEYS = TOTAL_KEYS[:-1]  # The rest may be unknown in every row, and is then unknown in the sum.


def total(rows: Sequence[Row]) -> Totals:
    """The sum of rows, figure by figure."""
    backward = [row.backward_macs for row in rows if row.backward_macs is not None]
    sums = {key: sum(getattr(row, key) for row in rows) for key in SUMMED_KEYS}
    return Totals(**sums, backward_macs=sum(backward) if backward else None)


def under(row: Row, module: str) -> bool:
    """Whether a row is at or below `module`, given as a path or as a role."""
    return _below(row.path, module) or _below(row.role, module)


def _below(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def modules(rows: Sequence[Row]) -> tuple[Module, ...]:
    """Every module that has rows, in the order they first run: all dotted prefixes of the rows' paths."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        for path in prefixes(row.path):
            members.setdefault(path, []).append(row)
    return tuple(
        Module(path, _role(path, own), own[0].inputs, own[-1].outputs, total(own)) for path, own in members.items()
    )


def prefixes(path: str) -> list[str]:
    """`a.b.c` → `a`, `a.b`, `a.b.c`."""
    parts = path.split(".") if path else []
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


def _role(path: str, rows: Sequence[Row]) -> str:
    """What the roles of a module's rows have in common above the rows themselves; never deeper than its path."""
    roles = [row.role.split(".") if row.path == path else row.role.split(".")[:-1] for row in rows]
    first, last = min(roles), max(roles)  # What the extremes share, all share.
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return ".".join(first[: min(shared, path.count(".") + 1)])


def restrict(record: Record, module: str) -> Record:
    """The record with the rows of one module only, the whole network's totals kept beside them."""
    rows = tuple(row for row in record.rows if _below(row.path, module))
    rows = rows or tuple(row for row in record.rows if _below(row.role, module))
    count = record.count.replace(rows=rows)
    agreement = record.agreement
    if agreement:
        # Only what is shown is restricted: counters that differ elsewhere still differ.
        paths = {row.path for row in rows}
        agreement = agreement.replace(figures=tuple(one for one in agreement.figures if one.path in paths))
    return record.replace(count=count, agreement=agreement, module=module, network_totals=record.totals)


def unknown_module(module: str, records: Sequence[Record]) -> AnalyzerError:
    """The error for a module that none of the records has."""
    known = {name: None for record in records for part in record.modules for name in (part.path, part.role) if name}
    models = ", ".join(record.label for record in records)
    return AnalyzerError(f"no module {quoted(module)} in {one_line(models)}; {nearest(module, known)}")
