"""Table cells from numbers: the text that a reader sees, with the exact value behind it."""

from __future__ import annotations

from analyzer.core import units
from analyzer.core.units import METRICS, percent, relative_change, seconds, signed
from analyzer.records.rows import Totals
from reports.table import MISSING, Cell

QUALITY_TONES = {"trusted": "good", "noisy": "warn", "void": "bad"}


def count(metric: str, value: float | None) -> Cell | str:
    """A count with four significant digits, in its metric's unit."""
    return MISSING if value is None else Cell(METRICS[metric].text(value), value)


def exact(value: float | None) -> Cell | str:
    """A count to the last unit."""
    return MISSING if value is None else Cell(f"{value:,}", value)


def duration(value: float | None) -> Cell | str:
    """Seconds, scaled."""
    return MISSING if value is None else Cell(seconds(value), value)


def share(part: float, whole: float) -> Cell:
    """`part` of `whole` as a percentage with a bar; 0 of nothing is 0 %."""
    value = part / whole if whole else 0.0
    return Cell(percent(value), value, share=value)


def quality(word: str) -> Cell:
    """Whether a time can be trusted. A database that was edited may have another word."""
    return Cell(word, tone=QUALITY_TONES.get(word, ""))


def tone(before: float, after: float) -> str:
    """Less is better in every metric that tables compare."""
    return "good" if after < before else "bad" if after > before else ""


def change(metric: str, before: int | None, after: int | None) -> tuple[Cell | str, ...]:
    """Four cells: both counts, their difference, and the change relative to the first."""
    difference: Cell | str = ""
    if before is not None and after is not None:
        difference = Cell(signed(after - before, metric), after - before, tone=tone(before, after))
    return count(metric, before), count(metric, after), difference, ratio(metric, before, after)


def ratio(metric: str, before: float | None, after: float | None) -> Cell | str:
    """The change relative to `before` as text; the value is `after` ÷ `before`."""
    if before is None or after is None:
        return "" if before is after else f"only in {'1st' if after is None else '2nd'}"
    text = relative_change(before, after, fewer=fewer(metric))
    return Cell(text, after / before if before else None, tone=tone(before, after) or "muted")


def fewer(metric: str) -> str:
    """Bytes and seconds are less, all else is fewer."""
    return "less" if metric == "time" or METRICS[metric].unit == "bytes" else "fewer"


def intensity(totals: Totals) -> Cell | str:
    """FLOPs per byte of memory traffic."""
    return Cell(units.intensity(totals.intensity), totals.intensity) if totals.traffic else MISSING


def ratio_text(ratio: float | None) -> str:
    """A ratio as a change relative to the base; percentages to two decimals."""
    if ratio is None:
        return MISSING
    return relative_change(1, round(ratio, 4) if 0.5 < ratio < 2 else ratio, fewer="less")


def interval_text(low: str, high: str) -> str:
    """`+1.2 to +3.4 %`, `2.29× to 2.75× more`: a unit that both ends share is written once."""
    for unit in (" %", " more", " less"):
        if low.endswith(unit) and high.endswith(unit):
            low = low.removesuffix(unit)
    return f"{low} to {high}"
