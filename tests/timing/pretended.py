"""A record as if it had been timed, for tests of what is shown and kept."""

from __future__ import annotations

from analyzer.records.timings import Configuration, Measurement, Timing


def timed(record, *, batch=1, layout="contiguous", seconds=0.010, quality="trusted", status="ok", reason=""):
    """Operators share 99 % of the pass in proportion to their FLOPs; 1 % is overhead."""
    samples = (seconds, seconds * 1.001, seconds * 0.999)
    flops = record.totals.flops
    timings = [
        Timing("", "", 1, "pass", "pass", samples, quality, reason, (3,)),
        *(
            Timing(
                row.path, row.op, row.call, "operator", "forward", (0.99 * seconds * row.flops / flops,) * 3, quality
            )
            for row in record.rows
        ),
        Timing("", "overhead", 1, "overhead", "forward", (0.01 * seconds,) * 3, quality),
    ]
    configuration = Configuration(batch=batch, layout=layout)
    return record.replace(
        measurement=Measurement(configuration, tuple(timings), quality, reason, status),
        created="2026-11-24T10:00:00Z",
    )
