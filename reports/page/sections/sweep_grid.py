"""The section of the grid: heat maps over two dimensions, which the reader chooses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, count

from analyzer.core.units import counted
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.dimensions import dimensions
from analyzer.sweeps.analysis.heat_map import HeatCell, HeatMap, heat_maps
from reports.page.context import Block, Chart, Choice, Section
from reports.page.figures import sweeps as figures
from reports.sweeps.heat_map_tables import HEAT_TITLES, fixed_text, heat_table, heat_text, heat_title

LEAD = "Two dimensions of the grid: those of --axes, or those with the most values. Others can be selected."
MAX_DIMENSIONS = 5  # Of which any two can be chosen.
MAX_CELLS = 20_000  # Of all maps that can be chosen; those of --axes are always there.


def section(analysis: Analysis) -> Section:
    numbers = count()
    options = [
        (pair, tuple((_name(heat_map), (_chart(heat_map, next(numbers)),)) for heat_map in maps))
        for pair, maps in _pairs(analysis)
    ]
    blocks: tuple[Block, ...] = ()
    if len(options) > 1:
        blocks = (Choice("Axes", tuple((pair, (Choice("Grid", maps),)) for pair, maps in options)),)
    elif options:
        blocks = (Choice("Grid", options[0][1]),)
    return Section("sweep-grid", "The grid", "Grid", LEAD, blocks)


def _pairs(analysis: Analysis) -> Iterator[tuple[str, Sequence[HeatMap]]]:
    """The maps over the analysis' own axes, then those over any other two dimensions, as long as there is room."""
    first = analysis.heat_maps
    if not first:
        return
    chosen = {first[0].y, first[0].x}
    yield _pair(first[0]), first
    room = MAX_CELLS
    names = list(dimensions(analysis.points, analysis.machines))[:MAX_DIMENSIONS]
    for axes in combinations(names, 2):
        maps = heat_maps(analysis.points, analysis.machines, axes) if {*axes} != chosen else []
        room -= sum(len(heat_map.x_values) * len(heat_map.y_values) for heat_map in maps)
        if maps and room >= 0:
            yield _pair(maps[0]), maps


def _pair(heat_map: HeatMap) -> str:
    return f"{heat_map.y} and {heat_map.x}" if heat_map.y else heat_map.x


def _name(heat_map: HeatMap) -> str:
    return ", ".join((HEAT_TITLES[heat_map.metric], *map(fixed_text, heat_map.fixed)))


def _chart(heat_map: HeatMap, index: int) -> Chart:
    table = heat_table(heat_map)
    known = [
        (cell.value, str(row), str(column))
        for row, line in zip(heat_map.y_values, heat_map.cells, strict=True)
        for column, cell in zip(heat_map.x_values, line, strict=True)
        if cell and cell.value is not None
    ]
    texts = [[heat_text(heat_map.metric, cell) if cell else "" for cell in line] for line in heat_map.cells]
    values = [[cell.value if cell else None for cell in line] for line in heat_map.cells]
    labels = list(map(str, heat_map.y_values)) if heat_map.y else [HEAT_TITLES[heat_map.metric]]
    return Chart(
        id=f"sweep-grid-{index}",
        title=heat_title(heat_map),
        summary=_summary(heat_map, known),
        figure=figures.heat_map(
            values, texts, x=heat_map.x, y=heat_map.y, x_values=list(map(str, heat_map.x_values)), y_values=labels
        ),
        table=table.replace(tools=("sort", "csv")),
        marks=len(known),
    )


def _summary(heat_map: HeatMap, known: list[tuple[float, str, str]]) -> str:
    if not known:
        return "No cell has a number."

    def place(item: tuple[float, str, str]) -> str:
        value, row, column = item
        text = heat_text(heat_map.metric, HeatCell(value, "ok"))
        where = f"{heat_map.y} {row}, {heat_map.x} {column}" if heat_map.y else f"{heat_map.x} {column}"
        return f"{text} at {where}"

    least, most = min(known), max(known)
    return f"{counted(len(known), 'cell')}, from {place(least)} to {place(most)}."
