"""The section of the grid: heat maps over two dimensions."""

from __future__ import annotations

from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.heat_map import HeatCell, HeatMap
from reports.page.context import Block, Chart, Choice, Section
from reports.page.figures import sweeps as figures
from reports.sweeps.heat import HEAT_TITLES, fixed_text, heat_table, heat_text, heat_title
from reports.sweeps.words import counted

LEAD = "The two dimensions of the grid with most values, or those of --axes."


def section(analysis: Analysis) -> Section:
    maps = [(_name(heat_map), (_chart(heat_map, index),)) for index, heat_map in enumerate(analysis.heat_maps)]
    blocks: tuple[Block, ...] = (Choice("Grid", tuple(maps)),) if maps else ()
    return Section("sweep-grid", "The grid", "Grid", LEAD, blocks)


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
