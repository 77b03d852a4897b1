"""The largest batch whose peak memory fits a capacity. Runs no model: the caller passes a function batch → peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

MAX_BATCH = 2**20


def largest_batches(peak: Callable[[int], int], capacities: Sequence[int]) -> list[int]:
    """For each capacity in bytes the largest batch, up to `MAX_BATCH`, whose `peak` fits; 0 if one sample does not.

    The peak is a maximum of sums that are each linear in the batch, so it is convex. If the value at the midpoint of an
    interval lies on the line between its ends, the peak is linear there and the batch follows by division; otherwise
    the interval is bisected. Most models take five evaluations of `peak`.
    """
    peak = cache(peak)
    slope = max(peak(2) - peak(1), 1)
    bound = 2 + max((max(capacities) - peak(1)) // slope, 0)
    # A power of two, so that similar capacities evaluate the same batches.
    upper = min(1 << (bound - 1).bit_length(), MAX_BATCH)
    batches = {capacity: 0 if capacity < peak(1) else upper for capacity in capacities}
    intervals = [(1, upper)]
    while intervals:
        low, high = intervals.pop()
        inside = [capacity for capacity in batches if peak(low) <= capacity < peak(high)]
        if not inside:
            continue
        middle, rise, run = (low + high) // 2, peak(high) - peak(low), high - low
        if middle == low or (peak(middle) - peak(low)) * run == rise * (middle - low):
            batches |= {capacity: low + (capacity - peak(low)) * run // rise for capacity in inside}
        else:
            intervals += [(low, middle), (middle, high)]
    return [batches[capacity] for capacity in capacities]
