"""The counts of every layer of one model in one mode, as a baseline stores them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shapes
from analyzer.records.record import Record
from analyzer.records.rows import TOTAL_KEYS, TRAINING_KEYS, Row
from analyzer.regression.outcome import Key

MODES = ("inference", "training")
LAYER_METRICS = TOTAL_KEYS
# In the order in which tables show them. `calls` are operators called; `peak_memory` is in bytes, at inference.
MODEL_METRICS = (*LAYER_METRICS, "peak_memory", "calls")
DETAILS = ("layers", "modules", "totals")
UNUSED = "unused"  # The `op` of a row for parameters that no operator reads; not a call.


class Layer(Frozen):
    """One operator of a pass. `counts` leaves out zeros."""

    path: str
    op: str
    call: int
    counts: Mapping[str, int]

    @property
    def key(self) -> Key:
        return self.path, self.op, self.call


class Snapshot(Frozen):
    """One model in one mode. Layers are in the order they run, or if read from a file in the order of their keys.

    With less `detail` than "layers", `digest` stands for all layers and `operators` for their calls. `layers` are then
    sums by module, or with "totals" the sums of the whole model.
    """

    mode: str
    input: Shapes
    dtype: str
    layers: tuple[Layer, ...]
    peak_memory: int | None = None
    unknown_ops: Mapping[str, int] = {}
    detail: str = "layers"
    digest: str = ""
    operators: Mapping[str, int] = {}

    @property
    def calls(self) -> dict[str, int]:
        """Calls by kind of operator."""
        if self.detail != "layers":
            return dict(self.operators)
        return dict(Counter(layer.op for layer in self.layers if layer.op != UNUSED))

    @property
    def totals(self) -> dict[str, int]:
        """Sums over the layers, the number of calls, and the peak memory if it is known."""
        sums = {
            metric: sum(layer.counts.get(metric, 0) for layer in self.layers)
            for metric in LAYER_METRICS
            if metric not in TRAINING_KEYS or self.mode == "training"
        }
        peak = {} if self.peak_memory is None else {"peak_memory": self.peak_memory}
        return {**sums, **peak, "calls": sum(self.calls.values())}


def reduced(snapshot: Snapshot, detail: str) -> Snapshot:
    """The snapshot with less detail; a snapshot that has no more than this is returned as it is."""
    if DETAILS.index(detail) <= DETAILS.index(snapshot.detail):
        return snapshot
    sums: dict[str, Counter[str]] = {}
    for layer in snapshot.layers:
        module = layer.path.rpartition(".")[0] if detail == "modules" else ""
        sums.setdefault(module, Counter()).update(layer.counts)
    layers = tuple(
        Layer(path, detail.removesuffix("s"), 1, {metric: counts[metric] for metric in LAYER_METRICS if counts[metric]})
        for path, counts in sums.items()
    )
    digest = snapshot.digest or digest_of(snapshot.layers)
    return snapshot.replace(layers=layers, detail=detail, digest=digest, operators=snapshot.calls)


def digest_of(layers: Sequence[Layer]) -> str:
    """A hash of the operators and counts of all layers, whatever their paths and order: renaming is no change."""
    contents = sorted(
        json.dumps([layer.op, *(layer.counts.get(metric, 0) for metric in LAYER_METRICS)]) for layer in layers
    )
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()[:16]


def snapshot(record: Record) -> Snapshot:
    """The snapshot of a whole network's record."""
    return Snapshot(
        mode=record.mode,
        input=record.input,
        dtype=record.dtype,
        layers=_layers(record.rows),
        peak_memory=record.memory.peak if record.memory else None,
        unknown_ops=dict(record.unknown_ops),
    )


def _layers(rows: Sequence[Row]) -> tuple[Layer, ...]:
    """One layer per row. Calls are renumbered, so that keys are unique whichever counter made the rows."""
    calls: Counter[tuple[str, str]] = Counter()
    layers = []
    for row in rows:
        calls[row.path, row.op] += 1
        counts = {metric: value for metric in LAYER_METRICS if (value := getattr(row, metric))}
        layers.append(Layer(row.path, row.op, calls[row.path, row.op], counts))
    return tuple(layers)
