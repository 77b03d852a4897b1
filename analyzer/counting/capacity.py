"""The largest batch that fits. Pure: it is told what a batch takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

MOST = 2**20


def largest_batches(peak: Callable[[int], int], capacities: Sequence[int]) -> list[int]:
    """For each capacity the largest batch, up to 2^20, whose `peak` bytes fit; 0 where not even one sample does.

    A peak is the largest of many sums that each grow in a straight line with the batch, so it is convex: where it meets
    the line through its first two points again far out, it is that line all the way, and three looks settle them all.
    """
    first = peak(1)
    slope = max(peak(2) - first, 1)
    far = min(max(1 + (max(capacities) - first) // slope, 3), MOST)
    if peak(far) == first + slope * (far - 1):
        return [min(1 + (capacity - first) // slope, MOST) if capacity >= first else 0 for capacity in capacities]
    return [_search(peak, capacity) for capacity in capacities]


def _search(peak: Callable[[int], int], capacity: int) -> int:
    """By halving: correct for every peak that grows."""
    fits, fails = 0, MOST + 1
    while fits + 1 < fails:
        guess = (fits + fails) // 2
        fits, fails = (guess, fails) if peak(guess) <= capacity else (fits, guess)
    return fits
