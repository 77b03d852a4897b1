"""Result types of counting: Row (one operator), Count (the rows of one counter), Record (one model).

The batch is always explicit and the first size of a shape. Bytes and operations are unscaled integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from analyzer.core.display import Displayed, View, renderer
from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape, Shapes, shape_text
from analyzer.core.units import seconds
from analyzer.records.agreement import Agreement
from analyzer.records.memory import Memory
from analyzer.records.note import is_strict

if TYPE_CHECKING:
    import pandas

    from analyzer.records.timings import Measurement


By: TypeAlias = Literal["module", "operator", "type"]


class Totals(Frozen):
    """Sums over rows. A MAC is one multiply-add and two FLOPs; bytes are the least memory traffic of each operator."""

    params: int
    macs: int
    flops: int
    activations: int
    bytes_read: int
    bytes_written: int
    backward_macs: int | None = None
    recomputed_macs: int | None = None

    @property
    def step(self) -> dict[str, int]:
        """MACs and FLOPs of the backward pass and of a training step; empty if no backward pass was counted.

        A step is the forward pass, what checkpoints run of it again, and the backward pass. FLOPs of the latter two are
        2 x their MACs: their elementwise operations are not counted.
        """
        if self.backward_macs is None:
            return {}
        additional_macs = self.backward_macs + (self.recomputed_macs or 0)
        return {
            "backward_flops": 2 * self.backward_macs,
            "step_macs": self.macs + additional_macs,
            "step_flops": self.flops + 2 * additional_macs,
        }

    def value(self, metric: str) -> int | None:
        """A field, a key of `step`, or `traffic`; None if no backward pass was counted."""
        if metric == "recomputed_macs" and self.backward_macs is not None:
            return self.recomputed_macs or 0
        value: int | None = getattr(self, metric, self.step.get(metric))
        return value

    @property
    def traffic(self) -> int:
        return self.bytes_read + self.bytes_written

    @property
    def intensity(self) -> float:
        """FLOPs per byte of memory traffic; 0 without traffic."""
        return self.flops / self.traffic if self.traffic else 0.0


class Row(Frozen):
    """One operator of one pass. `call` counts from 1; a module called again has its params in the first call only.

    `backward_macs` are the MACs of the gradients of inputs and parameters; None if no backward pass was counted.
    `recomputed_macs` are those of the forward pass that checkpoints run again; None in a count without any.
    Convolutions and pools have `kernel`, `stride` and `padding` per axis; convolutions have `groups`.
    `sources` are the positions of the rows that made the inputs; None if they were not recorded.
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
    recomputed_macs: int | None = None
    kernel: Shape | None = None
    stride: Shape | None = None
    padding: Shape | None = None
    groups: int | None = None
    sources: Shape | None = None


class Module(Frozen):
    """The sum of the rows at and below one path, with the inputs of the first row and the outputs of the last."""

    path: str
    role: str
    inputs: Shapes
    outputs: Shapes
    totals: Totals


class Count(Frozen):
    """The result of one counter for one model. `unknown_ops`: operators without formula, and their number of calls.

    `unknown_in`: the same calls grouped by module: operator → module path → number of calls. `as_if_dense`: quantized
    and sparse operators that are counted as the dense floating-point operators they replace.
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
        """The modules that called an unknown operator, the first three by name; empty if they were not recorded."""
        paths = [path or "the model itself" for path in self.unknown_in.get(op, ())]
        more = [f"{len(paths) - 3} more"] if len(paths) > 3 else []
        return ", ".join([*paths[:3], *more])

    @property
    def uncounted(self) -> str:
        """Every unknown operator with its calls and modules: `aten::a 2 (conv1, conv2), aten::b 1 (fc)`."""
        texts = [(f"{op} {calls}", self.callers(op)) for op, calls in sorted(self.unknown_ops.items())]
        return ", ".join(f"{text} ({modules})" if modules else text for text, modules in texts)


class Record(Displayed, Frozen):
    """One model, counted at one input in one mode. `print` shows it as a table, a notebook as HTML.

    With `module` set, rows are those of the module and `network_totals` the sums of the whole network. In a timed
    record `measurement` has the timings of one configuration, `environment` the fingerprint of the machine and
    `created` the time in UTC (ISO 8601).
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

    def rows_by_key(self) -> dict[tuple[str, str, int], Row]:
        """The rows by path, op and call, the same keys as `Timing.key`."""
        return {(row.path, row.op, row.call): row for row in self.rows}

    @property
    def totals(self) -> Totals:
        return self.count.totals

    @property
    def strict_notes(self) -> tuple[str, ...]:
        """The notes that say that the count may be wrong."""
        return tuple(note for note in self.notes if is_strict(note))

    @property
    def unknown_ops(self) -> Mapping[str, int]:
        return self.count.unknown_ops

    @property
    def modules(self) -> tuple[Module, ...]:
        return modules(self.rows)

    @property
    def label(self) -> str:
        """The model with its overrides: `googlenet@inception_4a.reduce_5x5=32`."""
        changes = ",".join(f"{key}={value}" for key, value in self.overrides.items())
        return f"{self.model}@{changes}" if changes else self.model

    def _summary(self) -> str:
        totals, timing = self.totals, self.measurement and self.measurement.pass_timing
        shapes = ", ".join(map(shape_text, self.input))
        time = f", {seconds(timing.median_s)} ({timing.quality})" if timing else ""
        return (
            f"{one_line(self.label)}: input {shapes}, {self.mode}; {totals.params:,} params, {totals.macs:,} MACs, "
            f"{totals.flops:,} FLOPs{time}"
        )

    def table(
        self, *, depth: int | None = None, sort: str | None = None, by: By = "module", top: int | None = None
    ) -> View:
        """One row per module down to `depth`, or `by` operator or type, and the total.

        The default depth is 1, or more if a module would have nearly everything.

        `sort` is a column: params, macs, flops, activations, bytes_read, bytes_written, traffic, intensity, and after a
        backward pass backward_macs, recomputed_macs, backward_flops, step_macs, step_flops; the largest first. `top`
        keeps so many rows and sums up the others. Raises AnalyzerError for other values.
        """
        return self._view(depth=depth, sort=sort, by=by, top=top)

    def figure(self, name: str = "compute") -> Any:
        """A `plotly` figure with the modules as tiles, by "compute" (MACs), "params", "activations" or "time"."""
        return renderer().figure(self, name)

    def to_json(self) -> str:
        """The JSON of `analyze --format json`, which `analyzer.load` reads from a file."""
        from analyzer.records.record_json import dump

        return dump([self])

    def save(self, path: str | Path) -> None:
        """Writes `to_json` to a file, which is replaced as a whole. Raises AnalyzerError if it cannot be written."""
        from analyzer.core.files import write_text

        write_text(path, self.to_json(), advice="give another path")

    def frame(self) -> pandas.DataFrame:
        """One row per operator; columns are the keys of the JSON."""
        import pandas

        keys = [key for key in ROW_KEYS if any(getattr(row, key) is not None for row in self.rows)]
        return pandas.DataFrame([[getattr(row, key) for key in keys] for row in self.rows], columns=keys)


