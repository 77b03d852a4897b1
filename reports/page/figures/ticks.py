"""Ticks of axes.

plotly draws one or none on a logarithmic axis that spans less than a decade, and writes `200M` for `200 M`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log10
from typing import Any

from analyzer.core.units import scaled, seconds

# Multiples of a power of ten, coarse to fine.
STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9),
         (1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 8, 8.5, 9, 9.5))  # fmt: skip
MIN_TICKS, MAX_TICKS = 3, 7
MAX_LINEAR_TICKS = 5  # On a narrow screen more would be written at an angle.
NEARLY_LINEAR = 3  # A logarithmic axis below this factor has the ticks of a linear one.
MARGIN = 0.06  # Of the axis, at each end.


def linear_axis(values: Iterable[float | None], unit: str = "", *, start: float = 0.0) -> dict[str, Any]:
    """Three to five ticks at multiples of 1, 2, 2.5 or 5 from the smallest value, or `start`, to the largest."""
    ends = [start, *(value for value in values if value is not None)]
    low, high = min(ends), max(ends)
    power = 10.0 ** floor(log10((high - low) / (MAX_LINEAR_TICKS - 1) or 1))
    step = next(
        step * power for step in (1, 2, 2.5, 5, 10) if high - low <= (MAX_LINEAR_TICKS - 1) * step * power * (1 + 1e-9)
    )
    ticks = [float(f"{number * step:.6g}") for number in range(ceil(low / step - 1e-9), floor(high / step + 1e-9) + 1)]
    return {"tickmode": "array", "tickvals": ticks, "ticktext": [tick_text(tick, unit) for tick in ticks]}


def log_axis(values: Iterable[float | None], unit: str = "") -> dict[str, Any]:
    """The range and ticks of a logarithmic axis for positive values, three to seven ticks if there is room.

    `unit` is written after each number: "B", "FLOP/s" or "s".
    """
    positive = [value for value in values if value and value > 0]
    low, high = (log10(min(positive)), log10(max(positive))) if positive else (0.0, 1.0)
    margin = max((high - low) * MARGIN, 0.05)
    start, end = low - margin, high + margin
    ticks = _ticks(start, end)
    return {
        "type": "log",
        "range": [round(start, 4), round(end, 4)],
        "tickmode": "array",
        "tickvals": ticks,
        "ticktext": [tick_text(tick, unit) for tick in ticks],
    }


def _ticks(start: float, end: float) -> list[float]:
    low, high = 10**start, 10**end
    ticks: list[float] = []
    if high < NEARLY_LINEAR * low:  # Even steps: 200, 250, 300.
        power = 10.0 ** floor(log10(high - low))
        for step in (5 * power, 2.5 * power, 2 * power, power, power / 2, power / 4):
            ticks = [float(f"{number * step:.6g}") for number in range(ceil(low / step), floor(high / step) + 1)]
            if len(ticks) >= MIN_TICKS:
                return ticks
    for steps in STEPS:
        powers = range(floor(start), ceil(end) + 1)
        ticks = [float(f"{step * 10.0**power:.6g}") for power in powers for step in steps]
        ticks = [tick for tick in ticks if start <= log10(tick) <= end]
        if len(ticks) >= MIN_TICKS:
            break
    stride = ceil(len(ticks) / MAX_TICKS)
    return ticks[::stride]


def tick_text(value: float, unit: str = "") -> str:
    """`200 M`, `5 MB`, `20 µs`, `0.2`."""
    if unit == "s":
        number, prefix = seconds(value).split()
        return f"{float(number):g} {prefix}"
    if value < 0:
        return f"-{tick_text(-value, unit)}"
    if value < 1:
        return f"{value:g} {unit}".rstrip()
    number, _, prefix = scaled(value, unit).partition(" ")
    return f"{float(number):g} {prefix}".rstrip()
