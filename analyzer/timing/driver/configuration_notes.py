"""Notes on configurations: emulated dtypes, too many threads, and a faster layout, dtype or thread count."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import times
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.statistics import confidence_interval, ratio_interval

SLOWER = 1.05  # Smallest ratio worth a note; the confidence intervals must not overlap either.
KNOBS = {"layout": "layout", "dtype": "dtype", "threads": "thread count"}
# Without any of these instructions a dtype is computed by conversion, up to a hundred times slower.
NATIVE = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


def advice(record: Record, records: Sequence[Record]) -> list[str]:
    """Notes on a record of a run; for each setting, the fastest of the `records` that differ only in that setting."""
    measurement = record.measurement
    if measurement is None:
        return []
    notes = _processor_notes(measurement.configuration, record.environment.get("processor", {}))
    timing = _usable_timing(measurement)
    if timing is None:
        return notes
    for knob, title in KNOBS.items():
        candidates = [
            (candidate, other)
            for compared in records
            if compared.label == record.label and (other := compared.measurement)
            and (candidate := _usable_timing(other))
            and _differences(measurement.configuration, other.configuration) == {knob}
        ]  # fmt: skip
        if not candidates:
            continue
        fastest, other = min(candidates, key=lambda candidate: candidate[0].median_s)
        ratio = timing.median_s / fastest.median_s
        if ratio >= SLOWER and confidence_interval(timing)[0] > confidence_interval(fastest)[1]:
            current, better = getattr(measurement.configuration, knob), getattr(other.configuration, knob)
            noisy = ("", ", but one of the two is noisy", ", but both are noisy")
            caveat = noisy[[measurement.quality, other.quality].count("noisy")]
            interval = " to ".join(map(times, ratio_interval(fastest, timing)))
            notes.append(f"{title} {better} was {times(ratio)} [{interval}] faster than {current}{caveat}")
    return notes


def _processor_notes(configuration: Configuration, processor: dict[str, object]) -> list[str]:
    if configuration.device != "cpu":
        return []
    notes = []
    flags, native = processor.get("flags"), NATIVE.get(configuration.dtype)
    if isinstance(flags, list) and flags and native and not native.intersection(flags):
        notes.append(f"this processor has no {configuration.dtype} instructions and emulates them")
    affinity = processor.get("affinity")
    usable = len(affinity) if isinstance(affinity, list) and affinity else processor.get("count")
    if isinstance(usable, int) and 0 < usable < configuration.threads:
        notes.append(f"{configuration.threads} threads share {usable} processors")
    return notes


def _usable_timing(measurement: Measurement) -> Timing | None:
    return measurement.pass_timing if measurement.quality != "void" else None


def _differences(first: Configuration, second: Configuration) -> set[str]:
    return {name for name in Configuration.fields if getattr(first, name) != getattr(second, name)}
