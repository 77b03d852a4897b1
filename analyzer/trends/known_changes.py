"""The changes of a history that somebody has seen, so that only new ones raise an alarm."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import DATA, read_text, write_text
from analyzer.core.frozen import Frozen
from analyzer.trends.change_points import REFINEMENT_RANGE, ChangePoint, Trend
from analyzer.trends.point import dump_environment, load_environment
from analyzer.trends.series import Series

FILE = Path(DATA) / "known-changes.json"
SCHEMA_VERSION = 1

SeriesKey: TypeAlias = tuple[str, str, str, str]


class KnownChange(Frozen):
    """A change of a series, at the run after it. A change is up if a time or count grew."""

    series: SeriesKey
    run: str
    up: bool


def series_key(series: Series) -> SeriesKey:
    return series.model, series.metric, series.configuration, series.environment


def new_changes(trend: Trend, known: Sequence[KnownChange]) -> tuple[ChangePoint, ...]:
    """The changes that are not known. Later runs may move a change by some runs, which does not make it new."""
    positions = {point.run: index for index, point in enumerate(trend.series.points)}
    key = series_key(trend.series)
    seen = [(positions[change.run], change.up) for change in known if change.series == key and change.run in positions]
    return tuple(
        change
        for change in trend.changes
        if not any(abs(change.after - at) <= REFINEMENT_RANGE and (change.size > 0) == up for at, up in seen)
    )


def read_known(path: Path) -> tuple[KnownChange, ...]:
    """The known changes in a file; none if there is no file. Raises AnalyzerError for any other content."""
    try:
        data = json.loads(read_text(path))
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {data['schema_version']!r}, this analyze reads {SCHEMA_VERSION}")
        return tuple(map(_from_json, data["changes"]))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise AnalyzerError(f"cannot read {quoted(path)}: {error.strerror or error}; name another --known") from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        problem = f"{type(error).__name__}: {one_line(error)[:100]}"
        raise AnalyzerError(f"{quoted(path)} has no known changes ({problem}); delete it, or name another") from None


def write_known(path: Path, trends: Sequence[Trend], known: Sequence[KnownChange]) -> None:
    """Adds all changes of `trends` to the file. Those of other series, or of other runs, are kept."""
    changes = [_to_json(change) for change in known]
    for trend in trends:
        for change in new_changes(trend, known):
            changes.append(
                _to_json(KnownChange(series_key(trend.series), trend.series.points[change.after].run, change.size > 0))
            )
    text = json.dumps({"schema_version": SCHEMA_VERSION, "changes": changes}, indent=1) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text, advice="name another file with --known")


def _to_json(change: KnownChange) -> dict[str, Any]:
    model, metric, configuration, environment = change.series
    return {
        "model": model, "metric": metric, "configuration": configuration,
        "environment": load_environment(environment), "run": change.run, "up": change.up,
    }  # fmt: skip


def _from_json(data: Mapping[str, Any]) -> KnownChange:
    key = data["model"], data["metric"], data["configuration"], dump_environment(data["environment"])
    return KnownChange(key, data["run"], bool(data["up"]))
