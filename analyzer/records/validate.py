"""Validates records from files that may have been edited: a damaged record raises AnalyzerError, never another
error."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import TypeVar, get_args

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.records.comparable import incompatibility
from analyzer.records.record import Record
from analyzer.records.rows import Row
from analyzer.records.timings import Measurement, Quality

Result = TypeVar("Result")


def use_record(record: Record, name: str, use: Callable[[Record], Result]) -> Result:
    """`use(record)`. Raises AnalyzerError, naming the file, if times or environment do not allow it.

    Types are checked when a record is read; the environment has no fixed type, and values can contradict each other.
    """
    try:
        _ = incompatibility(record, record)
        _check_windows(record.rows)
        if record.measurement:
            _check_times(record.measurement)
        return use(record)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        reason = f"{type(error).__name__}: {one_line(error)[:200]}"
        raise AnalyzerError(f"{one_line(name)} is damaged ({reason}); write it again") from None


def _check_windows(rows: Sequence[Row]) -> None:
    """A row's kernel, stride and padding have the same axes, which are the last ones of its input and output."""
    for row in rows:
        if row.kernel is None:
            continue
        shapes = [shape for shape in (row.stride, row.padding) if shape is not None]
        if (
            any(len(shape) != len(row.kernel) for shape in shapes)
            or min((*row.kernel, *(row.stride or ())), default=0) < 1
        ):
            raise ValueError(f"the window of {row.path}")
        if not row.inputs or not row.outputs or min(len(row.inputs[0]), len(row.outputs[0])) < len(row.kernel):
            raise ValueError(f"the shapes of {row.path}")


def _check_times(measurement: Measurement) -> None:
    timings = measurement.timings
    qualities = {measurement.quality, *(timing.quality for timing in timings)}
    if not qualities <= set(get_args(Quality)):
        raise ValueError(f"qualities {sorted(map(str, qualities))}")
    if not all(isfinite(sample) for timing in timings for sample in timing.samples_s):
        raise ValueError("a sample is not finite")
    if any(timing.processes and sum(timing.processes) != len(timing.samples_s) for timing in timings):
        raise ValueError("the samples of the processes do not add up")
    if any(size < 0 for timing in timings for size in timing.processes):
        raise ValueError("a process has a negative number of samples")
    if any(timing.median_s <= 0 for timing in timings if timing.kind in ("pass", "device")):
        raise ValueError("the time of a pass is not positive")
    if not all(re.fullmatch(r"[0-9.]+(e\+?[0-9]+)?/s", timing.op) for timing in timings if timing.kind == "latency"):
        raise ValueError("a load is not a number of requests per second")
    if measurement.passes_per_sample < 1 or (measurement.peak_memory_bytes or 0) < 0:
        raise ValueError("passes per sample or peak memory is negative")
    if not 0 <= (measurement.energy_j or 0.0) < inf:
        raise ValueError("the energy of a pass is not a number of joules")
    _ = measurement.operator_times_s, measurement.configuration.label
