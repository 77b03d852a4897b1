"""The page of `analyze scale --at`: formulas, costs at the sizes asked for, and both as charts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.units import METRICS, percent, relative_change
from analyzer.scaling.api import Scaling
from analyzer.scaling.axes import Axis
from analyzer.scaling.fit import Values
from analyzer.scaling.largest_sizes import Capacity
from reports.cells import count
from reports.page.context import Chart, Page, Section
from reports.page.figures import scatter
from reports.page.figures.base import Figure, legend
from reports.scaling import Point, by_operator, tables
from reports.table import MISSING, Cell, Row, Table, columns

TICKED = {"bytes": "B"}  # Units at the ticks of an axis.


def page(costs: Scaling, metrics: Sequence[str], points: Sequence[Point], memory: Capacity | None = None) -> Page:
    """`points` are the costs at chosen sizes; those that the model refused are in the table alone."""
    shown = [
        table.replace(id=f"scale-{number}", tools=() if table.prose else ("csv",))
        for number, table in enumerate(tables(costs, metrics, points, memory))
    ]
    formulas, values = shown[: len(costs.fits)], shown[len(costs.fits)]  # The shares are the table of their chart.
    counted = [(sizes, row) for sizes, row in points if not isinstance(row, AnalyzerError)]
    along = max(costs.axes, key=lambda axis: len({sizes[axis.name] for sizes, _ in counted}))
    charts = [*_costs(costs, metrics, counted, along, memory), *_shares(costs, counted, along)]
    title = one_line(costs.label) + (f", {one_line(costs.module)}" if costs.module else "")
    names = ", ".join(" = ".join(axis.sizes) for axis in costs.axes)
    sections = (
        Section("formulas", "Cost as a formula", "Formulas", "", tuple(formulas)),
        Section("sizes", "Costs at these sizes", "Costs", "", (*charts, values)),
    )
    return Page(title, f"Costs in {costs.base.mode} over {names}, exact at every size shown.", sections)


def _costs(
    costs: Scaling, metrics: Sequence[str], points: Sequence[tuple[dict[str, int], Values]], along: Axis,
    memory: Capacity | None,
) -> Iterator[Chart]:  # fmt: skip
    """A chart per metric that changes: a line for each combination of the other sizes."""
    for metric in metrics:
        if len({row[metric] for _, row in points}) < 2:
            continue
        groups: dict[str, dict[int, float]] = {}
        for sizes, row in points:
            others = [f"{axis.name} {sizes[axis.name]:,}" for axis in costs.axes if axis is not along]
            groups.setdefault(", ".join(others) or METRICS[metric].title, {})[sizes[along.name]] = row[metric]
        if memory and metric == "peak_memory":
            groups[f"memory of {one_line(memory.name)}"] = dict.fromkeys(
                next(iter(groups.values())), float(memory.size)
            )
        first = next(iter(groups.values()))
        low, high = min(first), max(first)
        summary = (
            f"From {along.name} {low:,} to {high:,}: {METRICS[metric].text(first[low])} to "
            f"{METRICS[metric].text(first[high])}, {relative_change(first[low], first[high])}."
        )
        known = METRICS[metric]
        lines = {name: _line(name, values, metric) for name, values in groups.items()}
        figure = scatter.curves_over(lines, x=_name(along), y=known.unit, unit=TICKED.get(known.unit, ""))
        yield _chart(f"scale-{metric}", known.title, summary, figure, along, groups, metric)


def _line(name: str, values: Mapping[int, float], metric: str) -> tuple[list[float], list[float], list[str]]:
    texts = [f"{name}, {size:,}: {METRICS[metric].text(value)}" for size, value in values.items()]
    return list(values), list(values.values()), texts


def _shares(costs: Scaling, points: Sequence[tuple[dict[str, int], Values]], along: Axis) -> Iterator[Chart]:
    """The share of each kind of operator in the MACs, with the other sizes at the first of theirs."""
    if not points:
        return
    first, _ = points[0]
    chosen = [(sizes[along.name], row) for sizes, row in points if {**sizes, along.name: first[along.name]} == first]
    kinds = sorted({kind for _, row in chosen for kind in by_operator(row)})
    if len(kinds) < 2 or len(chosen) < 2:
        return
    groups = {
        one_line(kind): {size: by_operator(row).get(kind, 0) / row["macs"] for size, row in chosen if row["macs"]}
        for kind in kinds
    }
    low, high = ({kind: values[size] for kind, values in groups.items()} for size in (chosen[0][0], chosen[-1][0]))
    largest = [max(shares.items(), key=lambda item: item[1])[0] for shares in (low, high)]
    summary = (
        f"Most MACs at {along.name} {chosen[0][0]:,} are those of {largest[0]} ({percent(low[largest[0]])}), at "
        f"{chosen[-1][0]:,} those of {largest[1]} ({percent(high[largest[1]])})."
    )
    lines = {
        kind: (list(values), list(values.values()),
               [f"{kind}, {size:,}: {percent(share)}" for size, share in values.items()])
        for kind, values in groups.items()
    }  # fmt: skip
    figure = scatter.curves_over(lines, x=_name(along), y="share of the MACs", shares=True)
    yield _chart("scale-shares", "MACs by kind of operator", summary, figure, along, groups, None)


def _chart(
    id: str, title: str, summary: str, figure: Figure, along: Axis, groups: Mapping[str, Mapping[int, float]],
    metric: str | None,
) -> Chart:  # fmt: skip
    def cell(value: float | None) -> Cell | str:
        if value is None:
            return MISSING
        return Cell(percent(value), value) if metric is None else count(metric, int(value))

    sizes = sorted({size for values in groups.values() for size in values})
    rows: list[Row] = [(f"{size:,}", *(cell(values.get(size)) for values in groups.values())) for size in sizes]
    table = Table(f"{title} at these sizes", columns(_name(along), *groups), tuple(rows), id=f"{id}-data",
                  tools=("csv",), fold=True)  # fmt: skip
    return Chart(id, title, summary, figure, table, marks=len(groups), legend=legend(figure))


def _name(axis: Axis) -> str:
    return " = ".join(axis.sizes)
