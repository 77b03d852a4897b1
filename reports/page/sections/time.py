"""Time, where records carry it: what FLOPs hide, parts that add up, kernels, the roofline, speed by setting."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf
from statistics import quantiles

from analyzer.core.units import percent, plain, seconds
from analyzer.records.comparable import incompatibility
from analyzer.records.record import Record
from analyzer.records.timings import Timing
from reports import cells
from reports.page.context import Block, Paragraphs, Section
from reports.page.network_views import NetworkView
from reports.page.sections import breakdown, roofline, speed
from reports.table import MISSING, Cell, Row, Table, columns
from reports.timing.breakdown import total_flops

ADD = (
    "Nothing on this page was timed. analyze time --variant googlenet measures each module and keeps a record under "
    ".analyze/records; analyze report with that file shows it here."
)
LEAD = (
    "Measured times beside the counts. Every figure has the verdict of its run: trusted (known to ± 3 %), noisy "
    "(neighbours disturbed it, its processes disagree by more, or fixed work beside it shows a slowed machine) or void "
    "(disturbed too much to say anything). An operator of a trusted run is noisy where it is known less well itself."
)
DEVICE = (
    "Device alone: the same pass on a device that waits until all of it is issued. Its parts are the device's own time."
)
DOUBT = "±: half the 95 % interval of the median, processes drawn. Middle half: of the samples."


def section(subjects: Sequence[NetworkView]) -> Section:
    timed = [one for one in subjects if any(record.measurement and record.measurement.pass_timing for record in one.timed)]
    failed = _said(subjects, timed=False)
    if not timed:
        blocks: list[Block] = [Paragraphs((ADD, *failed), "notice")]
        return Section("time", "Time", "Time", "", tuple(blocks))
    blocks = [Paragraphs(tuple(failed), "notice")] if failed else []
    blocks += [wholes(timed), *speed.charts(timed)]
    for one in timed:
        record = next(record for record in one.timed if record.measurement and record.measurement.pass_timing)
        if record.measurement and sum(record.measurement.operator_times_s.values()) > 0:
            blocks += [breakdown.kinds(one, record), breakdown.modules(one, record), breakdown.operators(one, record)]
            blocks += roofline.charts(one, record)
        blocks += breakdown.kernels(one, record)
    return Section("time", "Time", "Time", LEAD, tuple(blocks))


def _said(subjects: Sequence[NetworkView], *, timed: bool) -> list[str]:
    """What a reader must know of runs with a time, or of those without: how they ended, why they are not trusted, what
    they warned of."""
    found: dict[str, list[str]] = {}
    for one in subjects:
        for record in one.timed:
            assert record.measurement
            if (record.measurement.pass_timing is not None) != timed:
                continue
            ended = [] if record.measurement.status == "ok" else [f"the run ended {record.measurement.status}"]
            alone = (
                f"the device alone: {why}"
                if (why := record.measurement.operator_quality[1]) and why != record.measurement.reason
                else ""
            )
            for text in (*ended, record.measurement.reason, alone, *record.measurement.warnings):
                found.setdefault(text, []).append(f"{one.name} at {record.measurement.configuration.label}")
    return [f"{text}: {'; '.join(dict.fromkeys(runs))}." for text, runs in found.items() if text]


def wholes(subjects: Sequence[NetworkView]) -> Table:
    """A line a run: the pass, its middle half, throughput, rate, and how well its parts add up. No ratios of runs."""
    from analyzer.timing.statistics import confidence_interval  # Numpy, which a page without times does without.

    rows: list[Row] = []
    records = [
        (one, record) for one in subjects for record in one.timed if record.measurement and record.measurement.pass_timing
    ]
    devices = any(record.measurement and record.measurement.of("device") for _, record in records)
    for one, record in records:
        cell = record.measurement
        assert cell
        whole, uninstrumented = cell.pass_timing, cell.uninstrumented
        assert whole
        assert uninstrumented
        low, high = spread(whole)
        least, most = confidence_interval(whole)
        doubt = (most - least) / 2 / whole.median_s
        found = cell.operator_times_s
        gap = sum(time for part, time in found.items() if part.kind == "overhead")
        total = sum(found.values())
        row: list[Cell | str] = [
            one.name,
            cell.configuration.label,
            cells.duration(whole.median_s),
            MISSING if isinf(doubt) else Cell(percent(doubt), doubt),
            cells.quality(cell.quality),
            *([_alone(uninstrumented) if uninstrumented is not whole else MISSING] if devices else []),
            f"{seconds(low)} to {seconds(high)}",
            _plain(cell.configuration.batch / whole.median_s),
            _plain(total_flops(record.rows) / whole.median_s / 1e9),
            Cell(percent(total / uninstrumented.interquartile_mean_s), total / uninstrumented.interquartile_mean_s) if found else MISSING,
            Cell(percent(gap / total), gap / total) if total else MISSING,
            cells.exact(len(whole.samples_s)),
        ]
        rows.append(tuple(row))
    alone = ("device alone",) if devices else ()
    titles = ("time", "±", "quality", *alone, "middle half", "samples/s", "GFLOP/s", "parts sum to", "gap", "passes")
    heads = columns("network", "configuration", *titles, left=("configuration", "quality"))
    notes = (DOUBT, *([DEVICE] if devices else []), *_said(subjects, timed=True), *_apart(records))
    return Table("Time of a pass", heads, tuple(rows), notes=notes, id="passes", tools=("sort", "csv"))


def _apart(records: Sequence[tuple[NetworkView, Record]]) -> tuple[str, ...]:
    """Which runs stand beside the first and must not be subtracted from it, and why."""
    (first, ours), *others = records
    assert ours.measurement
    found: dict[str, list[str]] = {}
    for one, theirs in others:
        assert theirs.measurement
        if reason := incompatibility(ours, theirs):
            found.setdefault(reason, []).append(f"{one.name}, {theirs.measurement.configuration.label}")
    return tuple(
        f"Not subtracted from {first.name}, {ours.measurement.configuration.label}: {'; '.join(names)} ({reason})."
        for reason, names in found.items()
    )


def spread(timing: Timing) -> tuple[float, float]:
    """The middle half of samples: lower and upper quartile."""
    if len(timing.samples_s) < 2:
        return timing.median_s, timing.median_s
    low, _, high = quantiles(timing.samples_s, n=4, method="inclusive")
    return low, high


def _alone(timing: Timing) -> Cell:
    """A device's own time, with its own verdict where that is not the best."""
    verdict = "" if timing.quality == "trusted" else f" ({timing.quality})"
    return Cell(f"{seconds(timing.median_s)}{verdict}", timing.median_s)


def _plain(value: float) -> Cell:
    return Cell(plain(value), value)
