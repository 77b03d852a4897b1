"""Percentiles of a pass, its first call, compilation and peak memory: what a service needs beside the median."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import scaled, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Measurement
from reports.table import MISSING, Cell, Table, columns
from reports.table import Row as TableRow
from reports.timing.breakdown import measurement_of

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
JOINED = "Short passes are timed several at a time, so there are no percentiles of single passes."
TOO_FEW_SAMPLES = "A percentile needs a sample above it: p99 needs 100."
LEFT_OUT = "Disturbed samples are left out."


def percentiles_s(measurement: Measurement) -> dict[str, float | None]:
    """p50, p90, p99 and the maximum of single passes; None where there are too few samples, or no single passes."""
    timing = measurement.pass_timing
    if timing is None or measurement.passes_per_sample > 1:
        return dict.fromkeys((*PERCENTILES, "max"))
    return {**{name: timing.percentile_s(share) for name, share in PERCENTILES.items()}, "max": max(timing.samples_s)}


def figures(measurement: Measurement) -> dict[str, float | None]:
    """Seconds of the percentiles, of the first call and of compilation (medians over processes); bytes of memory."""
    calls = {
        kind: next((timing.median_s for timing in measurement.of(kind)), None) for kind in ("first_call", "compile")
    }
    return {
        **{f"{name}_s": value for name, value in percentiles_s(measurement).items()},
        "first_call_s": calls["first_call"],
        "compile_s": calls["compile"],
        "peak_memory_bytes": measurement.peak_memory_bytes,
        "energy_j": measurement.energy_j,
    }


def latency_table(records: Sequence[Record], labels: Sequence[str]) -> list[Table]:
    """One row per record, with `labels` of configurations if they differ.

    No table without any of the figures, as of records of earlier versions.
    """
    rows: list[TableRow] = []
    measurements = list(map(measurement_of, records))
    compiled = any(measurement.of("compile") for measurement in measurements)
    energy = any(measurement.energy_j is not None for measurement in measurements)
    configured = set(labels) != {MISSING}
    if not any(measurement.peak_memory_bytes or measurement.of("first_call") for measurement in measurements):
        return []
    joined, few = False, False
    for record, label, measurement in zip(records, labels, measurements, strict=True):
        values = figures(measurement)
        joined |= measurement.passes_per_sample > 1
        few |= measurement.passes_per_sample == 1 and values["p99_s"] is None
        memory, energy_j = values.pop("peak_memory_bytes"), values.pop("energy_j")
        if not compiled:
            values.pop("compile_s")
        cells = [MISSING if value is None else seconds(value) for value in values.values()]
        place = (label,) if configured else ()
        cells.append(MISSING if memory is None else scaled(memory, "B", digits=3))
        if energy:
            cells.append(MISSING if energy_j is None else _joules(energy_j))
        rows.append((Cell(record.label), *place, *cells))
    titles = (
        *PERCENTILES,
        "max",
        "first call",
        *(["compile"] if compiled else []),
        "peak memory",
        *(["energy"] if energy else []),
    )
    headings = columns("model", *(["configuration"] if configured else []), *titles, left=("configuration",))
    notes = (LEFT_OUT, *([JOINED] if joined else []), *([TOO_FEW_SAMPLES] if few else []))
    return [Table("Latency and memory", headings, tuple(rows), notes=(" ".join(notes),))]


def _joules(value: float) -> str:
    return f"{scaled(value, 'J', digits=3)}" if value >= 1 else f"{1e3 * value:.3g} mJ"
