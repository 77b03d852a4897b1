"""The record of one model: its counts, memory, times and conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import model_label, overrides_text
from analyzer.core.printable_results import Displayed, View, renderer
from analyzer.core.shapes import Shapes, shape_text
from analyzer.core.units import seconds
from analyzer.records.crosscheck_result import Agreement
from analyzer.records.memory import Memory
from analyzer.records.note import is_strict
from analyzer.records.rows import ROW_KEYS, Count, Module, Row, Totals, is_below, modules

if TYPE_CHECKING:
    import pandas

    from analyzer.records.timings import Measurement


By: TypeAlias = Literal["module", "operator", "type"]


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
        return model_label(self.model, overrides_text(self.overrides))

    @property
    def mode_text(self) -> str:
        """The mode, and whether only the forward pass of a model in train mode was counted."""
        return "forward pass in train mode" if self.mode == "training" and not self.totals.step else self.mode

    def _summary(self) -> str:
        totals, timing = self.totals, self.measurement and self.measurement.pass_timing
        shapes = ", ".join(map(shape_text, self.input))
        time = f", {seconds(timing.median_s)} ({timing.quality})" if timing else ""
        return (
            f"{one_line(self.label)}: input {shapes}, {self.mode_text}; {totals.params:,} params, "
            f"{totals.macs:,} MACs, {totals.flops:,} FLOPs{time}"
        )

    def table(
        self,
        *,
        depth: int | None = None,
        sort: str | None = None,
        by: By = "module",
        top: int | None = None,
        fold: bool = True,
    ) -> View:
        """One row per module down to `depth`, or `by` operator or type, and the total.

        The default depth is 1, or more if a module would have nearly everything.

        `sort` is a column: params, macs, flops, activations, bytes_read, bytes_written, traffic, intensity, and after a
        backward pass backward_macs, recomputed_macs, backward_flops, step_macs, step_flops; the largest first. `top`
        keeps so many rows and sums up the others. `fold` shows equal modules in one row, with their sum. Raises
        AnalyzerError for other values.
        """
        return self._view(depth=depth, sort=sort, by=by, top=top, fold=fold)

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


def restrict(record: Record, module: str) -> Record:
    """The record with the rows of one module only; `network_totals` keeps the sums of the whole network."""
    kept = [index for index, row in enumerate(record.rows) if is_below(row.path, module)]
    kept = kept or [index for index, row in enumerate(record.rows) if is_below(row.role, module)]
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
        memory = memory.replace(modules=tuple(known for known in memory.modules if is_below(known.path, path)))
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
