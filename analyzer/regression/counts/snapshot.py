"""What a baseline keeps of one model in one mode: every layer's figures, and nothing that is not counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.record import TOTAL_KEYS, Record, Row, Shapes

LAYER_METRICS = TOTAL_KEYS
# In the order in which they are shown. `calls` are operators called; `peak_memory` is the peak's bytes, at inference.
MODEL_METRICS = (*LAYER_METRICS, "peak_memory", "calls")
UNUSED = "unused"  # A row that holds parameters no operator read: not a call.

Key: TypeAlias = tuple[str, str, int]


class Layer(Frozen):
    """One operator of a pass. Figures that are 0 are left out."""

    path: str
    op: str
    call: int
    figures: Mapping[str, int]

    @property
    def key(self) -> Key:
        return self.path, self.op, self.call


class Snapshot(Frozen):
    """One model in one mode: its layers in the order they run, or from a file in the order of their keys."""

    mode: str
    input: Shapes
    dtype: str
    layers: tuple[Layer, ...]
    peak_memory: int | None = None
    unknown_ops: Mapping[str, int] = {}

    @property
    def calls(self) -> dict[str, int]:
        """Calls by kind of operator."""
        return dict(Counter(layer.op for layer in self.layers if layer.op != UNUSED))

    @property
    def totals(self) -> dict[str, int]:
        """Every metric of the model that there is: sums over its layers, calls, and the peak where it is known."""
        sums = {
            metric: sum(layer.figures.get(metric, 0) for layer in self.layers)
            for metric in LAYER_METRICS
            if metric != "backward_macs" or self.mode == "training"
        }
        peak = {} if self.peak_memory is None else {"peak_memory": self.peak_memory}
        return {**sums, **peak, "calls": sum(self.calls.values())}


def snapshot(record: Record) -> Snapshot:
    """The snapshot of a record of a whole network."""
    return Snapshot(
        mode=record.mode,
        input=record.input,
        dtype=record.dtype,
        layers=_layers(record.rows),
        peak_memory=record.memory.peak if record.memory else None,
        unknown_ops=dict(record.unknown_ops),
    )


def _layers(rows: Sequence[Row]) -> tuple[Layer, ...]:
    """A layer a row; calls are counted again, so that no two layers have the same key whoever made the rows."""
    times: Counter[tuple[str, str]] = Counter()
    layers = []
    for row in rows:
        times[row.path, row.op] += 1
        figures = {metric: value for metric in LAYER_METRICS if (value := getattr(row, metric))}
        layers.append(Layer(row.path, row.op, times[row.path, row.op], figures))
    return tuple(layers)
