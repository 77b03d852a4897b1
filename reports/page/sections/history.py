"""The section History: the times of one network run after run, for configurations with three runs or more.

As in `analyze history`, times are compared within one environment only, and changes are searched in each series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from analyzer.core.units import seconds
from analyzer.records.record import Record
from reports.page.context import ALL_TOOLS, Block, Chart, Paragraphs, Section
from reports.page.figures import scatter
from reports.page.figures.base import Figure, axis, escape_label
from reports.page.network_views import NetworkView
from reports.table import MISSING, Row, Table, columns

if TYPE_CHECKING:
    from analyzer.trends.change_points import Trend

MIN_RUNS = 3
MAX_LINES = 8
LEAD = (
    "Runs of the same network in the same configuration and environment, oldest first. A change is a level that lasts "
    "and stands out from the noise of its series; times of quality void are left out."
)


def section(networks: Sequence[NetworkView]) -> Section:
    """Empty without three runs of one configuration."""
    records = [record for network in networks for record in network.timed if record.created]
    enough = len(records) >= MIN_RUNS
    trends = _trends(sorted(records, key=lambda record: record.created or "")) if enough else []
    environments = list(dict.fromkeys(trend.series.environment for trend in trends))
    blocks: list[Block] = []
    for index, environment in enumerate(environments):
        here = [trend for trend in trends if trend.series.environment == environment]
        blocks += [*_changes(here), _chart(here, index, len(environments))]
    return Section("history", "History", "History", LEAD, tuple(blocks))


def _trends(records: Sequence[Record]) -> list[Trend]:
    from analyzer.trends.change_points import find_trend  # Imports numpy: not for a page without runs.
    from analyzer.trends.point import record_points
    from analyzer.trends.series import ALL, build_series

    points = [point for record in records for point in record_points(record, record.created or "")]
    series = [item for item in build_series(points) if len(item.points) >= MIN_RUNS and item.model != ALL]
    return [find_trend(item) for item in series]


def _changes(trends: Sequence[Trend]) -> list[Block]:
    """The changes in sentences."""
    from reports.history import describe

    texts = [f"{_name(trend)}: {describe(trend, change)}." for trend in trends for change in trend.changes]
    return [Paragraphs(tuple(texts), "notice", "Changes")] if texts else []


def _name(trend: Trend) -> str:
    return f"{trend.series.model}, {trend.series.configuration}"


def _chart(trends: Sequence[Trend], index: int, environments: int) -> Chart:
    groups = {}
    for trend in trends[:MAX_LINES]:
        points = trend.series.points
        texts = [
            escape_label(f"{seconds(point.value)}, {point.created[:16]}, {point.commit or 'no commit'}")
            for point in points
        ]
        values = [float(f"{point.value / points[0].value:.4g}") for point in points]
        groups[_name(trend)] = ([float(run + 1) for run in range(len(points))], values, texts)
    rows: list[Row] = [
        (_name(trend), point.created[:16], point.commit or MISSING, seconds(point.value), point.quality)
        for trend in trends
        for point in trend.series.points
    ]
    number_of_changes = sum(len(trend.changes) for trend in trends)
    number = f", environment {index + 1} of {environments}" if environments > 1 else ""
    hidden = f" The chart shows the first {MAX_LINES} of {len(trends)} series." if len(trends) > MAX_LINES else ""
    unsearched = next((trend.unsearched for trend in trends if trend.unsearched), "")
    changes = (
        f"Not searched for changes: {unsearched}"
        if unsearched
        else f"{number_of_changes or 'No'} lasting change{'' if number_of_changes == 1 else 's'}"
    )
    return Chart(
        id=f"history-{index}",
        title=f"Time of a pass, run after run{number}",
        summary=f"{changes} in {len(rows)} runs of {len(trends)} series.{hidden}",
        figure=_figure(groups),
        table=Table(
            f"Runs{number}",
            columns("series", "created, UTC", "commit", "time", "quality", left=("created, UTC", "commit", "quality")),
            tuple(rows),
            tools=ALL_TOOLS,
        ),
        marks=sum(len(x) for x, _, _ in groups.values()),
    )


def _figure(groups: scatter.Groups) -> Figure:
    figure = scatter.lines(groups, x="", y="")
    axes = {"xaxis": axis("run", nticks=8), "yaxis": axis("time ÷ time of the first run", nticks=6)}
    return {**figure, "layout": {**figure["layout"], **axes}}
