"""What a run teaches about its configurations: a layout, type or thread count that was measured to be slower than another."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import times
from analyzer.records.record import Record
from analyzer.records.timings import Configuration
from analyzer.timing.statistics import interval

SLOWER = 1.05  # Below that the difference may be this machine's mood; and their intervals must lie apart.
KNOBS = {"layout": "layout", "dtype": "type", "threads": "thread count"}
# Instructions of which one must be there, or a type is computed by converting it: up to a hundred times slower.
NATIVE = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


def advice(record: Record, records: Sequence[Record]) -> list[str]:
    """A type that this processor emulates, more threads than processors; for each knob, the best measurement that differs in
    that knob alone, if it is faster."""
    measurement = record.measurement
    if measurement is None:
        return []
    said = []
    flags, wanted = record.environment.get("processor", {}).get("flags"), NATIVE.get(measurement.configuration.dtype)
    if measurement.configuration.device == "cpu" and flags and wanted and not wanted.intersection(flags):
        said.append(f"this processor has no instructions for {measurement.configuration.dtype} and emulates it")
    processor = record.environment.get("processor", {})
    usable = len(processor.get("affinity") or []) or processor.get("count") or measurement.configuration.threads
    if measurement.configuration.device == "cpu" and measurement.configuration.threads > usable:
        said.append(f"more threads than the {usable} processors take turns on them")
    if measurement.whole is None or measurement.quality == "void":
        return said
    for knob, title in KNOBS.items():
        others = [
            other
            for other in records
            if other.label == record.label and other.measurement and other.measurement.whole and other.measurement.quality != "void"
            and _differ_in(measurement.configuration, other.measurement.configuration) == {knob}
        ]  # fmt: skip
        best = min(others, key=lambda other: other.measurement.whole.median_s, default=None)  # type: ignore[union-attr]
        if best and best.measurement and best.measurement.whole:
            gain = measurement.whole.median_s / best.measurement.whole.median_s
            if gain >= SLOWER and interval(measurement.whole)[0] > interval(best.measurement.whole)[1]:
                mine, theirs = getattr(measurement.configuration, knob), getattr(best.measurement.configuration, knob)
                noisy = [measurement.quality, best.measurement.quality].count("noisy")
                doubt = ("", ", but one of the two is noisy", ", but both are noisy")[noisy]
                said.append(f"{title} {theirs} was measured {times(gain)} faster than {mine}{doubt}")
    return said


def _differ_in(one: Configuration, other: Configuration) -> set[str]:
    return {name for name in Configuration.fields if getattr(one, name) != getattr(other, name)}
