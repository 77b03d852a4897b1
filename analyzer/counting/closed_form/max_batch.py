"""The largest batch whose peak memory fits a capacity. Runs no model: the caller passes a function batch → peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

MAX_BATCH = 2**20


def largest_batches(peak: Callable[[int], int], capacities: Sequence[int]) -> list[int]:
    """For each capacity in bytes the largest batch, up to `MAX_BATCH`, whose `peak` fits; 0 if one sample does not.

    The peak is a maximum of sums that are each linear in the batch, so it is convex. If the slope at one end of an
    interval is that of the chord, the peak is linear in between and the batch follows by division. Otherwise the
    interval is divided where the line through its high end reaches the smallest capacity, above which the peak mostly
    is linear, or where the lines through its ends meet. Most models take five evaluations of `peak`.
    """
    peak = cache(peak)
    slope = max(peak(2) - peak(1), 1)
    bound = 2 + max((max(capacities) - peak(1)) // slope, 0)
    # A power of two, so that similar capacities evaluate the same batches.
    upper = min(1 << (bound - 1).bit_length(), MAX_BATCH)
    batches = {capacity: 0 if capacity < peak(1) else upper for capacity in capacities}
    # (low, high, the slope at low or at high where it is known)
    intervals: list[tuple[int, int, int | None]] = [(1, upper, peak(2) - peak(1))]
    while intervals:
        low, high, slope_at_end = intervals.pop()
        inside = [capacity for capacity in batches if peak(low) <= capacity < peak(high)]
        if not inside:
            continue
        rise, run = peak(high) - peak(low), high - low
        if run == 1 or (slope_at_end is not None and slope_at_end * run == rise):
            batches |= {capacity: low + (capacity - peak(low)) * run // rise for capacity in inside}
            continue
        first, last = peak(low + 1) - peak(low), peak(high) - peak(high - 1)
        meeting = low + (last * run - rise) // (last - first) if first < last else (low + high) // 2
        needed = high - -(-(peak(high) - min(inside)) // last) if first < last else 0
        middle = min(max(meeting, needed, low + 1), high - 1)
        intervals += [(low, middle, first), (middle, high, last)]
    return [batches[capacity] for capacity in capacities]
