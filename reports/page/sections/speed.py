"""Speed by batch, layout and threads: samples of a batch per second, each run by itself."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.records.timings import Configuration
from reports.page import cells
from reports.page.context import Cell, Chart, Table
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.subjects import Subject

ORDER = ("void", "noisy", "trusted")


def charts(subjects: Sequence[Subject]) -> list[Chart]:
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
        if record.measurement and (whole := record.measurement.whole)
    ]
    if len({setting for _, setting, _, _ in runs}) < 2:
        return []
    rows = [
        [cells.words(name), cells.words(setting.label), Cell(f"{speed:.4g}", speed), cells.words(verdict)]
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
                [figures.safe(t) for _, _, t in sorted(found)],
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
    heads = (cells.left("network"), cells.left("setting"), cells.right("samples/s"), cells.left("verdict"))
    return [
        Chart(
            id="speed",
            title="Speed by setting",
            summary=f"Fastest: {best[0]} at {best[1].label}, {best[2]:.4g} samples a second.",
            figure=figure,
            table=Table("speed-data", "Speed, run by run", heads, cells.lines(rows), tools=("sort", "csv"), fold=True),
            marks=len(runs),
            legend=figures.key(figure),
            trust=min((verdict for _, _, _, verdict in runs), key=ORDER.index),
            reason="" if all(run[3] == "trusted" for run in runs) else "The verdict is that of the worst run.",
        )
    ]


def _rest(setting: Configuration) -> str:
    """A setting without its batch."""
    return setting.label.partition(", ")[2]
