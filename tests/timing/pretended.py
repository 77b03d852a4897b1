"""A record as if it had been timed, for tests of what is shown and kept."""

from __future__ import annotations

from analyzer.records.timings import Configuration, Measurement, Timing


def timed(record, *, batch=1, layout="contiguous", seconds=0.010, quality="trusted", status="ok", reason=""):
    """A record as if its rows had taken what its FLOPs say, and 1 % for what lies between."""
    whole = Timing("", "", 1, "whole", "pass", (seconds, seconds * 1.001, seconds * 0.999), quality, reason, (3,))
    flops = record.totals.flops
    tiles = [
        Timing(row.path, row.op, row.call, "tile", "forward", (0.99 * seconds * row.flops / flops,) * 3, quality)
        for row in record.rows
    ]
    gap = Timing("", "gap", 1, "gap", "forward", (0.01 * seconds,) * 3, quality)
    configuration = Configuration(batch=batch, layout=layout)
    return record.replace(
        measurement=Measurement(configuration, (whole, *tiles, gap), quality, reason, status),
        created="2026-11-24T10:00:00Z",
    )
