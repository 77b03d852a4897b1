"""The largest batch that fits. Pure: it is told what a batch takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

MOST = 2**20


def largest_batches(peak: Callable[[int], int], capacities: Sequence[int]) -> list[int]:
    """For each capacity the largest batch, up to 2^20, whose `peak` bytes fit; 0 where not even one sample does.

    A peak is the largest of many sums that each grow in a straight line with the batch, so it is convex: where the
    middle of a stretch lies on the chord of its ends, so does all of it. Each look is a pass; most models take five.
    """
    look = cache(peak)
    slope = max(look(2) - look(1), 1)
    reach = 2 + max((max(capacities) - look(1)) // slope, 0)
    far = min(1 << (reach - 1).bit_length(), MOST)  # A power of two, so that capacities alike look at the same batches.
    found = {one: 0 if one < look(1) else far for one in capacities}
    stretches = [(1, far)]
    while stretches:
        low, high = stretches.pop()
        between = [one for one in found if look(low) <= one < look(high)]
        if not between:
            continue
        middle, rise, run = (low + high) // 2, look(high) - look(low), high - low
        if middle == low or (look(middle) - look(low)) * run == rise * (middle - low):
            found |= {one: low + (one - look(low)) * run // rise for one in between}
        else:
            stretches += [(low, middle), (middle, high)]
    return [found[one] for one in capacities]
