"""Results of sweeps as points: their totals and the time of a pass, without the rows of their records."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.database.result_rows import decode
from analyzer.records.comparable import KEY_FIELDS, stable_key
from analyzer.records.record import Record
from analyzer.records.sweep_result import Result
from analyzer.records.timings import Configuration, Quality

if TYPE_CHECKING:
    from analyzer.timing.statistics import Median

Machine: TypeAlias = tuple[str, ...]  # A stable key without what configurations have; empty if it is unknown.


class Time(Frozen):
    """The time of a pass; without a median it is void: too disturbed to use. `gpu` is the GPU time, if measured."""

    quality: Quality
    median: Median | None
    shown_s: float
    gpu: Median | None = None


class Point(Frozen):
    """One configuration that was counted and possibly timed, or that failed.

    `model` has its overrides, `base` is without them; `inputs` are without the batch. `macs` are those of a
    step if a backward pass was counted, as `step` tells. `processors` is how many the machine lets the process use.
    """

    model: str
    base: str
    inputs: tuple[str, ...]
    overrides: Mapping[str, int]
    configuration: Configuration
    machine: Machine = ()
    machine_name: str = ""
    processors: int = 0
    host: str = ""
    ended: str = ""
    reason: str = ""
    failed: bool = False
    params: int | None = None
    macs: int | None = None
    step: bool = False
    peak: int | None = None
    time: Time | None = None

    @property
    def name(self) -> str:
        """The model, and its inputs if they were given."""
        return f"{self.model} at {', '.join(self.inputs)}" if self.inputs else self.model

    @property
    def usable(self) -> bool:
        """Whether it has a time that is not void."""
        return self.time is not None and self.time.median is not None

    @property
    def median(self) -> Median:
        """Only for a point that is `usable`, as what follows."""
        assert self.time
        assert self.time.median
        return self.time.median

    @property
    def samples_per_s(self) -> float:
        return self.configuration.batch / self.median.value

    @property
    def rate_interval(self) -> tuple[float, float]:
        """95 % confidence interval of the samples per second."""
        low, high = self.median.interval()
        batch = self.configuration.batch
        return batch / high, batch / low if low > 0 else float("inf")


def newest_points(points: Iterable[Point]) -> list[Point]:
    """The newest point of each configuration on each machine; a void time gives way to an older one that is not.

    A failure is left out if the same configuration succeeded later on the same host.
    """
    newest: dict[object, Point] = {}
    failures: dict[object, Point] = {}
    for item in sorted(points, key=lambda point: point.ended):
        case = (item.model, item.inputs, item.configuration)
        if item.failed:
            failures[*case, item.host] = item
            continue
        failures.pop((*case, item.host), None)
        known = newest.get((*case, item.machine))
        if known is None or item.usable or not known.usable:
            newest[*case, item.machine] = item
    return _ordered(_without_repeated_counts([*newest.values(), *failures.values()]))


def _ordered(points: Sequence[Point]) -> list[Point]:
    """By model, in the order of their first results, then by configuration; a parallel sweep ends in any order."""
    order = {name: place for place, name in enumerate(dict.fromkeys(point.base for point in points))}

    machines = {key: place for place, key in enumerate(dict.fromkeys(point.machine for point in points))}
    defaults = Configuration().words[2:]

    def key(point: Point) -> tuple[Any, ...]:
        setting = point.configuration
        default_first = [(word != default, word) for word, default in zip(setting.words[2:], defaults, strict=True)]
        place = (order[point.base], point.inputs, tuple(point.overrides.items()))
        return *place, setting.batch, setting.threads, default_first, machines[point.machine]

    return sorted(points, key=key)


def _without_repeated_counts(points: Sequence[Point]) -> list[Point]:
    """The points without those that only repeat the counts of a timed one."""
    timed = {(item.model, item.inputs, item.configuration) for item in points if item.time}
    return [
        item for item in points
        if item.failed or item.time or (item.model, item.inputs, item.configuration) not in timed
    ]  # fmt: skip


def row_point(row: Mapping[str, Any]) -> Point:
    """The point of a whole row of a store. Of counts alone the columns are read, which is 100 times as fast.

    Raises AnalyzerError for a damaged row.
    """
    if row["time_s"] is not None or row["mode"] == "training" or not row["record"]:
        return point(decode(_without_operator_times(row)))
    counted = point(decode({**row, "record": None}))
    counts = {"params": row["params"], "macs": row["macs"], "peak": row["peak_memory"]}
    return counted.replace(failed=row["status"] == "failed", reason=one_line(row["reason"]), **counts)


def _without_operator_times(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record has a sample per operator and pass: megabytes, of which only those of the whole pass are needed."""
    try:
        record = json.loads(row["record"] or "null")
        record["timings"] = [timing for timing in record["timings"] if timing["kind"] in ("pass", "device")]
    except (KeyError, TypeError, ValueError):
        return row  # Without times, or damaged.
    return {**row, "record": json.dumps(record)}


