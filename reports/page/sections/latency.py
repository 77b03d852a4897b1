"""Latency of single passes, first call, compilation and memory; latency under load, as a chart and a table."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.units import percent, seconds
from analyzer.records.timings import Measurement
from reports import cells
from reports.page.context import Block, Chart
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.table import MISSING, Cell, Row, Table, columns
from reports.timing.latency import JOINED, LEFT_OUT, PERCENTILES, TOO_FEW_SAMPLES
from reports.timing.latency import figures as latency_figures
from reports.timing.latency_under_load import NOTE, OVERLOADED, Load, loads_of, requests_per_s

MAX_LINES = 8
WORTH_A_TABLE = {
    "p99_s",
    "first_call_s",
    "compile_s",
    "peak_memory_bytes",
    "energy_j",
}  # Medians alone are in the table of passes.


class Run(Frozen):
    """A timed run by its network and configuration."""

    name: str
    configuration: str
    measurement: Measurement

    @property
    def head(self) -> tuple[Cell, str]:
        """The first cells of its row; a void run is grayed."""
        return Cell(self.name, tone="void" if self.measurement.quality == "void" else ""), self.configuration


def blocks(networks: Sequence[NetworkView]) -> list[Block]:
    runs = [
        Run(network.name, record.measurement.configuration.label, record.measurement)
        for network in networks
        for record in network.timed
        if record.measurement and record.measurement.pass_timing
    ]
    return [*_table(runs), *_load_charts(runs)]


def _table(runs: Sequence[Run]) -> list[Block]:
    """One row per run: percentiles, first call, compilation, memory, energy; a column only if a run has its figure."""
    values = [(run, latency_figures(run.measurement)) for run in runs]
    known = [key for key in (values[0][1] if values else ()) if any(row[key] is not None for _, row in values)]
    if not WORTH_A_TABLE & {*known}:
        return []
    titles = [key.removesuffix("_s").removesuffix("_bytes").removesuffix("_j").replace("_", " ") for key in known]
    rows: list[Row] = [(*run.head, *(_cell(key, row[key]) for key in known)) for run, row in values]
    joined = any(run.measurement.passes_per_sample > 1 for run in runs)
    few = any(run.measurement.passes_per_sample == 1 and row["p99_s"] is None for run, row in values)
    note = " ".join((LEFT_OUT, *([JOINED] if joined else []), *([TOO_FEW_SAMPLES] if few else [])))
    head = columns("network", "configuration", *titles, left=("configuration",))
    return [Table("Latency, first call and memory", head, tuple(rows), notes=(note,), id="latency",
                  tools=("sort", "csv"))]  # fmt: skip


def _cell(key: str, value: float | None) -> Cell | str:
    if value is None:
        return MISSING
    if key.endswith("_bytes"):
        return cells.count("peak_memory", round(value))
    return cells.duration(value) if key.endswith("_s") else Cell(f"{value:.3g} J", value)


def _load_charts(runs: Sequence[Run]) -> list[Block]:
    """p99 over the rate of requests, a line per run; with a single run p50 and p90, too."""
    loads = [(run, run_loads) for run in runs if (run_loads := loads_of(run.measurement))]
    if not loads:
        return []
    rows: list[Row] = [(*run.head, *_load_cells(load)) for run, run_loads in loads for load in run_loads]
    overloaded = any(load.overloaded for _, run_loads in loads for load in run_loads)
    drawn = [(run, run_loads) for run, run_loads in loads if run.measurement.quality != "void"]
    lines: dict[str, list[tuple[float, float, str]]] = {}
    for run, run_loads in drawn[:MAX_LINES]:
        for name in PERCENTILES if len(drawn) == 1 else ("p99",):
            line = name if len(drawn) == 1 else f"{run.name}, {run.configuration}"
            points = [_point(line, load, load.latencies_s[name]) for load in run_loads]
            if known := [point for point in points if point]:
                lines[line] = known
    titles = ("configuration", "load", "utilization", *PERCENTILES, "max", "requests", "quality")
    head = columns("network", *titles, left=("configuration", "quality"))
    notes = (NOTE, *([OVERLOADED] if overloaded else []))
    table = Table("Latency at each load", head, tuple(rows), notes=notes, tools=("sort", "csv"))
    groups = {name: scatter.transpose(points) for name, points in lines.items()}
    return [
        Chart(
            id="load",
            title="Latency under load",
            summary=" ".join(_growth(run, run_loads) for run, run_loads in drawn) or "All runs are void.",
            figure=scatter.lines(groups, x="requests per second, logarithmic", y="latency, ms"),
            table=table,
            marks=sum(map(len, lines.values())),
        )
    ]


def _growth(run: Run, loads: Sequence[Load]) -> str:
    """From the lowest to the highest load that has a p99."""
    known = [(load.timing.op, latency_s) for load in loads if (latency_s := load.latencies_s["p99"]) is not None]
    name = f"{run.name}, {run.configuration}"
    if not known:
        return f"{name}: no load has 100 requests without an overload, so there is no p99."
    ends = " and ".join(f"{seconds(latency_s)} at {load}" for load, latency_s in dict.fromkeys((known[0], known[-1])))
    return f"{name}: p99 is {ends}."


def _point(line: str, load: Load, latency_s: float | None) -> tuple[float, float, str] | None:
    if latency_s is None:
        return None
    text = f"{line}: {seconds(latency_s)} at {load.timing.op}, utilization {percent(min(load.utilization, 1.0))}"
    rate = requests_per_s(load.timing)
    return int(rate) if rate.is_integer() else rate, 1e3 * latency_s, figures.escape_label(text)


def _load_cells(load: Load) -> tuple[Cell | str, ...]:
    return (
        Cell(load.timing.op, requests_per_s(load.timing)),
        Cell(percent(min(load.utilization, 1.0)), load.utilization),
        *map(cells.duration, load.latencies_s.values()),
        cells.exact(len(load.timing.samples_s)),
        cells.quality(load.timing.quality),
    )