ROW_KEYS = tuple(Row.fields)
TOTAL_KEYS = tuple(Totals.fields)
TRAINING_KEYS = TOTAL_KEYS[-2:]  # None in every row, and in the sum, at inference.
SUMMED_KEYS = TOTAL_KEYS[:-2]
STEP_KEYS = ("backward_flops", "step_macs", "step_flops")


def total(rows: Sequence[Row | Totals]) -> Totals:
    """The sum of rows, or of their sums, metric by metric."""
    columns = zip(*map(attrgetter(*SUMMED_KEYS), rows), strict=True)
    sums = dict(zip(SUMMED_KEYS, map(sum, columns), strict=True)) if rows else dict.fromkeys(SUMMED_KEYS, 0)
    for key in TRAINING_KEYS:
        values = [value for row in rows if (value := getattr(row, key)) is not None]
        if values:
            sums[key] = sum(values)
    return Totals(**sums)


def under(row: Row, module: str) -> bool:
    """Whether a row is at or below `module`, given as a path or as a role."""
    return _below(row.path, module) or _below(row.role, module)


def _below(name: str, module: str) -> bool:
    return name == module or name.startswith(f"{module}.")


def modules(rows: Sequence[Row]) -> tuple[Module, ...]:
    """Every module that has rows, in execution order: all dotted prefixes of the rows' paths."""
    members: dict[str, list[Row]] = {}
    for row in rows:
        for path in prefixes(row.path):
            members.setdefault(path, []).append(row)
    return tuple(
        Module(path, _module_role(path, rows_below), rows_below[0].inputs, rows_below[-1].outputs, total(rows_below))
        for path, rows_below in members.items()
    )


def prefixes(path: str) -> list[str]:
    """`a.b.c` → `a`, `a.b`, `a.b.c`."""
    parts = path.split(".") if path else []
    return [".".join(parts[: depth + 1]) for depth in range(len(parts))]


def _module_role(path: str, rows: Sequence[Row]) -> str:
    """The role of a module: the common prefix of its rows' roles, cut to the number of segments of its path."""
    roles = [row.role.split(".") if row.path == path else row.role.split(".")[:-1] for row in rows]
    return ".".join(commonprefix(roles)[: path.count(".") + 1])  # noqa: RUF071 – of lists of segments, not of strings


def restrict(record: Record, module: str) -> Record:
    """The record with the rows of one module only; `network_totals` keeps the sums of the whole network."""
    kept = [index for index, row in enumerate(record.rows) if _below(row.path, module)]
    kept = kept or [index for index, row in enumerate(record.rows) if _below(row.role, module)]
    rows = _select(record.rows, kept)
    count = record.count.replace(rows=rows)
    agreement = record.agreement
    if agreement:
        # Only the table is restricted: `differences` stays, because counters that differ elsewhere still differ.
        paths = {row.path for row in rows}
        agreement = agreement.replace(rows=tuple(row for row in agreement.rows if row.path in paths))
    memory = record.memory
    if memory:  # Only the table of modules is restricted: the peak is that of the whole network.
        path = next((known.path for known in record.modules if module in (known.path, known.role)), module)
        memory = memory.replace(modules=tuple(known for known in memory.modules if _below(known.path, path)))
    return record.replace(count=count, agreement=agreement, memory=memory, module=module, network_totals=record.totals)


def _select(rows: Sequence[Row], kept: Sequence[int]) -> tuple[Row, ...]:
    """Some of the rows, with `sources` as positions among them."""
    position = {index: new for new, index in enumerate(kept)}
    return tuple(
        row if row.sources is None else row.replace(sources=tuple(position[i] for i in row.sources if i in position))
        for row in (rows[index] for index in kept)
    )


def unknown_module_error(module: str, records: Sequence[Record]) -> AnalyzerError:
    """The error for a module that none of the records has."""
    every_module = (known for record in records for known in record.modules)
    names = dict.fromkeys(name for known in every_module for name in (known.path, known.role) if name)
    models = ", ".join(record.label for record in records)
    return AnalyzerError(f"no module {quoted(module)} in {one_line(models)}; {nearest(module, names)}")
