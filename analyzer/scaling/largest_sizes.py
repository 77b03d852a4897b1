"""Where a formula passes a limit: the largest size whose peak memory fits, and from where on one operator dominates."""

from __future__ import annotations

import re
from collections.abc import Callable

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.units import METRICS
from analyzer.counting.closed_form.max_batch import MAX_BATCH, largest_batches
from analyzer.records.metric_values import macs_of
from analyzer.scaling.api import Scaling
from analyzer.scaling.axes import Axis
from analyzer.timing.peaks.published import device

UNITS = {"GB": 10**9, "GIB": 2**30, "MB": 10**6, "MIB": 2**20, "TB": 10**12, "TIB": 2**40}


class Capacity(Frozen):
    """Bytes of memory, and whose they are."""

    name: str
    size: int


class Largest(Frozen):
    """The largest size of an axis that fits a memory; None if even the smallest does not. `more`: it may be larger."""

    axis: Axis
    size: int | None
    more: bool


def capacity(text: str) -> Capacity:
    """`24GB`, `16GiB`, or the memory of a device by name. Raises AnalyzerError."""
    match = re.fullmatch(r"\s*([0-9]{1,6}(?:\.[0-9]{1,6})?)\s*([kKmMgGtT][iI]?[bB])\s*", text)
    if match and match[2].upper() in UNITS and float(match[1]):
        return Capacity(text.strip(), int(float(match[1]) * UNITS[match[2].upper()]))
    if re.fullmatch(r"\s*[-+]?[0-9.]+\s*\w{0,3}\s*", text):
        raise AnalyzerError(
            f"--against {quoted(text)} is no size of memory; wanted 24GB, 16GiB or the name of a device"
        )
    published = device(text)
    if not published.get("memory_gb"):
        raise AnalyzerError(
            f"{one_line(published['name'])} has no published size of memory; give it as a size, such as 24GB"
        )
    return Capacity(f"{published['name']} ({published['memory_gb']:g} GB)", int(published["memory_gb"] * 10**9))


def largest_within(costs: Scaling, axis: Axis, size: int) -> Largest:
    """The largest size along an axis whose peak memory is at most `size` bytes, the others as they are now.

    Sizes at which the formula was verified are tried by bisection: peak memory grows with every size. Batches have no
    such limit.
    """
    if axis.sizes == ("batch",):
        (batch,) = largest_batches(lambda number: costs.at(metric="peak_memory", batch=number), [size])
        return Largest(axis, batch or None, more=batch == MAX_BATCH)
    low, high, step = _domain(costs, axis)

    def fits(multiple: int) -> bool:
        return costs.at(metric="peak_memory", **{axis.name: low + multiple * step}) <= size

    if not fits(0):
        return Largest(axis, None, more=False)
    last = (high - low) // step
    if fits(last):
        return Largest(axis, low + last * step, more=True)
    return Largest(axis, low + (_first(lambda multiple: not fits(multiple), last) - 1) * step, more=False)


def dominates_from(costs: Scaling, axis: Axis) -> tuple[int, str] | None:
    """From which size on an operator has more MACs than all others together, if it has fewer at the smallest size."""
    low, high, step = _domain(costs, axis)
    last = (high - low) // step
    at_end = costs.values({axis.name: high})
    name = max((name for name in at_end if name not in METRICS), key=lambda name: at_end[name], default="")

    def dominates(multiple: int) -> bool:
        values = costs.values({axis.name: low + multiple * step})
        return bool(name) and 2 * values.get(name, 0) > values["macs"]

    if not dominates(last) or dominates(0):
        return None
    return low + _first(dominates, last) * step, name.removeprefix(macs_of(""))


def largest_operators(costs: Scaling, axis: Axis) -> list[tuple[int, str]]:
    """Where along an axis the operator with the most MACs changes: sizes from which on it is another, in order."""
    fit = costs.fits[0]
    if axis.name not in fit.axes or fit.reasons:
        return []
    domain = fit.axes[axis.name].domain

    def largest(multiple: int) -> str:
        values = costs.values({axis.name: domain.low + multiple * domain.step})
        return max((name for name in values if name not in METRICS), key=lambda name: values[name], default="")

    changes = [(domain.low, largest(0))]
    last, multiple = (domain.high - domain.low) // domain.step, 0
    while multiple < last:
        further = min(2 * multiple + 1, last)
        if largest(further) != changes[-1][1]:
            low, high = multiple, further
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if largest(middle) == changes[-1][1] else (low, middle)
            changes.append((domain.low + high * domain.step, largest(high)))
        multiple = further
    return [(size, name.removeprefix(macs_of(""))) for size, name in changes]


def _first(holds: Callable[[int], bool], last: int) -> int:
    """The first multiple at which it holds; it does not at 0 and does at `last`."""
    low, high = 0, last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _domain(costs: Scaling, axis: Axis) -> tuple[int, int, int]:
    """Lowest and highest size with a formula, over all ranges, and its step; the present size without formula."""
    domains = [fit.axes[axis.name].domain for fit in costs.fits if axis.name in fit.axes]
    if not domains:
        return axis.base, axis.base, 1
    first, last = domains[0], domains[-1]
    step = max(domain.step for domain in domains)
    return first.low, first.low + (last.high - first.low) // step * step, step
