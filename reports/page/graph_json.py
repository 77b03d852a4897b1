"""Records as graphs for `scripts/graph.js`: operators, the rows that made their inputs, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS
from analyzer.records.record import Record
from analyzer.records.rows import Row
from reports.page.network_views import NetworkView, pairs

SHOWN = ("macs", "params", "flops", "activations", "traffic")
OP_TITLES = {
    "conv2d": "conv", "max_pool2d": "max pool", "avg_pool2d": "avg pool", "adaptive_avg_pool2d": "global pool",
    "local_response_norm": "LRN", "batch_norm": "BN", "relu": "ReLU", "cat": "concat",
    "scaled_dot_product_attention": "attention", "layer_norm": "layer norm", "gelu": "GELU", "silu": "SiLU",
}  # fmt: skip


def graphs_json(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> dict[str, Any]:
    """All networks of the page that have sources, and the pairs that may be compared."""
    shown = [network for network in networks if has_sources(network.record)]
    place = {network.index: number for number, network in enumerate(shown)}
    timed = any(_times_ns(network) for network in shown)
    return {
        "metrics": [METRICS[metric].title for metric in SHOWN] + (["time, ns"] if timed else []),
        "networks": [_network(network, anchors, timed=timed) for network in shown],
        "pairs": [
            [place[first.index], place[other.index]]
            for first, other, reason in pairs(networks)
            if reason is None and {first.index, other.index} <= place.keys()
        ],
    }


def has_sources(record: Record) -> bool:
    """Without the producer of each input, as in records of earlier versions, a diagram could only guess."""
    return any(row.sources for row in record.rows)


def _network(network: NetworkView, anchors: Mapping[tuple[int, str], str], *, timed: bool) -> dict[str, Any]:
    """`prefix` before a module's path gives its link target, except for those in `anchors`."""
    targets = {module.path: anchors[network.index, module.path] for module in network.modules}
    prefixes = ("", f"{'_'.join(network.name.split())}/")
    prefix = min(prefixes, key=lambda prefix: sum(target != prefix + path for path, target in targets.items()))
    times_ns = _times_ns(network)
    inputs = {shape[1:] for shape in network.record.input}
    return {
        "name": network.name,
        "index": network.index,
        "input": ", ".join(shape_text(shape[1:]) for shape in network.record.input),
        "prefix": prefix,
        "anchors": {path: target for path, target in targets.items() if target != prefix + path},
        "rows": [
            _row(row, [times_ns.get((row.path, row.op, row.call), 0)] if timed else [], inputs)
            for row in network.record.rows
        ],
    }


def _row(row: Row, times_ns: list[int], inputs: set[tuple[int, ...]]) -> list[Any]:
    """Path, operator, kernel, output, sources (-1 is the network's input), costs and, if it is another, the role."""
    sources = list(row.sources or ())
    if not sources and any(shape[1:] in inputs for shape in row.inputs):
        sources = [-1]
    shape = shape_text(row.outputs[0][1:]) if row.outputs and len(row.outputs[0]) > 1 else ""
    costs = [row.macs, row.params, row.flops, row.activations, row.bytes_read + row.bytes_written, *times_ns]
    fields = [row.path, _title(row.op), window(row), shape, sources, costs]
    return [*fields, row.role] if row.role not in ("", row.path) else fields


def _title(op: str) -> str:
    """The name of an operator; those that write in place are the same."""
    name = op if op.startswith("_") else op.removesuffix("_")
    return OP_TITLES.get(name, name)


def window(row: Row) -> str:
    """Kernel, stride and groups of a convolution or pool: `7x7/2`, `3x3 depthwise`, `3x3, 32 groups`."""
    if not row.kernel:
        return ""
    text = shape_text(row.kernel)
    if row.stride and prod(row.stride) > 1:
        text += f"/{row.stride[0]}" if len(set(row.stride)) == 1 else f"/{shape_text(row.stride)}"
    if (row.groups or 1) > 1:
        channels = row.inputs[0][1] if row.inputs and len(row.inputs[0]) > 1 else 0
        text += " depthwise" if row.groups == channels else f", {row.groups} groups"
    return text


def _times_ns(network: NetworkView) -> dict[tuple[str, str, int], int]:
    """Whole nanoseconds of each operator in the first timed pass."""
    measurement = network.measurement
    if measurement is None:
        return {}
    operators = {timing: time_s for timing, time_s in measurement.operator_times_s.items() if timing.kind == "operator"}
    return {timing.key: round(time_s * 1e9) for timing, time_s in operators.items() if timing.phase == "forward"}
