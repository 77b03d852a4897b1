"""Speed by batch, layout and threads: samples of a batch per second, each run by itself."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.records.timings import Configuration
from reports import cells
from reports.page.context import Chart
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.network_views import NetworkView
from reports.table import Cell, Row, Table, columns

ORDER = ("void", "noisy", "trusted")


def charts(subjects: Sequence[NetworkView]) -> list[Chart]:
    """One chart where there are several settings: lines over the batch where that varies, else a bar a setting."""
    runs = [
        (
            one.name,
            record.measurement.configuration,
            record.measurement.configuration.batch / whole.median_s,
            record.measurement.quality,
        )
        for one in subjects
        for record in one.timed
        if record.measurement and (whole := record.measurement.pass_timing)
    ]
    if len({setting for _, setting, _, _ in runs}) < 2:
        return []
    rows: list[Row] = [
        (name, setting.label, Cell(f"{speed:.4g}", speed), cells.quality(verdict))
        for name, setting, speed, verdict in runs
    ]
    lines: dict[str, list[tuple[int, float, str]]] = {}
    for name, setting, speed, verdict in runs:
        label = f"{name}, {_rest(setting)}"
        lines.setdefault(label, []).append(
            (setting.batch, speed, f"{label}, batch {setting.batch}: {speed:.4g}/s, {verdict}")
        )
    best = max(runs, key=lambda run: run[2])
    if len({setting.batch for _, setting, _, _ in runs}) > 1:
        groups = {
            label: (
                [x for x, _, _ in sorted(found)],
                [y for _, y, _ in sorted(found)],
                [figures.escape_label(t) for _, _, t in sorted(found)],
            )
            for label, found in lines.items()
        }
        figure = points.lines(groups, x="batch, logarithmic", y="samples per second")
    else:
        names = [f"{name}, {setting.label}" for name, setting, _, _ in runs]
        speeds = [speed for _, _, speed, _ in runs]
        figure = figures.bars(
            names, speeds, [f"{speed:.4g}/s" for speed in speeds], unit="samples per second", colours=figures.BLUE
        )
    titles = columns("network", "configuration", "samples/s", "quality", left=("configuration", "quality"))
    return [
        Chart(
            id="speed",
            title="Speed by setting",
            summary=f"Fastest: {best[0]} at {best[1].label}, {best[2]:.4g} samples a second.",
            figure=figure,
            table=Table("Speed, run by run", titles, tuple(rows), tools=("sort", "csv")),
            marks=len(runs),
            legend=figures.legend(figure),
            quality=min((verdict for _, _, _, verdict in runs), key=ORDER.index),
            reason="" if all(run[3] == "trusted" for run in runs) else "The verdict is that of the worst run.",
        )
    ]


def _rest(setting: Configuration) -> str:
    """A setting without its batch."""
    return setting.label.partition(", ")[2]
