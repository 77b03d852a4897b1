"""One figure of one run: what every index, series and change is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from analyzer.core.frozen import Frozen
from analyzer.records.comparable import PARTS, stable_key
from analyzer.records.record import Record

TIME = "time"
REFERENCE = "reference"  # The time of a fixed piece of work in the same run: what the machine did, not the code.
UNKNOWN = {"machine": "unknown"}
COUNTS = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written", "backward_macs")
METRICS = (TIME, *COUNTS, "traffic", "peak_memory")


class Point(Frozen):
    """`run` is the file that it is from, `value` in seconds or whole numbers. `created` is UTC, ISO 8601.

    `environment` is JSON of what a figure depends on beside model and configuration; figures of two are not held against
    each other. `configuration` is what a person chose: batch, threads, input.
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


def of_record(record: Record, run: str) -> list[Point]:
    """A record's points: its median pass, the reference timed beside it, and its counts, which need no machine."""
    created, commit = moment(record.created), known(record.commit)
    points = []
    if record.measurement and (whole := record.measurement.whole):
        key = stable_key(record.environment, record.measurement.configuration)
        environment = packed(dict(zip(PARTS, key, strict=True)) if key else UNKNOWN)
        label = record.measurement.configuration.label
        timed = [(TIME, whole), *((REFERENCE, one) for one in record.measurement.of("reference"))]
        points += [
            Point(
                run, created, commit, record.label, metric, label, environment, one.median_s, record.measurement.quality
            )
            for metric, one in timed
            if one.samples_s
        ]
    if record.rows and not record.module:
        shapes = ", ".join("x".join(map(str, shape)) for shape in record.input)
        counts: dict[str, int | None] = {key: getattr(record.totals, key) for key in COUNTS}
        counts |= {"traffic": record.totals.traffic}
        counts |= {"peak_memory": record.memory.peak if record.memory else None}
        configuration = f"{shapes}, {record.mode}" + (f", {record.dtype}" if record.dtype != "float32" else "")
        environment = packed({"counter": record.count.counter})
        points += [
            Point(run, created, commit, record.label, metric, configuration, environment, value)
            for metric, value in counts.items()
            if value is not None
        ]
    return points


def packed(environment: Mapping[str, str]) -> str:
    """An environment as text that is equal where it is equal."""
    return json.dumps(dict(environment), sort_keys=True)


def unpacked(environment: str) -> dict[str, str]:
    return dict(json.loads(environment))


def differing(environments: Sequence[str]) -> list[str]:
    """The parts in which environments differ, by name."""
    found = [unpacked(one) for one in environments]
    names = dict.fromkeys(name for one in found for name in one)
    return [name for name in names if len({one.get(name) for one in found}) > 1]


def moment(text: str | None) -> str:
    """A time in UTC to the second; without a zone it is UTC already. Empty where there is none."""
    try:
        found = datetime.fromisoformat(text or "")
    except ValueError:
        return ""
    if found.tzinfo:
        try:
            found = found.astimezone(UTC)
        except OverflowError:
            return ""
    return found.strftime("%Y-%m-%dT%H:%M:%SZ")


def known(commit: str | None) -> str | None:
    return commit if commit and commit != "unknown" else None
