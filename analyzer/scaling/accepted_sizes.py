"""Which sizes a model takes along an axis, by trying some."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.scaling.axes import Axis


def is_fixed(accepts: Callable[[int], bool], axis: Axis) -> bool:
    """Whether the model accepts none of several other sizes: near, multiples, half, and by likely periods."""
    base = axis.base
    distances = (1, 2, 4, 8, 16, 32, 64, base)
    tried = (base + distance for distance in distances)
    return not any(map(accepts, (*tried, base // 2, base - 1, base - 32)))


def smallest_size(accepts: Callable[[int], bool], axis: Axis, step: int) -> int:
    """The smallest size that the model accepts, `step` is the distance of a formula's sizes.

    It is found by bisection among sizes at this distance: all from it to the present one are taken to be accepted.
    """
    step = 1 if accepts(axis.base - 1) else step
    low, high = -1, (axis.base - 1) // step
    below = axis.base - high * step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if accepts(below + middle * step) else (middle, high)
    return below + high * step


def sizes_in_words(accepts: Callable[[int], bool], axis: Axis, step: int) -> str:
    """`the smallest height that the model accepts is 31`, or where it takes some only, their first."""
    name, smallest = " = ".join(axis.sizes), smallest_size(accepts, axis, step)
    if step == 1 or accepts(axis.base + 1):
        return f"the smallest {name} that the model accepts is {smallest:,}"
    return f"the model accepts {name} {smallest:,}, {smallest + step:,}, {smallest + 2 * step:,}, …"
