"""The section Time, for timed records: passes side by side, throughput, breakdown of a pass, roofline, kernels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isinf

from analyzer.core.units import percent, plain, seconds
from analyzer.records.comparable import incompatibility
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Timing, quartiles
from reports import cells
from reports.page.context import Block, Choice, Paragraphs, Section
from reports.page.network_views import NetworkView
from reports.page.sections import latency, pass_breakdown, roofline, speed
from reports.table import MISSING, Cell, Row, Table, columns
from reports.timing.breakdown import total_flops

LEAD = (
    "Measured times. Each has a quality: trusted (95 % confidence interval within ± 3 %), noisy (disturbed by other "
    "processes, wider interval, or a machine that was slow by the reference workload) or void (too disturbed to "
    "use). An operator of a trusted run is noisy if its own interval is wider."
)
GPU = (
    "GPU time: the pass queued completely before the GPU starts, without launch overhead. Operator times are GPU time."
)
LEGEND = (
    "±: half width of the 95 % confidence interval of the median, by bootstrap over processes. Interquartile range: "
    "of the samples. Sum of operators: with overhead, relative to the pass."
)


def section(networks: Sequence[NetworkView]) -> Section:
    timed = [network for network in networks if network.measurement]
    remarks = _remarks(networks, timed=False)
    untimed = [f"{text}: {'; '.join(names)}." for text, names in remarks.items()]
    if not timed:
        return Section("time", "Time", "Time", "", (Paragraphs(tuple(untimed), "notice"),) if untimed else ())
    blocks: list[Block] = [Paragraphs(tuple(untimed), "notice")] if untimed else []
    blocks += [pass_table(timed), *run_notes(timed), *latency.blocks(timed), *speed.charts(timed)]
    options = []
    for network in timed:
        for record, measurement, _ in _timed_records([network]):
            if charts := _breakdown(network, record, measurement):
                options.append((f"{network.name}, {measurement.configuration.label}", charts))
    if len(options) > 1:
        blocks.append(Choice("Pass of", tuple(options)))
    else:
        blocks += [chart for _, charts in options for chart in charts]
    return Section("time", "Time", "Time", LEAD, tuple(blocks))


def _breakdown(network: NetworkView, record: Record, measurement: Measurement) -> tuple[Block, ...]:
    """The charts of one pass; none of a void one, from which nothing follows."""
    if "void" in (measurement.quality, measurement.operator_quality[0]):
        return ()
    blocks: list[Block] = []
    if sum(measurement.operator_times_s.values()) > 0:
        charts = pass_breakdown.kinds, pass_breakdown.modules, pass_breakdown.operators
        blocks += [chart(network, record) for chart in charts]
        blocks += roofline.charts(network, record)
    return (*blocks, *pass_breakdown.kernels(network, record))


def _timed_records(networks: Sequence[NetworkView]) -> Iterator[tuple[Record, Measurement, Timing]]:
    for network in networks:
        for record in network.timed:
            if record.measurement and (timing := record.measurement.pass_timing):
                yield record, record.measurement, timing


def _remarks(networks: Sequence[NetworkView], *, timed: bool) -> dict[str, list[str]]:
    """How runs with or without a time ended, why they are not trusted, and their warnings; to the runs of each."""
    runs: dict[str, list[str]] = {}
    for network in networks:
        for record in network.timed:
            measurement = record.measurement
            if measurement is None or (measurement.pass_timing is not None) != timed:
                continue
            ended = "" if measurement.status == "ok" else f"the run ended {measurement.status}"
            for text in filter(None, (ended, *measurement.reasons, *measurement.warnings, measurement.rate_reason)):
                runs.setdefault(text, []).append(f"{network.name} at {measurement.configuration.label}")
    return {text: list(dict.fromkeys(names)) for text, names in runs.items()}


def run_notes(networks: Sequence[NetworkView]) -> list[Block]:
    """One row per run with all remarks on it, folded."""
    by_run: dict[str, list[str]] = {}
    for text, names in _remarks(networks, timed=True).items():
        for name in names:
            by_run.setdefault(name, []).append(text)
    rows: list[Row] = [(name, f"{'; '.join(texts)}.") for name, texts in by_run.items()]
    titles = columns("run", "notes", left=("notes",))
    return [Table("Notes on the runs", titles, tuple(rows), prose=True, id="run-notes", fold=True)] if rows else []


def pass_table(networks: Sequence[NetworkView]) -> Table:
    """One row per run: time, interval, throughput, FLOP/s, and how well operators add up. Runs are not divided."""
    runs = [(network.name, *run) for network in networks for run in _timed_records([network])]
    has_gpu_time = any(measurement.of("device") for _, _, measurement, _ in runs)
    titles = (
        *("network", "configuration", "time", "±", "quality", *(["GPU time"] if has_gpu_time else [])),
        *("interquartile range", "samples/s", "GFLOP/s", "sum of operators", "overhead", "passes"),
    )
    rows = tuple(_pass_row(*run, has_gpu_time=has_gpu_time) for run in runs)
    notes = (LEGEND, *([GPU] if has_gpu_time else []), *_incomparable(runs))
    return Table(
        "Time of a pass",
        columns(*titles, left=("configuration", "quality")),
        rows,
        notes=notes,
        id="passes",
        tools=("sort", "csv"),
    )


def _pass_row(name: str, record: Record, measurement: Measurement, timing: Timing, *, has_gpu_time: bool) -> Row:
    from analyzer.timing.statistics import relative_half_width  # Imports numpy: not for a page without times.

    uninstrumented = measurement.uninstrumented
    assert uninstrumented
    half_width = relative_half_width(timing)
    first_quartile, third_quartile = quartiles(timing.samples_s)
    times_s = measurement.operator_times_s
    total = sum(times_s.values())
    samples_per_s = measurement.configuration.batch / timing.median_s
    gflops_per_s = total_flops(record.rows) / timing.median_s / 1e9
    return (
        Cell(name, tone="void" if measurement.quality == "void" else ""),
        measurement.configuration.label,
        cells.duration(timing.median_s),
        MISSING if isinf(half_width) else _percent(half_width),
        cells.quality(measurement.quality),
        *([_gpu_time(uninstrumented)] if has_gpu_time else []),
        f"{seconds(first_quartile)} to {seconds(third_quartile)}",
        Cell(plain(samples_per_s), samples_per_s),
        MISSING if measurement.rate_reason else Cell(plain(gflops_per_s), gflops_per_s),
        _percent(total / uninstrumented.interquartile_mean_s) if times_s else MISSING,
        _percent(measurement.overhead_s / total) if total else MISSING,
        cells.exact(len(timing.samples_s)),
    )


def _gpu_time(timing: Timing) -> Cell | str:
    """A time, followed by its quality unless that is trusted."""
    if timing.kind != "device":
        return MISSING
    quality = "" if timing.quality == "trusted" else f" ({timing.quality})"
    return Cell(f"{seconds(timing.median_s)}{quality}", timing.median_s)


def _percent(share: float) -> Cell:
    return Cell(percent(share), share)


def _incomparable(runs: Sequence[tuple[str, Record, Measurement, Timing]]) -> tuple[str, ...]:
    """Which runs must not be compared with the first, and why."""
    (first_name, first, first_measurement, _), *others = runs
    names: dict[str, list[str]] = {}
    for name, record, measurement, _ in others:
        if reason := incompatibility(first, record):
            names.setdefault(reason, []).append(f"{name}, {measurement.configuration.label}")
    return tuple(
        f"Not comparable with {first_name}, {first_measurement.configuration.label}: {'; '.join(listed)} ({reason})."
        for reason, listed in names.items()
    )
