"""Records that look as if they had been timed: the counts are real, the times follow from them without a clock."""

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
    """A record whose every operator takes a call and its FLOPs at 50 GFLOP/s or its bytes at 5 GB/s."""
    record = count_variant(variant(name), batch=batch, memory=True)
    timings = []
    for row in record.rows:
        base = slower * (2e-5 + max(row.flops / 5e10, (row.bytes_read + row.bytes_written) / 5e9))
        timings.append(Timing(row.path, row.op, row.call, "tile", "forward", _samples(base), quality, "", (4, 4)))
    timings.append(Timing("", "gap", 1, "gap", "forward", _samples(1e-4), quality, "", (4, 4)))
    whole = tuple(map(sum, zip(*(one.samples_s for one in timings), strict=True)))
    timings.insert(0, Timing("", "", 1, "whole", "pass", whole, quality, reason, (4, 4)))
    if kernels:
        found = {row.op: row.path for row in record.rows}
        timings += [
            Timing(path, f"aten::{op}", 1, "kernel", "forward", _samples(1e-3), quality) for op, path in found.items()
        ]
    measurement = Measurement(Configuration(batch=batch, threads=threads), tuple(timings), quality, reason)
    return record.replace(
        measurement=measurement, environment=environment, created="2026-01-02T03:04:05Z", commit="0123abc"
    )


def _samples(base: float) -> tuple[float, ...]:
    return tuple(round(base * (1 + 0.01 * number), 9) for number in range(PASSES))
