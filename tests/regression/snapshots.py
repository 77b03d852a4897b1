"""Builds snapshots for tests."""

from __future__ import annotations

from analyzer.regression.counts.snapshot import Layer, Snapshot


def layer(path: str, op: str = "conv2d", call: int = 1, **counts: int) -> Layer:
    return Layer(path, op, call, counts)


def model(*layers: Layer, mode: str = "inference", peak: int | None = 100, **unknown: int) -> Snapshot:
    return Snapshot(mode, ((1, 3, 8, 8),), "float32", layers, peak, unknown)
