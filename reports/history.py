"""Histories as tables: a line a series with its course, a line a change with its commits; and as JSON and CSV."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from analyzer.core.units import METRICS, seconds
from analyzer.history.change_points import LEAST_RUNS, Change
from analyzer.history.point import TIME, Point, differing, unpacked
from analyzer.history.series import Series, incomparable
from analyzer.history.trends import History, Trend
from analyzer.records.envelope import SCHEMA_VERSION, pretty
from reports.counting.network import MISSING
from reports.table import Cell, Column, Name, Table

BARS = "▁▂▃▄▅▆▇█"
SPARK = 12
AGAINST = {"reference": "reference", "shared": "other times", "nothing": MISSING}
COMMIT = 8


def tables(history: History) -> list[Table]:
    """A table an environment, and all changes."""
    environments = list(dict.fromkeys(trend.series.environment for trend in history.trends))
    found = [_environment(history, environment, environments) for environment in environments]
    changed = _changes(history, environments)
    return [*found, changed] if changed.rows else [*found[:-1], *(one.replace(
        notes=(*one.notes, *changed.notes)) for one in found[-1:])]  # fmt: skip


def nothing(history: History) -> str:
    return f"{history.runs} runs, and none of them has this figure ({history.metric})."


def _environment(history: History, environment: str, every: Sequence[str]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for trend in history.trends:
        one = trend.series
        if one.environment != environment:
            continue
        first, last = one.points[:1], one.points[-1:]
        rows.append(
            (
                Name(one.model),
                *([one.configuration] if any(t.series.configuration for t in history.trends) else []),
                str(len(one.points)),
                _text(first[0].value, one.metric) if first else MISSING,
                _text(last[0].value, one.metric) if last else MISSING,
                spark(one),
                str(len(trend.changes)) if trend.changes else MISSING,
                *([AGAINST[one.against]] if one.timed else []),
            )
        )
    timed = history.metric == TIME
    columns = (
        Column(
            "benchmark" if not any(t.series.configuration for t in history.trends) else "model", "left", cut="start"
        ),
        *([Column("configuration", "left")] if any(t.series.configuration for t in history.trends) else []),
        Column("runs"),
        Column("first"),
        Column("last"),
        Column("course", "left"),
        Column("changes"),
        *([Column("held against", "left")] if timed else []),
    )
    title = f"History of {'time' if timed else METRICS[history.metric].title}"
    title += f", environment {every.index(environment) + 1} of {len(every)}" if len(every) > 1 and timed else ""
    return Table(title, columns, tuple(rows), notes=_notes(history, environment, every))


def _notes(history: History, environment: str, every: Sequence[str]) -> tuple[str, ...]:
    """What this environment is; which series of another one may not be held against these, and why."""
    own = [trend.series for trend in history.trends if trend.series.environment == environment]
    notes = []
    if own and own[0].timed:
        named = unpacked(environment)
        notes.append("; ".join(f"{key} {_short(value)}" for key, value in named.items()))
    apart = incomparable([trend.series for trend in history.trends])
    others = [other for other in every if other != environment]
    for other in others:
        names = {t.series.model for t in history.trends if t.series.environment == other} & {one.model for one in own}
        shared = [one for one in own if (one.model, one.configuration) in apart and one.model in names]
        if shared:
            notes.append(
                f"incomparable with environment {every.index(other) + 1}: {', '.join(differing([environment, other]))}"
                if own[0].timed
                else f"incomparable with figures of another {', '.join(differing([environment, other]))}"
            )
    if void := sum(one.void for one in own):
        notes.append(f"{void} void time{'s' if void > 1 else ''} left out")
    return tuple(notes)


def _changes(history: History, environments: Sequence[str]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for trend in history.trends:
        for change in trend.changes:
            before, after = trend.series.points[change.before], trend.series.points[change.after]
            rows.append(
                (
                    Name(trend.series.model),
                    *([str(environments.index(trend.series.environment) + 1)] if len(environments) > 1 else []),
                    _percent(change.size),
                    *([f"{_percent(change.low)} to {_percent(change.high)}"] if trend.series.timed else []),
                    f"{_commit(before)}..{_commit(after)}",
                    after.created[:10] or MISSING,
                )
            )
    timed = history.metric == TIME
    columns = (
        Column("model", "left", cut="start"),
        *([Column("environment")] if len(environments) > 1 else []),
        Column("by"),
        *([Column("95 % interval")] if timed else []),
        Column("between commits", "left"),
        Column("on"),
    )
    return Table("Changes", columns, tuple(rows), notes=_legend(history))


def _legend(history: History) -> tuple[str, ...]:
    if history.metric != TIME:
        return ("Counts have no noise: every difference is a change.",)
    unsearched = any(trend.unsearched for trend in history.trends)
    return (
        *(["Not searched for changes: pip install 'macscope[check]'."] if unsearched else []),
        f"A change: {LEAST_RUNS} runs or more a side, 5 % or more (20 % of a time held against nothing), beyond the "
        "noise of the series. Held against: what of the same run takes the machine out of a time. It annotates; "
        "analyze check gates.",
    )


def spark(one: Series, width: int = SPARK) -> str:
    """The course in so many characters, from lowest to highest: of times what is left when the machine is taken out."""
    levels = [level for level in one.levels if level is not None] if one.timed else [p.value for p in one.points]
    if not levels:
        return ""
    count = min(width, len(levels))
    edges = [len(levels) * index // count for index in range(count + 1)]
    lots = [median(levels[start:end]) for start, end in pairwise(edges)]
    low, high = min(lots), max(lots)
    # Times that stay within a few percent are a flat line, however their noise would look enlarged.
    room = max(high - low, 0.1 if one.timed else 0.0)
    middle = (low + high) / 2
    return "".join(
        BARS[min(max(round((lot - middle) / room * (len(BARS) - 1) + (len(BARS) - 1) / 2), 0), len(BARS) - 1)]
        if room
        else BARS[3]
        for lot in lots
    )


def _text(value: float, metric: str) -> str:
    return seconds(value) if metric == TIME else METRICS[metric].text(value)


def _percent(size: float) -> str:
    return f"{100 * size:+.1f} %" if math.isfinite(size) else "new"


def _commit(point: Point) -> str:
    name, dash, rest = (point.commit or "unknown").partition("-")
    return name[:COMMIT] + ("+" if dash and rest == "dirty" else "")


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}…"


def dump(history: History) -> str:
    """The envelope, with every point of every series."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "status": "ok",
        "metric": history.metric,
        "notes": list(history.notes),
        "series": [_series(trend) for trend in history.trends],
        "records": [],
    }
    return pretty(document) + "\n"


