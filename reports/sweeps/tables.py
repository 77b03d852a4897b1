"""The tables of a sweep's analysis, in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from analyzer.core.units import METRICS, percent, plain, relative_change, seconds, times
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.best import Best
from analyzer.sweeps.analysis.heat_map import HeatCell, HeatMap, HeatMetric
from analyzer.sweeps.analysis.machines import Comparison, MachinePair
from analyzer.sweeps.analysis.pareto import Candidate, Front
from analyzer.sweeps.analysis.points import Point
from analyzer.sweeps.analysis.scaling import AXES, Axis, Curve
from reports import cells
from reports.cells import interval_text, ratio_text
from reports.sweeps.words import COST_TITLES, TUNED, Names, changes, factor_interval, names_of, noisy, overview
from reports.table import MISSING, Cell, Row, Table, columns

MAX_ROWS = 1000
MAX_DOMINATED = 200
HEAT_TITLES = {"samples_per_s": "samples/s", "macs": "MACs", "params": "params", "peak": "peak memory"}
HEAT_METRICS = {"macs": "macs", "params": "params", "peak": "peak_memory"}
BEST_NOTE = (
    "Speed: samples per second relative to the default, float32, contiguous and eager on all processors. The intervals "
    "of a row hold together with 95 % (Bonferroni; Dunn 1961). undecided: how many others may be as fast; with 95 % "
    "one of them or the best is the fastest (Hsu 1984)."
)


def tables(analysis: Analysis) -> list[Table]:
    """All tables that have content."""
    names = names_of(analysis)
    found = [
        *([best_table(analysis.best, names)] if analysis.best else []),
        *(front_table(front, names) for front in analysis.fronts),
        *scaling_tables(analysis, names),
        *(machines_table(pair, names) for pair in analysis.pairs),
        *map(heat_table, analysis.heat_maps),
        *([failures_table(analysis, names)] if analysis.failures else []),
    ]
    *first, last = found or [results_table(analysis, names)]
    return [*first, last.replace(notes=(*last.notes, overview(analysis)))]


def interval(low: float, high: float) -> str:
    """Of seconds."""
    return f"{seconds(low)} to {seconds(high) if isfinite(high) else 'any'}"


# Best configurations.


def best_table(found: Sequence[Best], names: Names) -> Table:
    batches = len({best.fastest.configuration.batch for best in found}) > 1
    rows: list[Row] = [
        (
            names.workload(best.fastest, without=TUNED),
            *([str(best.fastest.configuration.batch)] if batches else []),
            *([names.machine(best.fastest)] if names.several_machines else []),
            *_gain(best),
            f"{len(best.undecided)} of {best.compared - 1}",
            noisy([best.fastest]) or "trusted",
        )
        for best in found
    ]
    titles = [*(["batch"] if batches else []), *(["machine"] if names.several_machines else [])]
    titles += ["best configuration", "speed", "95 % interval", "time", "undecided", "quality"]
    left = {"machine", "best configuration", "quality"}
    void = sum(best.void for best in found)
    notes = [BEST_NOTE, *([f"{void} void times left out."] if void else [])]
    head = columns("model", *titles, left=left, drop=("quality", "undecided", "time"), shrink={"machine"})
    return Table("Best configuration", head, tuple(rows), notes=tuple(notes))


def _gain(best: Best) -> tuple[Cell | str, ...]:
    """The configuration, its speed, the interval and its time. What is undecided is no conclusion."""
    time_s = cells.duration(best.fastest.median.value)
    if best.default is None:
        return changes(best), Cell("no default", tone="muted"), MISSING, time_s
    if best.speed is None or best.low is None or best.high is None:
        return Cell("the default", tone="muted"), MISSING, MISSING, time_s
    text = factor_interval(best.low, best.high)
    if not best.certain:
        return Cell(changes(best), tone="muted"), Cell("undecided", tone="muted"), text, time_s
    return changes(best), Cell(times(best.speed), best.speed, tone="good"), text, time_s


# Pareto fronts.


def front_title(front: Front, names: Names) -> str:
    machine = names.machines.get(front.machine, "") if names.several_machines else ""
    place = f", on {machine}" if machine else ""
    return f"{COST_TITLES[front.cost]} against {front.against}, {front.setting}{place}"


def front_table(front: Front, names: Names) -> Table:
    """The front by ascending cost, then the dominated models, muted."""
    dominated = sorted((item for item in front.candidates if not item.on_front), key=lambda item: item.cost)
    rows = [_candidate(front, item) for item in (*front.front, *dominated[:MAX_DOMINATED])]
    timed = front.cost == "time"
    cost = COST_TITLES[front.cost]
    titles = (cost, *(["interval"] if timed else []), front.against, "Pareto front")
    notes = []
    if timed:
        notes.append(
            "Dominated: another model is as good or better and its whole interval is below. All intervals hold "
            "together with 95 % (Bonferroni; Dunn 1961)."
        )
    if len(dominated) > MAX_DOMINATED:
        notes.append(f"{len(dominated) - MAX_DOMINATED:,} more dominated models are left out.")
    head = columns("model", *titles, left=("Pareto front",))
    return Table(f"Pareto front: {front_title(front, names)}", head, tuple(rows), notes=tuple(notes))


def _candidate(front: Front, item: Candidate) -> Row:
    value: Cell | str = (
        cells.count("params", int(item.value)) if front.against == "params" else Cell(f"{item.value:g}", item.value)
    )
    cost = cells.duration(item.cost) if front.cost == "time" else cells.count("macs", int(item.cost))
    between = [interval(item.low, item.high)] if front.cost == "time" else []
    state = Cell("on the front", tone="good") if item.on_front else Cell("dominated", tone="muted")
    return Cell(item.point.name, tone="" if item.on_front else "void"), cost, *between, value, state


# Scaling.


def scaling_tables(analysis: Analysis, names: Names) -> Iterator[Table]:
    for axis in AXES:
        if curves := [curve for curve in analysis.curves if curve.axis == axis]:
            yield scaling_table(axis, curves, names)


def scaling_table(axis: Axis, curves: Sequence[Curve], names: Names) -> Table:
    every: list[Row] = []
    for curve in curves:
        for step in curve.steps:
            low, high = step.point.rate_interval
            efficiency_interval = f"{percent(step.low)} to {percent(step.high) if isfinite(step.high) else 'any'}"
            first = step is curve.steps[0]
            every.append(
                (
                    curve_name(curve, names),
                    str(step.at),
                    Cell(plain(step.point.samples_per_s), step.point.samples_per_s),
                    f"{plain(low)} to {plain(high) if isfinite(high) else 'any'}",
                    MISSING if first else Cell(percent(step.efficiency), step.efficiency),
                    MISSING if first else efficiency_interval,
                    noisy([step.point]) or "trusted",
                )
            )
    titles = (axis, "samples/s", "95 % interval", "efficiency", "of efficiency", "quality")
    head = columns("model", *titles, left=("quality",), drop=("quality", "of efficiency"))
    noun = "batch" if axis == "batch" else "number of threads"
    note = f"Efficiency: samples per second relative to the smallest {noun}, divided by the growth of the {noun}; "
    notes = (f"{note}linear scaling is 100 %. Its interval is for 95 % (Fieller).", *_cut(len(every)))
    return Table(f"Scaling over {axis}", head, tuple(every[:MAX_ROWS]), notes=notes)


def curve_name(curve: Curve, names: Names) -> str:
    return names.workload(curve.steps[0].point, without={curve.axis})


def _cut(count: int) -> list[str]:
    return [f"The first {MAX_ROWS:,} of {count:,} rows; --where selects others."] if count > MAX_ROWS else []


# Machines.


def machines_table(pair: MachinePair, names: Names) -> Table:
    first, second = (names.machines[machine] for machine in (pair.first, pair.second))
    rows: list[Row] = [
        (
            f"{item.first.name}, {item.second.configuration.label}",
            cells.duration(item.first.median.value),
            cells.duration(item.second.median.value),
            comparison_cell(item),
            interval_text(*(ratio_text(end) if 0 < end < float("inf") else "any" for end in (item.low, item.high))),
            noisy([item.first, item.second]) or "trusted",
        )
        for item in pair.comparisons
    ]
    head = columns("configuration", "1st", "2nd", "change", "95 % interval", "quality", left=("quality",),
                   drop=("quality",))  # fmt: skip
    notes = (
        f"1st: {first}. 2nd: {second}. The change is that of the time on the 2nd relative to the 1st. Each interval is "
        "for 95 % by itself (Fieller): about 1 in 20 differences between equal times would seem certain.",
        *_cut(len(rows)),
    )
    return Table(f"{second} against {first}", head, tuple(rows[:MAX_ROWS]), notes=notes)


def comparison_cell(item: Comparison) -> Cell:
    if item.outcome == "undecided":
        return Cell("undecided", tone="muted")
    before, after = item.first.median.value, item.second.median.value
    return Cell(relative_change(before, after, fewer="less"), item.ratio, tone=cells.tone(before, after))


# Heat maps.


def heat_text(metric: HeatMetric, cell: HeatCell | None) -> str:
    if cell is None:
        return MISSING
    if cell.value is None:
        return cell.state
    return plain(cell.value) if metric == "samples_per_s" else METRICS[HEAT_METRICS[metric]].text(cell.value)


def heat_title(heat_map: HeatMap) -> str:
    """`samples/s by batch and threads, bfloat16`."""
    by = f"{heat_map.y} and {heat_map.x}" if heat_map.y else heat_map.x
    return ", ".join((f"{HEAT_TITLES[heat_map.metric]} by {by}", *map(fixed_text, heat_map.fixed)))


def fixed_text(item: tuple[str, str | int]) -> str:
    name, value = item
    return f"{name} {value}" if isinstance(value, int) else value


def heat_table(heat_map: HeatMap) -> Table:
    rows: list[Row] = []
    for value, line in zip(heat_map.y_values, heat_map.cells, strict=True):
        texts = (_heat_cell(heat_map.metric, cell) for cell in line)
        rows.append((str(value) if heat_map.y else HEAT_TITLES[heat_map.metric], *texts))
    notes = []
    if heat_map.over:
        best = "most samples per second" if heat_map.metric == "samples_per_s" else "smallest count"
        notes.append(f"Each cell is the {best} over {', '.join(heat_map.over)}.")
    if heat_map.left_out:
        notes.append(f"{heat_map.left_out:,} values of the axes are left out; --where selects them.")
    corner = f"{heat_map.y} \\ {heat_map.x}" if heat_map.y else heat_map.x
    head = columns(corner, *map(str, heat_map.x_values))
    return Table(heat_title(heat_map), head, tuple(rows), notes=tuple(notes))


def _heat_cell(metric: HeatMetric, cell: HeatCell | None) -> Cell | str:
    text = heat_text(metric, cell)
    if cell is None or cell.value is None:
        return Cell(text, tone="void" if cell else "muted")
    return Cell(text, cell.value, tone="warn" if cell.state == "noisy" else "")


# Failures and results.


def failures_table(analysis: Analysis, names: Names, *, shown: int = 3) -> Table:
    rows: list[Row] = []
    for failure in analysis.failures:
        examples = [names.workload(point) for point in failure.points[:shown]]
        more = len(failure.points) - shown
        text = "; ".join(examples) + (f"; and {more:,} more" if more > 0 else "")
        rows.append((failure.reason, Cell(f"{len(failure.points):,}", len(failure.points)), text))
    head = columns("reason", "configurations", "which", left=("which",))
    return Table("Failures by reason", head, tuple(rows), prose=True)


def results_table(analysis: Analysis, names: Names) -> Table:
    """Every configuration, those that failed last."""
    points = sorted(analysis.points, key=lambda point: point.failed)
    gpu = any(point.time and point.time.gpu for point in points)
    timed, peaks = any(point.time for point in points), any(point.peak is not None for point in points)
    rows = [
        (
            Cell(point.name, tone="void" if point.failed else ""),
            *([names.configuration(point)] if names.varying else []),
            *([names.machine(point)] if names.several_machines else []),
            cells.count("params", point.params),
            cells.count("macs", point.macs),
            *([cells.count("peak_memory", point.peak)] if peaks else []),
            *(_times(point) if timed else []),
            *([_gpu_time(point)] if gpu else []),
        )
        for point in points[:MAX_ROWS]
    ]
    titles = [
        *(["configuration"] if names.varying else []),
        *(["machine"] if names.several_machines else []),
        "params",
        "MACs",
    ]
    titles += [*(["peak memory"] if peaks else []), *(["time", "95 % interval", "quality"] if timed else [])]
    titles += ["GPU time"] if gpu else []
    head = columns("model", *titles, left=("configuration", "machine", "quality"), shrink={"configuration", "machine"})
    return Table("Results", head, tuple(rows), notes=tuple(_cut(len(points))))


def _gpu_time(point: Point) -> Cell | str:
    median = point.time.gpu if point.time else None
    if median is None:
        return MISSING
    low, high = median.interval()
    return Cell(seconds(median.value), median.value, note=f"{interval(max(low, 0.0), high)}")


def _times(point: Point) -> tuple[Cell | str, ...]:
    if point.time is None:
        return MISSING, MISSING, Cell("failed", tone="bad") if point.failed else MISSING
    if not point.usable:
        return Cell(seconds(point.time.shown_s), tone="void"), MISSING, cells.quality("void")
    low, high = point.median.interval()
    return cells.duration(point.median.value), interval(max(low, 0.0), high), cells.quality(point.time.quality)
