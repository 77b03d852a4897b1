"""Whether FLOP/s can be given: not if passes ran other operators than were counted, or faster than the machine can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.units import rate, scaled
from analyzer.records.record import Record
from analyzer.records.run_files import load_peaks
from analyzer.records.timings import MIN_RESOLVED_S
from analyzer.timing.machine.fast_convolution import fewest_flops
from analyzer.timing.machine.roofline import measured_ceilings
from analyzer.worker.reply import Reply

ABOVE_PEAK = 1.25  # A kernel may be better than the matrix products with which peaks are measured.
# FLOPs per cycle and core that no processor with these instructions exceeds in float32: two units, two per MAC.
FLOPS_PER_CYCLE = {"avx512f": 64, "sve": 64, "avx2": 32, "asimd": 32, "avx": 16}
HIGHEST_HZ = 6.5e9  # No processor's clock is higher.
UNKNOWN_UNITS = {"amx_tile", "amx_bf16", "amx_int8"}
SCALE = {"float64": 0.5, "float16": 2.0, "bfloat16": 2.0}
OTHER = "another branch ran than was counted"


def missing_rate_reason(record: Record, replies: Sequence[Reply]) -> str:
    """Why FLOP/s of this record would mislead; "" if they can be given."""
    measurement = record.measurement
    if measurement is None or measurement.pass_timing is None or not record.rows:
        return ""
    if changed := next((text for text in measurement.warnings if text.startswith("not instrumented: ")), ""):
        return f"no FLOP/s: {changed.removeprefix('not instrumented: ')}"
    counted = record.totals.macs
    for reply in replies:
        ran = reply.last("done").get("ran_macs")
        if ran is not None and ran != counted and not record.count.unknown_ops:
            return f"no FLOP/s: {OTHER}, with {scaled(ran)} MACs for {scaled(counted)}"
    limit, source = highest_rate(record.environment, record)
    for name, flops, time_s in _rates(record):
        if limit and flops / time_s > limit:
            reached = rate(flops / time_s, "FLOP")
            return f"no FLOP/s: {name} would reach {reached}, above {source} of {rate(limit, 'FLOP')}: {OTHER}"
    return ""


def _rates(record: Record) -> list[tuple[str, float, float]]:
    """Name, fewest FLOPs and seconds of the pass and of its resolved operators."""
    measurement = record.measurement
    assert measurement
    assert measurement.pass_timing
    rows = record.rows_by_key()
    resolved = [
        (timing.path or timing.op, float(fewest_flops(rows[timing.key])), time_s)
        for timing, time_s in measurement.operator_times_s.items()
        if timing.phase == "forward" and time_s >= MIN_RESOLVED_S and timing.key in rows
    ]
    return [("the pass", float(sum(map(fewest_flops, record.rows))), measurement.pass_timing.median_s), *resolved]


def highest_rate(environment: Mapping[str, Any], record: Record) -> tuple[float, str]:
    """FLOP/s that no operator exceeds here, and their source: measured peaks, else what instructions allow; 0 if
    unknown."""
    measurement = record.measurement
    assert measurement
    configuration = measurement.configuration
    peaks = load_peaks(environment) if environment else []
    if ceilings := measured_ceilings(peaks, environment, configuration):
        return ABOVE_PEAK * ceilings.flops_per_s, f"{ABOVE_PEAK} times the measured peak,"
    flags = set((environment.get("processor") or {}).get("flags") or ())
    if configuration.device != "cpu" or not flags or flags & UNKNOWN_UNITS:
        return 0.0, ""
    per_cycle = next((flops for flag, flops in FLOPS_PER_CYCLE.items() if flag in flags), 8)
    limit = per_cycle * SCALE.get(configuration.dtype, 1.0) * HIGHEST_HZ * configuration.threads
    return limit, f"the limit of {configuration.threads} thread{'s' if configuration.threads > 1 else ''} here,"