def _series(trend: Trend) -> dict[str, Any]:
    one = trend.series
    levels = one.levels or (None,) * len(one.points)
    return {
        "model": one.model,
        "metric": one.metric,
        "configuration": one.configuration,
        "environment": unpacked(one.environment),
        "against": one.against,
        "void": one.void,
        "points": [
            {"run": p.run, "created": p.created, "commit": p.commit, "value": p.value, "quality": p.quality or None,
             "level": level}
            for p, level in zip(one.points, levels, strict=True)
        ],
        "changes": [_change(change, one.points) for change in trend.changes],
    }  # fmt: skip


def _change(change: Change, points: Sequence[Point]) -> dict[str, Any]:
    before, after = points[change.before], points[change.after]
    bounds = {key: value if math.isfinite(value) else None
              for key in ("size", "low", "high") for value in [getattr(change, key)]}  # fmt: skip
    return {**bounds, "before": {"run": before.run, "commit": before.commit, "created": before.created},
            "after": {"run": after.run, "commit": after.commit, "created": after.created}}  # fmt: skip


def sheet(history: History) -> Table:
    """For CSV: a line a point. `normalised` is the time with its machine taken out; `ratio` of two levels stands where
    the later begins."""
    keys = (
        "model",
        "metric",
        "configuration",
        "environment",
        "created",
        "commit",
        "value",
        "normalised",
        "ratio",
        "run",
    )
    rows: list[tuple[Cell, ...]] = []
    for trend in history.trends:
        one = trend.series
        starts = {change.after: f"{1 + change.size:.6g}" for change in trend.changes}
        levels = one.levels or (None,) * len(one.points)
        for index, (point, level) in enumerate(zip(one.points, levels, strict=True)):
            rows.append(
                (
                    *(one.model, one.metric, one.configuration, one.environment, point.created, point.commit or ""),
                    f"{point.value:.17g}",
                    "" if level is None else f"{math.exp(level):.9g}",
                    starts.get(index, ""),
                    point.run,
                )
            )
    return Table("history", tuple(Column(key, "left") for key in keys), tuple(rows))
