"""Times of the passes of two networks, and the interval of their ratio."""

from __future__ import annotations

from math import inf

from analyzer.records.comparable import incompatibility
from analyzer.records.timings import Measurement, Timing
from reports.cells import interval_text, ratio_text
from reports.page.network_views import NetworkView


def pass_times(measurement: Measurement | None) -> dict[str, Timing | None]:
    """Wall time and GPU time of a pass."""
    gpu = next(iter(measurement.of("device")), None) if measurement else None
    return {"time": measurement.pass_timing if measurement else None, "GPU time": gpu}


def comparable_times(first: NetworkView, other: NetworkView) -> dict[str, tuple[Timing, Timing]]:
    """The passes of both, and their GPU time, at the first configuration that they share on one machine.

    Void times are left out.
    """
    for record in first.timed:
        for other_record in other.timed:
            if incompatibility(record, other_record) is not None:
                continue
            pairs = {
                noun: (timing, other_timing)
                for noun, timing in pass_times(record.measurement).items()
                for other_timing in [pass_times(other_record.measurement)[noun]]
                if timing and other_timing and "void" not in (timing.quality, other_timing.quality)
            }
            if pairs:
                return pairs
    return {}


def time_interval(before: Timing, after: Timing) -> tuple[str, bool]:
    """The 95 % confidence interval of the change in time, and whether it excludes that nothing changed."""
    from analyzer.timing.statistics import ratio_interval  # Imports numpy: not for a page without times.

    low, high = ratio_interval(before, after)
    ends = (ratio_text(low) if low else "any", ratio_text(high) if high < inf else "any")
    return interval_text(*ends), not low <= 1 <= high
