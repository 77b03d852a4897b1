"""A history as tables (one line per series and per change), as JSON, and as CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.units import METRICS, counted, percent, seconds
from analyzer.records.record_json import envelope
from analyzer.trends.change_points import MIN_RUNS, ChangePoint, History, Trend
from analyzer.trends.point import TIME, Point, differing_keys, load_environment
from analyzer.trends.series import ALL, Series, environment_differences
from analyzer.trends.step_significance import MIN_LOG_CHANGE
from reports.cells import interval_text, ratio_text
from reports.table import MISSING, Cell, Row, Table, columns

BARS = "▁▂▃▄▅▆▇█"
SPARKLINE_WIDTH = 12
MIN_SPARKLINE_RANGE = 0.1  # Of the logarithm of times, so that noise of a few percent is a flat line.
NORMALIZATIONS = {"reference": "reference", "shared": "other times", "none": MISSING}
COMMIT_LENGTH = 8
MAX_VALUE_LENGTH = 60
SHEET_KEYS = ("model", "metric", "configuration", "environment", "created", "commit", "value", "normalised", "ratio",
              "run")  # fmt: skip


def tables(history: History) -> list[Table]:
    """One table per environment, and one of all changes."""
    environments = list(dict.fromkeys(trend.series.environment for trend in history.trends))
    shown = [_environment_table(history, environment, environments) for environment in environments]
    changes = _changes_table(history, environments)
    if changes.rows or not shown:
        return [*shown, changes] if changes.rows else shown
    return [*shown[:-1], shown[-1].replace(notes=(*shown[-1].notes, *changes.notes))]


def _environment_table(history: History, environment: str, environments: Sequence[str]) -> Table:
    timed = history.metric == TIME
    configured = any(trend.series.configuration for trend in history.trends)
    rows: list[Row] = [
        (
            Cell(trend.series.model),
            *([trend.series.configuration] if configured else []),
            str(len(trend.series.points)),
            *(_value(trend.series.points[index]) if trend.series.points else MISSING for index in (0, -1)),
            sparkline(trend.series),
            str(len(trend.changes) or MISSING),
            *([_detectable(trend), NORMALIZATIONS[trend.series.normalization]] if timed else []),
        )
        for trend in history.trends
        if trend.series.environment == environment
    ]
    titles = ["model", "configuration"] if configured else ["benchmark"]
    titles += ["runs", "first", "last", "trend", "changes", *(["detectable", "relative to"] if timed else [])]
    title = f"History of {'time' if timed else METRICS[history.metric].title}"
    if timed and len(environments) > 1:
        title += f", environment {environments.index(environment) + 1} of {len(environments)}"
    header = columns(*titles, left=("configuration", "trend", "relative to"), cut="start")
    return Table(title, header, tuple(rows), notes=_environment_notes(history, environment, environments))


def _environment_notes(history: History, environment: str, environments: Sequence[str]) -> tuple[str, ...]:
    """The environment, and how it differs from other environments that have the same series."""
    here = [trend.series for trend in history.trends if trend.series.environment == environment]
    timed = history.metric == TIME
    notes = []
    if timed:
        values = load_environment(environment).items()
        notes.append("; ".join(f"{key} {_shorten(value)}" for key, value in values))
    incomparable = environment_differences([trend.series for trend in history.trends])
    for other in environments:
        models = {trend.series.model for trend in history.trends if trend.series.environment == other}
        shared = [s for s in here if (s.model, s.configuration) in incomparable and s.model in models]
        if other != environment and shared:
            differences = ", ".join(differing_keys([environment, other]))
            notes.append(
                f"incomparable with environment {environments.index(other) + 1}: {differences}"
                if timed
                else f"incomparable with values of another {differences}"
            )
    if void := sum(series.void for series in here):
        notes.append(f"{counted(void, 'void time')} left out")
    return tuple(notes)


def _changes_table(history: History, environments: Sequence[str]) -> Table:
    timed, several = history.metric == TIME, len(environments) > 1
    rows: list[Row] = []
    for trend in history.trends:
        for change in trend.changes:
            before, after = trend.series.points[change.before], trend.series.points[change.after]
            rows.append(
                (
                    Cell(trend.series.model),
                    *([str(environments.index(trend.series.environment) + 1)] if several else []),
                    _change_text(change.size),
                    *([interval_text(_change_text(change.low), _change_text(change.high))] if timed else []),
                    f"{_commit(before)}..{_commit(after)}",
                    after.created[:10] or MISSING,
                )
            )
    titles = ["model", *(["environment"] if several else []), "change", *(["95 % interval"] if timed else [])]
    header = columns(*titles, "between commits", "date", left=("between commits",), cut="start")
    return Table("Changes", header, tuple(rows), notes=_change_notes(history))


def describe(trend: Trend, change: ChangePoint) -> str:
    """A change in a line: `+37.2 % (+33.8 to +43.6 %) between 0a1b2c3d and 4e5f6a7b, 2026-01-13`."""
    before, after = trend.series.points[change.before], trend.series.points[change.after]
    interval = f" ({interval_text(_change_text(change.low), _change_text(change.high))})" if trend.series.timed else ""
    date = f", {after.created[:10]}" if after.created else ""
    return f"{_change_text(change.size)}{interval} between {_commit(before)} and {_commit(after)}{date}"


def _change_notes(history: History) -> tuple[str, ...]:
    if history.metric != TIME:
        return ("Counts have no noise: every difference is a change.",)
    unsearched = any(trend.unsearched for trend in history.trends)
    return (
        *(
            f"{one_line(trend.series.model)}: {describe(trend, change)}, relative to the other benchmarks of its runs; "
            "which of them changed is unknown."
            for trend in history.trends
            for change in trend.unattributed
        ),
        *(["Not searched for changes: pip install '.[check]' from a checkout."] if unsearched else []),
        *(
            [f"{ALL}: the change that all times of a run share; its cause may be the machine or the code."]
            if any(trend.series.model == ALL for trend in history.trends)
            else []
        ),
        f"A change has {MIN_RUNS} runs or more on each side, is {percent(math.expm1(MIN_LOG_CHANGE))} or larger, and "
        "exceeds the noise of its series. detectable: the smallest change that ten more runs would show with "
        "probability 0.95. relative to: the values by which times are divided, to remove the influence of the machine.",
    )


def sparkline(series: Series) -> str:
    """The series from its lowest to its highest value, in at most 12 characters; normalized for times."""
    levels = [level for level in series.levels if level is not None]
    values = levels if series.timed else [point.value for point in series.points]
    if not values:
        return ""
    count = min(SPARKLINE_WIDTH, len(values))
    edges = [len(values) * index // count for index in range(count + 1)]
    medians = [median(values[start:end]) for start, end in pairwise(edges)]
    low, high = min(medians), max(medians)
    span = max(high - low, MIN_SPARKLINE_RANGE if series.timed else 0.0)
    if not span:
        return BARS[3] * count
    center, top = (low + high) / 2, len(BARS) - 1
    return "".join(BARS[min(max(round((m - center) / span * top + top / 2), 0), top)] for m in medians)


def _detectable(trend: Trend) -> str:
    return MISSING if trend.detectable is None else ratio_text(1 + trend.detectable)


def _value(point: Point) -> str:
    if point.model == ALL:
        return ratio_text(point.value)
    return seconds(point.value) if point.metric == TIME else METRICS[point.metric].text(point.value)


def _change_text(size: float) -> str:
    return ratio_text(1 + size) if math.isfinite(size) else "new"


def _commit(point: Point) -> str:
    name, dash, suffix = (point.commit or "unknown").partition("-")
    return name[:COMMIT_LENGTH] + ("+" if dash and suffix == "dirty" else "")


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 3]}…"


def dump(history: History) -> str:
    """The envelope, with every point of every series."""
    series = [_trend_to_json(trend) for trend in history.trends]
    return envelope("ok", metric=history.metric, notes=list(history.notes), series=series, records=[])


def _trend_to_json(trend: Trend) -> dict[str, Any]:
    series = trend.series
    levels = series.levels or (None,) * len(series.points)
    return {
        "model": series.model,
        "metric": series.metric,
        "configuration": series.configuration,
        "environment": load_environment(series.environment),
        "normalization": series.normalization,
        "void": series.void,
        "detectable": trend.detectable,
        "points": [
            {**_run_to_json(point), "value": point.value, "quality": point.quality or None, "level": level}
            for point, level in zip(series.points, levels, strict=True)
        ],
        "changes": [{**_change_to_json(change, series.points), "new": change in trend.new} for change in trend.changes],
        "unattributed": [_change_to_json(change, series.points) for change in trend.unattributed],
    }


def _change_to_json(change: ChangePoint, points: Sequence[Point]) -> dict[str, Any]:
    sizes = {key: getattr(change, key) for key in ("size", "low", "high")}
    finite = {key: size if math.isfinite(size) else None for key, size in sizes.items()}
    return {**finite, "before": _run_to_json(points[change.before]), "after": _run_to_json(points[change.after])}


def _run_to_json(point: Point) -> dict[str, Any]:
    return {"run": point.run, "created": point.created, "commit": point.commit}


def points_sheet(history: History) -> Table:
    """For CSV, one line per point. `ratio` is the change of level, at the first point of the new level."""
    rows: list[Row] = []
    for trend in history.trends:
        series = trend.series
        ratios = {change.after: f"{1 + change.size:.6g}" for change in trend.changes}
        levels = series.levels or (None,) * len(series.points)
        for index, (point, level) in enumerate(zip(series.points, levels, strict=True)):
            normalised = "" if level is None else f"{math.exp(level):.9g}"
            commit, ratio = point.commit or "", ratios.get(index, "")
            rows.append(
                (series.model, series.metric, series.configuration, series.environment, point.created, commit,
                 f"{point.value:.17g}", normalised, ratio, point.run)
            )  # fmt: skip
    return Table("history", columns(*SHEET_KEYS, left=SHEET_KEYS), tuple(rows))
