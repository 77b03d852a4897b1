"""Timed records as CSV: one line per timing, with its counts."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.records.record import Record
from analyzer.records.rows import Row
from analyzer.records.timings import Configuration, Timing, quartiles
from analyzer.timing.machine.operator_bounds import Bounds, bounds, works_of
from analyzer.timing.machine.roofline import Ceilings
from reports.formats.text import csv_text
from reports.timing.breakdown import CeilingsOf, total_flops
from reports.timing.latency import figures

KEYS = ("path", "op", "call", "kind", "phase", "quality")
VALUES = ("macs", "flops", "samples", "median_s", "lower_quartile_s", "upper_quartile_s", "operator_time_s")
LATENCY = ("p90_s", "p99_s", "max_s")


def timings_csv(records: Sequence[Record], ceilings_of: CeilingsOf | None = None) -> str:
    """Long CSV: model, configuration, the timing's key, its counts and times; with ceilings the bounds on a device.

    Percentiles and the maximum are those of single passes, empty for joined passes and without a sample above.
    `operator_time_s` of operators and overhead is the mean that adds up to a pass, as in the tables. FLOPs of a
    backward operator are 2 x its MACs.
    """
    lines: list[list[object]] = [
        ["model", *Configuration.fields, *KEYS, *VALUES, *LATENCY, *(Bounds.fields if ceilings_of else ())]
    ]
    for record in records:
        if record.measurement is None:
            continue
        configuration = vars(record.measurement.configuration).values()
        times_s = record.measurement.operator_times_s
        values = figures(record.measurement)
        rows = record.rows_by_key()
        ceilings = ceilings_of(record) if ceilings_of else None
        for timing in record.measurement.timings:
            samples = timing.samples_s
            spread: Sequence[object] = quartiles(samples) if len(samples) > 1 else ("", "")
            key = [record.label, *configuration, *(getattr(timing, name) for name in KEYS)]
            counts = _counts(record, timing, rows.get(timing.key))
            limits = _bounds(record, timing, rows.get(timing.key), ceilings) if ceilings_of else ()
            latency = [values.get(name) if timing.kind == "pass" else "" for name in LATENCY]
            times = [timing.median_s, *spread, times_s.get(timing, ""), *("" if s is None else s for s in latency)]
            lines.append([*key, *counts, len(samples), *times, *limits])
    return csv_text(lines)


def _counts(record: Record, timing: Timing, row: Row | None) -> tuple[int | str, int | str]:
    """MACs and FLOPs of the timed operators; empty if nothing is counted, such as for overhead."""
    if timing.kind in ("pass", "device"):
        return record.totals.macs, total_flops(record.rows)
    if timing.kind not in ("operator", "replay", "replay_cold") or row is None:
        return "", ""
    if timing.phase == "backward":
        return "", 2 * row.backward_macs if row.backward_macs is not None else ""
    return row.macs, row.flops


def _bounds(record: Record, timing: Timing, row: Row | None, ceilings: Ceilings | None) -> tuple[object, ...]:
    """The bounds of a pass or of an operator in it; empty for everything else."""
    rows = record.rows if timing.kind == "pass" else [row] if row and timing.kind == "operator" else []
    if ceilings is None or not rows or timing.phase == "backward":
        return ("",) * len(Bounds.fields)
    return tuple("" if value is None else value for value in vars(bounds([*map(works_of, rows)], ceilings)).values())
