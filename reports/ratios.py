"""Ratios and their intervals as text, relative to the base; the form itself is in `units.relative_change`."""

from __future__ import annotations

from analyzer.core.units import relative_change
from reports.table import MISSING


def ratio_text(ratio: float | None) -> str:
    """A ratio as a change relative to the base; percentages to two decimals."""
    if ratio is None:
        return MISSING
    return relative_change(1, round(ratio, 4) if 0.5 < ratio < 2 else ratio, fewer="less")


def interval_text(low: str, high: str) -> str:
    """`+1.2 to +3.4 %`, `2.29× to 2.75× more`: a unit that both ends share stands once."""
    for unit in (" %", " more", " less"):
        if low.endswith(unit) and high.endswith(unit):
            low = low.removesuffix(unit)
    return f"{low} to {high}"
