"""A data point of a history: one metric of one model in one run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.records.comparable import KEY_FIELDS, stable_key
from analyzer.records.record import Record
from analyzer.records.rows import TRAINING_KEYS

TIME = "time"
REFERENCE = "reference"  # The metric of the reference workload's time: it tracks the machine, not the code.
UNKNOWN = {"machine": "unknown"}
COUNTS = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written", *TRAINING_KEYS)
METRICS = (TIME, *COUNTS, "traffic", "peak_memory")


class Point(Frozen):
    """`run` is the name of the run's file, `value` in seconds or whole numbers, `created` UTC in ISO 8601.

    `configuration` is what a user chose: batch, threads, input. `environment` is JSON of the other properties that
    influence a value; values of two environments are not comparable.
    """

    run: str
    created: str
    commit: str | None
    model: str
    metric: str
    configuration: str
    environment: str
    value: float
    quality: str = ""


def record_points(record: Record, run: str) -> list[Point]:
    """A record's median pass, its reference workload's time, and its counts, which depend on no machine."""
    created, commit = utc_timestamp(record.created), known_commit(record.commit)
    points = []
    if (measurement := record.measurement) and measurement.pass_timing:
        key = stable_key(record.environment, measurement.configuration)
        environment = dump_environment(dict(zip(KEY_FIELDS, key, strict=True)) if key else UNKNOWN)
        label = measurement.configuration.label
        timings = [(TIME, measurement.pass_timing), *((REFERENCE, t) for t in measurement.of("reference_workload"))]
        points += [
            Point(run, created, commit, record.label, metric, label, environment, timing.median_s, measurement.quality)
            for metric, timing in timings
            if timing.samples_s
        ]
    if record.rows and not record.module:
        counts: dict[str, int | None] = {key: getattr(record.totals, key) for key in (*COUNTS, "traffic")}
        counts["peak_memory"] = record.memory.peak if record.memory else None
        dtype = "" if record.dtype == "float32" else f", {record.dtype}"
        configuration = f"{', '.join(map(shape_text, record.input))}, {record.mode}{dtype}"
        environment = dump_environment({"counter": record.count.counter})
        points += [
            Point(run, created, commit, record.label, metric, configuration, environment, value)
            for metric, value in counts.items()
            if value is not None
        ]
    return points


def dump_environment(environment: Mapping[str, str]) -> str:
    """An environment as text; equal environments give equal text."""
    return json.dumps(dict(environment), sort_keys=True)


def load_environment(text: str) -> dict[str, str]:
    return dict(json.loads(text))


def differing_keys(environments: Sequence[str]) -> list[str]:
    """The names of the parts in which environments differ."""
    loaded = [load_environment(text) for text in environments]
    names = dict.fromkeys(name for environment in loaded for name in environment)
    return [name for name in names if len({environment.get(name) for environment in loaded}) > 1]


def utc_timestamp(text: str | None) -> str:
    """A time in UTC to the second; without a zone it is taken as UTC. Empty for a missing or invalid time."""
    try:
        time = datetime.fromisoformat(text or "")
        if time.tzinfo:
            time = time.astimezone(UTC)
    except (ValueError, OverflowError):
        return ""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def known_commit(commit: str | None) -> str | None:
    return commit if commit and commit != "unknown" else None
