"""Latency under load as a table, and the highest load within a limit."""

from __future__ import annotations

from analyzer.core.units import percent, plain, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Timing
from analyzer.timing.load_options import LatencyLimit
from reports.table import MISSING, Cell, Table, columns
from reports.table import Row as TableRow
from reports.timing.breakdown import measurement_of
from reports.timing.latency import PERCENTILES

OVERLOAD = 0.98  # Of the time that the model is busy.
NOTE = (
    "Requests arrive at random times (Poisson), one batch each, and are served one at a time. Latency counts from the "
    "scheduled arrival, so it contains the wait. Utilization: share of the time that the model is busy."
)
OVERLOADED = "At a utilization near 100 % the queue grows for as long as the load lasts, so there are no percentiles."


def load_tables(record: Record, limit: LatencyLimit | None) -> list[Table]:
    """One row per load, the lowest first."""
    measurement = measurement_of(record)
    timings = sorted(measurement.of("latency"), key=requests_per_s)
    timing = measurement.pass_timing
    if not timings or timing is None:
        return []
    rows: list[TableRow] = []
    overloaded = False
    for under_load in timings:
        utilization = requests_per_s(under_load) * timing.interquartile_mean_s
        values = [under_load.percentile_s(share) for share in PERCENTILES.values()]
        maximum: float | None = max(under_load.samples_s)
        if utilization >= OVERLOAD:
            values, maximum, overloaded = [None] * len(values), None, True
        cells = [MISSING if value is None else seconds(value) for value in (*values, maximum)]
        rows.append((Cell(under_load.op), percent(min(utilization, 1.0)), *cells, plain(len(under_load.samples_s))))
    notes = [NOTE, *([OVERLOADED] if overloaded else []), *([highest_load(timings, limit)] if limit else [])]
    headings = columns("load", "utilization", *PERCENTILES, "max", "requests")
    title = f"{record.label}: latency under load, {measurement.quality}"
    return [Table(title, headings, tuple(rows), notes=tuple(notes))]


def requests_per_s(timing: Timing) -> float:
    return float(timing.op.removesuffix("/s"))


def highest_load(timings: list[Timing], limit: LatencyLimit) -> str:
    """The highest of the loads that kept the limit, below every load that broke it."""
    kept: Timing | None = None
    broken: Timing | None = None
    for timing in timings:
        share = sum(latency <= limit.seconds for latency in timing.samples_s) / len(timing.samples_s)
        if share < limit.share:
            broken = timing
            break
        kept = timing
    text = f"{limit.name} of {seconds(limit.seconds)}"
    if kept is None:
        return f"No load kept {text}; the lowest was {timings[0].op}."
    few = f", by only {len(kept.samples_s)} requests" if kept.percentile_s(limit.share) is None else ""
    above = f"; {broken.op} broke it" if broken else ""
    return f"Highest load within {text}: {kept.op}{few}{above}."
