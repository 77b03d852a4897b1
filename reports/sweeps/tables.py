"""The tables of a sweep's analysis, in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from analyzer.core.units import percent, plain, relative_change, times
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.best_configuration import Best
from analyzer.sweeps.analysis.machines import Comparison, MachinePair
from analyzer.sweeps.analysis.pareto import Candidate, Front
from analyzer.sweeps.analysis.scaling import AXES, Axis, Curve, Step
from reports import cells
from reports.cells import interval_text, ratio_text
from reports.sweeps.heat_map_tables import fewer_values, heat_table
from reports.sweeps.names_and_phrases import (
    COST_TITLES,
    MAX_ROWS,
    STEP_NOTE,
    TUNED,
    Names,
    changes,
    cut,
    factor_interval,
    names_of,
    noisy,
    overview,
    time_interval,
)
from reports.sweeps.results import failures_table, results_table
from reports.table import MISSING, Cell, Row, Table, columns

MAX_LINES = 40  # Of a table as text.
MAX_DOMINATED = 200
BEST_NOTE = (
    "Speed: samples per second relative to the default, float32, contiguous and eager on all processors. The intervals "
    "of a row hold together with 95 % (Bonferroni; Dunn 1961). undecided: how many others may be as fast; with 95 % "
    "one of them or the best is the fastest (Hsu 1984)."
)


def tables(analysis: Analysis) -> list[Table]:
    """All tables that have content, as text: at most 40 rows each, and heat maps with fewer values."""
    names = names_of(analysis)
    parts = [
        *([best_table(analysis.best, names)] if analysis.best else []),
        *(front_table(front, names) for front in analysis.fronts),
        *scaling_tables(analysis, names),
        *(machines_table(pair, names) for pair in analysis.pairs),
        *(heat_table(fewer_values(heat_map)) for heat_map in analysis.heat_maps),
        *([failures_table(analysis, names)] if analysis.failures else []),
    ]
    *first, last = parts or [results_table(analysis, names)]
    return [*map(_shortened, first), _shortened(last.replace(notes=(*last.notes, overview(analysis))))]


def _shortened(table: Table) -> Table:
    hidden = len(table.rows) - MAX_LINES
    if hidden <= 0:
        return table
    return table.replace(
        rows=table.rows[:MAX_LINES], notes=(f"{hidden:,} more rows in HTML, CSV and JSON.", *table.notes)
    )


# Best configurations.


def best_table(configurations: Sequence[Best], names: Names) -> Table:
    batches = len({best.fastest.configuration.batch for best in configurations}) > 1
    rows: list[Row] = [
        (
            names.workload(best.fastest, without=TUNED),
            *([str(best.fastest.configuration.batch)] if batches else []),
            *([names.machine(best.fastest)] if names.several_machines else []),
            *_gain(best),
            f"{len(best.undecided)} of {best.compared - 1}",
            noisy([best.fastest]) or "trusted",
        )
        for best in configurations
    ]
    titles = [*(["batch"] if batches else []), *(["machine"] if names.several_machines else [])]
    titles += ["best configuration", "speed", "95 % interval", "time", "undecided", "quality"]
    left = {"machine", "best configuration", "quality"}
    void = sum(best.void for best in configurations)
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
    if not timed and any(item.point.step for item in front.candidates):
        notes.append(STEP_NOTE)
    if len(dominated) > MAX_DOMINATED:
        notes.append(f"{len(dominated) - MAX_DOMINATED:,} more dominated models are left out.")
    head = columns("model", *titles, left=("Pareto front",), cut="start")
    return Table(f"Pareto front: {front_title(front, names)}", head, tuple(rows), notes=tuple(notes))


def _candidate(front: Front, item: Candidate) -> Row:
    value: Cell | str = (
        cells.count("params", int(item.value)) if front.against == "params" else Cell(f"{item.value:g}", item.value)
    )
    cost = cells.duration(item.cost) if front.cost == "time" else cells.count("macs", int(item.cost))
    between = [time_interval(item.low, item.high)] if front.cost == "time" else []
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
            first = step is curve.steps[0]
            every.append(
                (
                    curve_name(curve, names),
                    str(step.at),
                    Cell(plain(step.point.samples_per_s), step.point.samples_per_s),
                    f"{plain(low)} to {plain(high) if isfinite(high) else 'any'}",
                    MISSING if first else Cell(efficiency_text(step), step.efficiency),
                    noisy([step.point]) or "trusted",
                )
            )
    titles = (axis, "samples/s", "95 % interval", "efficiency", "quality")
    head = columns("model", *titles, left=("quality",), drop=("quality",))
    noun = "batch" if axis == "batch" else "number of threads"
    note = f"Efficiency: samples per second relative to the smallest {noun}, divided by the growth of the {noun}; "
    notes = (f"{note}linear scaling is 100 %. Its interval, in brackets, is for 95 % (Fieller).", *cut(len(every)))
    return Table(f"Scaling over {axis}", head, tuple(every[:MAX_ROWS]), notes=notes)


def efficiency_text(step: Step) -> str:
    """`85.4 % (80.0 % to 91.2 %)`: the efficiency with its interval."""
    high = percent(step.high) if isfinite(step.high) else "any"
    return f"{percent(step.efficiency)} ({percent(step.low)} to {high})"


def curve_name(curve: Curve, names: Names) -> str:
    return names.workload(curve.steps[0].point, without={curve.axis})


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
        *cut(len(rows)),
    )
    return Table(f"{second} against {first}", head, tuple(rows[:MAX_ROWS]), notes=notes)


def comparison_cell(item: Comparison) -> Cell:
    if item.outcome == "undecided":
        return Cell("undecided", tone="muted")
    before, after = item.first.median.value, item.second.median.value
    return Cell(relative_change(before, after, fewer="less"), item.ratio, tone=cells.tone(before, after))
