"""The section of scaling: samples per second over the batch and over threads, and efficiency against linear scaling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from analyzer.core.units import counted, plain
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.scaling import AXES, Axis, Curve, Step
from reports.page.context import ALL_TOOLS, Block, Chart, Section, SideBySide
from reports.page.figures import sweeps as figures
from reports.sweeps.names_and_phrases import MAX_ROWS, Names
from reports.sweeps.tables import curve_name, efficiency_text, scaling_table
from reports.table import MISSING, Cell, Table, columns

MAX_LINES = 8
LEAD = (
    "One model in configurations that differ in the batch, or in the number of threads, alone. Void times are left out."
)


def section(analysis: Analysis, names: Names) -> Section:
    blocks = tuple(
        _charts(axis, curves, names)
        for axis in AXES
        if (curves := [curve for curve in analysis.curves if curve.axis == axis])
    )
    return Section("sweep-scaling", "Scaling", "Scaling", LEAD, blocks)


def _charts(axis: Axis, curves: Sequence[Curve], names: Names) -> Block:
    """Throughput, and efficiency beside it."""
    shown = _chosen(curves)
    labels, common = _labels(shown, names)
    title = "the batch" if axis == "batch" else "threads"
    scope = f" The chart shows {len(shown)} of {len(curves)} series; the table all." if len(shown) < len(curves) else ""
    scope += f" All lines: {common}." if common else ""
    fastest = max((step for curve in curves for step in curve.steps), key=lambda step: step.point.samples_per_s)
    first, last = shown[0], shown[0].steps[-1]
    rate = _chart(
        f"sweep-{axis}",
        f"Throughput over {title}",
        f"Most samples per second: {_rate_text(fastest, names.workload(fastest.point))}.{scope}",
        {label: [_rate(step, label, axis) for step in curve.steps] for label, curve in zip(labels, shown, strict=True)},
        scaling_table(axis, curves, names).replace(tools=ALL_TOOLS),
        axis,
    )
    relative = _chart(
        f"sweep-{axis}-efficiency",
        f"Efficiency over {title}",
        f"Linear scaling is 100 %. {curve_name(first, names)}, {_at(axis, last)}: {efficiency_text(last)}.",
        {
            label: [_efficiency(step, label, axis) for step in curve.steps]
            for label, curve in zip(labels, shown, strict=True)
        },
        _efficiency_table(axis, curves, names),
        axis,
    )
    return SideBySide((rate, relative))


def _chart(
    id: str, title: str, summary: str, lines: Mapping[str, Sequence[figures.Value]], table: Table, axis: Axis
) -> Chart:
    relative = id.endswith("efficiency")
    unit = "of linear scaling" if relative else "samples per second"
    figure = figures.scaling(lines, x=f"{axis}, logarithmic", y=unit, percent=relative)
    return Chart(id, title, summary, figure, table, sum(map(len, lines.values())))


def _at(axis: Axis, step: Step) -> str:
    return f"batch {step.at}" if axis == "batch" else counted(step.at, "thread")


def _rate(step: Step, label: str, axis: Axis) -> figures.Value:
    text = f"{_rate_text(step, f'{label}, {_at(axis, step)}')}, {step.point.time.quality if step.point.time else ''}"
    return step.at, step.point.samples_per_s, step.point.rate_interval, text


def _rate_text(step: Step, name: str) -> str:
    low, high = step.point.rate_interval
    return f"{name}: {plain(step.point.samples_per_s)} [{plain(low)} to {plain(high) if isfinite(high) else 'any'}]"


def _efficiency(step: Step, label: str, axis: Axis) -> figures.Value:
    text = f"{label}, {_at(axis, step)}: {efficiency_text(step)}"
    return step.at, step.efficiency, (step.low, step.high), text


def _labels(curves: Sequence[Curve], names: Names) -> tuple[list[str], str]:
    """The names of the curves by what differs among them, and what is common to all."""
    parts = [names.parts(curve.steps[0].point, without={curve.axis}) for curve in curves]
    common = [index for index, texts in enumerate(zip(*parts, strict=True)) if len(set(texts)) == 1]
    if len(curves) == 1:
        return [", ".join(filter(None, parts[0]))], ""
    labels = [", ".join(text for index, text in enumerate(texts) if text and index not in common) for texts in parts]
    return labels, ", ".join(parts[0][index] for index in common if parts[0][index])


def _chosen(curves: Sequence[Curve]) -> list[Curve]:
    """At most eight, the longest of each model first."""
    seen: dict[str, int] = {}
    ranked = []
    for curve in curves:
        seen[curve.model] = seen.get(curve.model, 0) + 1
        ranked.append((seen[curve.model], curve))
    chosen = {id(curve) for _, curve in sorted(ranked, key=lambda item: item[0])[:MAX_LINES]}
    return [curve for curve in curves if id(curve) in chosen]


def _efficiency_table(axis: Axis, curves: Sequence[Curve], names: Names) -> Table:
    """A row per series, a column per batch or number of threads."""
    ticks = sorted({step.at for curve in curves for step in curve.steps})
    rows = []
    for curve in curves:
        known = {step.at: step for step in curve.steps}
        line = (Cell(efficiency_text(known[at]), known[at].efficiency) if at in known else MISSING for at in ticks)
        rows.append((curve_name(curve, names), *line))
    return Table(
        f"Efficiency over {axis}", columns("model", *map(str, ticks)), tuple(rows[:MAX_ROWS]), tools=("sort", "csv")
    )
