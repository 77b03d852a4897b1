"""Records as if they had been timed: real counts, and times that follow from them."""

from __future__ import annotations

from typing import Any

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Measurement, Timing

PASSES = 8
MACHINE: dict[str, Any] = {
    "processor": {
        "model": "Example CPU 3 GHz",
        "family": ["6", "1"],
        "flags": ["avx2", "fma"],
        "count": 4,
        "caches": [{"level": 2, "kind": "unified", "bytes": 2**20}, {"level": 3, "kind": "unified", "bytes": 2**25}],
    },
    "torch": {"version": "2.13.0", "capability": "AVX2"},
    "system": {"os": "Linux", "kernel": "6.1", "architecture": "x86_64"},
    "peaks": [
        {"name": "float32", "unit": "FLOP", "threads": 2, "value": 2e11, "spread": 0.01},
        {"name": "copy L3", "unit": "B", "threads": 2, "value": 8e10, "spread": 0.02},
        {"name": "copy memory", "unit": "B", "threads": 2, "value": 2e10, "spread": 0.02},
    ],
}


def timed(
    name: str = "nin",
    *,
    batch: int = 1,
    threads: int = 2,
    quality: Any = "trusted",
    reason: str = "",
    environment: dict[str, Any] = MACHINE,
    slower: float = 1.0,
    kernels: bool = True,
) -> Record:
    """Every operator takes 20 µs plus its FLOPs at 50 GFLOP/s or its memory traffic at 5 GB/s, times `slower`."""
    record = count_variant(variant(name), batch=batch, memory=True)

    def timing(path: str, op: str, call: int, kind: Any, seconds: float) -> Timing:
        samples_s = tuple(round(seconds * (1 + 0.01 * number), 9) for number in range(PASSES))
        return Timing(path, op, call, kind, "forward", samples_s, quality, "", (4, 4))

    operators = [
        timing(
            row.path, row.op, row.call, "operator",
            slower * (2e-5 + max(row.flops / 5e10, (row.bytes_read + row.bytes_written) / 5e9)),
        )
        for row in record.rows
    ]  # fmt: skip
    operators.append(timing("", "overhead", 1, "overhead", 1e-4))
    durations = tuple(map(sum, zip(*(operator.samples_s for operator in operators), strict=True)))
    timings = [Timing("", "", 1, "pass", "pass", durations, quality, reason, (4, 4)), *operators]
    if kernels:
        paths = {row.op: row.path for row in record.rows}
        timings += [timing(path, f"aten::{op}", 1, "kernel", 1e-3) for op, path in paths.items()]
    return record.replace(
        measurement=Measurement(Configuration(batch=batch, threads=threads), tuple(timings), quality, reason),
        environment=environment,
        created="2026-01-02T03:04:05Z",
        commit="0123abc",
    )
