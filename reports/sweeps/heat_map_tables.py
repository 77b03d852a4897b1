"""Heat maps as tables."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import METRICS, plain
from analyzer.sweeps.analysis.heat_map import HeatCell, HeatMap, HeatMetric
from reports.sweeps.names_and_phrases import STEP_NOTE
from reports.table import MISSING, Cell, Row, Table, columns

HEAT_TITLES = {"samples_per_s": "samples/s", "macs": "MACs", "params": "params", "peak": "peak memory"}
HEAT_METRICS = {"macs": "macs", "params": "params", "peak": "peak_memory"}
MAX_COLUMNS, MAX_LINES = 8, 24  # Of a heat map as text.


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
    if heat_map.metric == "macs" and heat_map.step:
        notes.append(STEP_NOTE)
    corner = f"{heat_map.y} \\ {heat_map.x}" if heat_map.y else heat_map.x
    head = columns(corner, *map(str, heat_map.x_values))
    return Table(heat_title(heat_map), head, tuple(rows), notes=tuple(notes))


def _heat_cell(metric: HeatMetric, cell: HeatCell | None) -> Cell | str:
    text = heat_text(metric, cell)
    if cell is None or cell.value is None:
        return Cell(text, tone="void" if cell else "muted")
    return Cell(text, cell.value, tone="warn" if cell.state == "noisy" else "")


def fewer_values(heat_map: HeatMap) -> HeatMap:
    """The heat map with values of its axes at even distances, if it has too many to read as text."""
    columns, rows = _evenly(len(heat_map.x_values), MAX_COLUMNS), _evenly(len(heat_map.y_values), MAX_LINES)
    left_out = len(heat_map.x_values) - len(columns) + len(heat_map.y_values) - len(rows)
    return heat_map.replace(
        x_values=tuple(heat_map.x_values[index] for index in columns),
        y_values=tuple(heat_map.y_values[index] for index in rows),
        cells=tuple(tuple(heat_map.cells[row][column] for column in columns) for row in rows),
        left_out=heat_map.left_out + left_out,
    )


def _evenly(count: int, limit: int) -> Sequence[int]:
    if count <= limit:
        return range(count)
    return [round(place * (count - 1) / (limit - 1)) for place in range(limit)]
