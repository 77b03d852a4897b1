"""Latency under load as a table, and the highest load within a limit."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.core.frozen import Frozen
from analyzer.core.units import percent, plain, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Timing
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


class Load(Frozen):
    """Latencies in seconds at one rate of requests: p50, p90, p99 and max; None if there are too few requests.

    All are None in an overload: the queue grows for as long as the load lasts.
    """

    timing: Timing
    utilization: float
    latencies_s: Mapping[str, float | None]

    @property
    def overloaded(self) -> bool:
        return self.utilization >= OVERLOAD


def loads_of(measurement: Measurement) -> list[Load]:
    """The loads of a timed run, the lowest first."""
    timing = measurement.pass_timing
    if timing is None:
        return []
    loads = []
    for under_load in sorted(measurement.of("latency"), key=requests_per_s):
        utilization = requests_per_s(under_load) * timing.interquartile_mean_s
        latencies_s: dict[str, float | None] = dict.fromkeys((*PERCENTILES, "max"))
        if utilization < OVERLOAD:
            latencies_s = {name: under_load.percentile_s(share) for name, share in PERCENTILES.items()}
            latencies_s["max"] = max(under_load.samples_s)
        loads.append(Load(under_load, utilization, latencies_s))
    return loads


def load_tables(record: Record, limit: LatencyLimit | None) -> list[Table]:
    """One row per load, the lowest first."""
    measurement = measurement_of(record)
    loads = loads_of(measurement)
    if not loads:
        return []
    rows: list[TableRow] = [
        (
            Cell(load.timing.op),
            percent(min(load.utilization, 1.0)),
            *(MISSING if value is None else seconds(value) for value in load.latencies_s.values()),
            plain(len(load.timing.samples_s)),
        )
        for load in loads
    ]
    overloaded = any(load.overloaded for load in loads)
    timings = [load.timing for load in loads]
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
