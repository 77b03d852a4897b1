"""Rows of a count: one operator each, the rows of one counter, and their sums by module and in total.

The batch is always explicit and the first size of a shape. Bytes and operations are unscaled integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import attrgetter
from os.path import commonprefix

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape, Shapes


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

    def times(self, count: int) -> Totals:
        """The sums of `count` equal parts."""
        if count == 1:
            return self
        return total([self] * count)

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
    and sparse operators that are counted as the dense floating-point operators they replace. `types`: the classes of
    modules by path; empty for built-in networks.
    """

    counter: str
    rows: tuple[Row, ...]
    unknown_ops: Mapping[str, int] = {}
    as_if_dense: Mapping[str, int] = {}
    unknown_in: Mapping[str, Mapping[str, int]] = {}
    types: Mapping[str, str] = {}

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
    return is_below(row.path, module) or is_below(row.role, module)


def is_below(name: str, module: str) -> bool:
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
