"""Throughput by batch, layout and threads, in samples per second, and latency by batch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.units import plain, seconds
from analyzer.records.timings import Configuration, Quality, Timing
from reports import cells
from reports.page.context import Chart
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.table import Cell, Table, columns

WORST_FIRST: tuple[Quality, ...] = ("void", "noisy", "trusted")


class Run(Frozen):
    name: str
    configuration: Configuration
    timing: Timing
    quality: Quality

    @property
    def samples_per_s(self) -> float:
        return self.configuration.batch / self.timing.median_s

    @property
    def text(self) -> str:
        return plain(self.samples_per_s)

    @property
    def line(self) -> str:
        """The network and its configuration without the batch."""
        return f"{self.name}, {self.configuration.label.partition(', ')[2]}"


def charts(networks: Sequence[NetworkView]) -> list[Chart]:
    """One chart if there are several configurations: lines over the batch, or a bar per configuration."""
    runs = [
        Run(network.name, measurement.configuration, timing, measurement.quality)
        for network in networks
        for record in network.timed
        if (measurement := record.measurement) and (timing := measurement.pass_timing)
    ]  # fmt: skip
    if len({run.configuration for run in runs}) < 2:
        return []
    titles = columns("network", "configuration", "samples/s", "latency", "quality", left=("configuration", "quality"))
    rows = tuple(
        (
            run.name,
            run.configuration.label,
            Cell(run.text, run.samples_per_s),
            cells.duration(run.timing.median_s),
            cells.quality(run.quality),
        )
        for run in runs
    )
    drawn = [run for run in runs if run.quality != "void"]
    quality = min((run.quality for run in runs), key=WORST_FIRST.index)
    batches = len({run.configuration.batch for run in drawn}) > 1
    return [
        Chart(
            id="speed",
            title=f"Throughput {'and latency ' if batches else ''}by configuration",
            summary=_fastest(drawn)
            + (" Void runs are in the table alone." if drawn and len(drawn) < len(runs) else ""),
            figure=_lines(drawn) if batches else _bars(drawn),
            table=Table("Throughput of each run", titles, rows, tools=("sort", "csv")),
            marks=len(drawn),
            quality=quality,
            reason="" if quality == "trusted" else "Quality of the worst run.",
        )
    ]


def _fastest(runs: Sequence[Run]) -> str:
    """The fastest run that is not void, and those whose 95 % interval includes the same throughput."""
    from analyzer.timing.statistics import ratio_interval  # Imports numpy: not for a page without times.

    if not runs:
        return "All runs are void."
    fastest = max(runs, key=lambda run: run.samples_per_s)
    equal = []
    for run in runs:
        scale = fastest.configuration.batch / run.configuration.batch  # From passes to samples.
        if run is not fastest and ratio_interval(fastest.timing, run.timing)[0] * scale <= 1:
            equal.append(run)
    text = f"Fastest: {fastest.name} at {fastest.configuration.label}, {fastest.text} samples per second"
    return f"{text}; undecided against {len(equal)} other run{'s' if len(equal) > 1 else ''}." if equal else f"{text}."


def _lines(runs: Sequence[Run]) -> figures.Figure:
    """Samples per second and latency over the batch: a larger batch gains one and costs the other."""
    speeds: dict[str, list[tuple[int, float, str]]] = {}
    latencies: dict[str, list[tuple[int, float, str]]] = {}
    for run in runs:
        batch, latency = run.configuration.batch, run.timing.median_s
        name = f"{run.line}, batch {batch}"
        text = figures.escape_label(f"{name}: {run.text} samples/s, {run.quality}")
        speeds.setdefault(run.line, []).append((batch, run.samples_per_s, text))
        text = figures.escape_label(f"{name}: {seconds(latency)} per pass{_percentile(run.timing)}, {run.quality}")
        latencies.setdefault(run.line, []).append((batch, 1e3 * latency, text))
    upper, lower = (
        {line: scatter.transpose(sorted(values)) for line, values in lines.items()} for lines in (speeds, latencies)
    )
    return scatter.two_panels(
        upper, lower, x="batch, logarithmic", y_upper="samples per second", y_lower="latency (median), ms"
    )


def _percentile(timing: Timing) -> str:
    p99_s = timing.percentile_s(0.99)
    return "" if p99_s is None else f" (p99 {seconds(p99_s)})"


def _distinct_parts(names: Sequence[str]) -> list[str]:
    """`net (bfloat16), batch 1, bfloat16` → `bfloat16`: without the parts that all share, and each part once."""
    parts = [list(dict.fromkeys(re.split(r", | \(|\)(?:, |$)", name))) for name in names]
    distinct = [", ".join(part for part in own if not all(part in other for other in parts)) for own in parts]
    return distinct if len({*distinct, ""}) > len(names) else list(names)


def _bars(runs: Sequence[Run]) -> figures.Figure:
    names = _distinct_parts([f"{run.name}, {run.configuration.label}" for run in runs])
    speeds = [run.samples_per_s for run in runs]
    texts = [f"{run.text} samples/s, {run.quality}" for run in runs]
    return figures.bars(names, speeds, texts, unit="samples per second", colors=figures.BLUE)