def point(result: Result) -> Point:
    """The names are made safe to print. The estimate of the median takes about 2 ms for 30 samples."""
    case, record = result.case, result.record
    failed = Point(
        model=one_line(case.label),
        base=one_line(case.model),
        inputs=tuple(map(one_line, case.inputs)),
        overrides={one_line(key): value for key, value in case.overrides.items()},
        configuration=case.configuration,
        host=one_line(result.host),
        ended=result.ended,
        failed=True,
        reason=one_line(result.reason) or "no reason was recorded",
    )
    if record is None or result.status == "failed":
        return failed
    totals, memory = record.totals, record.memory
    counted = failed.replace(
        failed=False,
        reason="",
        params=totals.params,
        macs=totals.step.get("step_macs", totals.macs),
        step=bool(totals.step),
        peak=memory.total(memory.optimizer) if memory else None,
    )
    return _with_time(counted, record)


def _with_time(counted: Point, record: Record) -> Point:
    measurement = record.measurement
    timing = measurement.pass_timing if measurement else None
    if measurement is None or timing is None:
        return counted
    from analyzer.timing.statistics import estimate_median  # Imports numpy: not for results without times.

    processor, gpu = record.environment.get("processor") or {}, record.environment.get("gpu") or {}
    median = estimate_median(timing) if measurement.quality != "void" else None
    gpu_timings = [each for each in measurement.of("device") if each.quality != "void"]
    return counted.replace(
        configuration=measurement.configuration,
        machine=tuple(map(one_line, stable_key(record.environment, Configuration()))),
        machine_name=one_line(gpu.get("name") or processor.get("model") or "unknown machine"),
        processors=len(processor.get("affinity") or ()) or int(processor.get("count") or 0),
        time=Time(measurement.quality, median, timing.median_s, *map(estimate_median, gpu_timings[:1])),
        reason=one_line(measurement.reason),
    )


def distance_from_default(configuration: Configuration) -> tuple[int, int, int]:
    """How many settings differ from the default; then the smaller batch and the more threads come first."""
    fixed = configuration.replace(batch=1, threads=1, device="cpu")
    differing = sum(word != default for word, default in zip(fixed.words, Configuration().words, strict=True))
    return differing, configuration.batch, -configuration.threads


def machine_names(points: Iterable[Point]) -> dict[Machine, str]:
    """A name for each machine with a time, unique by the fields in which machines of one name differ."""
    names = {item.machine: item.machine_name for item in points if item.time}
    alike: dict[str, list[Machine]] = defaultdict(list)
    for machine, name in names.items():
        alike[name].append(machine)
    for name, machines in alike.items():
        differing = [i for i in range(1, len(KEY_FIELDS)) if len({key[i : i + 1] for key in machines}) > 1]
        for number, key in enumerate(machines, 1) if len(machines) > 1 else ():
            parts = [key[i].replace("1 threads of", "processors:") for i in differing if i < len(key)]
            text = ", ".join(part for part in parts if 0 < len(part) <= 40)
            names[key] = f"{name} ({text})" if text else f"{name} #{number}"
    taken: dict[str, int] = {}
    for key, name in names.items():
        taken[name] = taken.get(name, 0) + 1
        names[key] = f"{name} #{taken[name]}" if taken[name] > 1 else name
    return names
