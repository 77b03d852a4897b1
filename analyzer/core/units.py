"""Metrics and their units. The only module that scales numbers and formats ratios."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from analyzer.core.frozen import Frozen

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def scaled(value: float, unit: str = "", *, digits: int = 4) -> str:
    """Significant digits and a decimal prefix: 112896000 → `112.9 M`. A whole number below 1000 stays as it is."""
    if abs(value) < 1000 and value == int(value):
        return f"{int(value)} {unit}".rstrip()
    index = 0
    # Also where rounding reaches 1000: 999.97 with four digits is 1.000 k.
    while index < len(PREFIXES) - 1 and abs(_rounded(value, digits)) >= 1000:
        value /= 1000
        index += 1
    return f"{_digits(value, digits)} {PREFIXES[index]}{unit}".rstrip()


def _rounded(value: float, digits: int) -> float:
    """`value` rounded to `digits` significant digits, but never fewer than its integer part has."""
    return round(value, max(digits - len(str(int(abs(value)))), 0))


def _digits(value: float, digits: int) -> str:
    """`_rounded` as text. Digits are counted after rounding: 9.9996 is 10.00 and not 10.000."""
    rounded = _rounded(value, digits)
    return f"{rounded:.{max(digits - len(str(int(abs(rounded)))), 0)}f}"


def _bytes(value: float) -> str:
    return scaled(value, "B")


class Metric(Frozen):
    """One column of a record: `unit` is that of the stored number, `text` formats it for readers."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    text: Callable[[float], str]
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("params", "params", "parameters", "lower", scaled, "weights and biases, tied parameters once"),
        Metric("macs", "MACs", "multiply-adds", "lower", scaled, "multiply-adds; bias not counted, padding counts"),
        Metric("flops", "FLOPs", "operations", "lower", scaled, "2 x MACs plus all operations that are not MACs"),
        Metric("activations", "activations", "elements", "lower", scaled, "output elements of operators with MACs"),
        Metric("bytes_read", "read", "bytes", "lower", _bytes, "inputs and parameters read, operators in isolation"),
        Metric("bytes_written", "written", "bytes", "lower", _bytes, "outputs written, operators in isolation"),
        Metric("backward_macs", "backward", "multiply-adds", "lower", scaled, "MACs of the gradients, in training"),
        Metric("recomputed_macs", "recomputed", "multiply-adds", "lower", scaled, "MACs that checkpoints run again"),
        Metric("backward_flops", "backward FLOPs", "operations", "lower", scaled, "2 x MACs of the gradients"),
        Metric("step_macs", "step", "multiply-adds", "lower", scaled, "MACs of a training step"),
        Metric("step_flops", "step FLOPs", "operations", "lower", scaled, "FLOPs of a training step"),
        Metric("peak_memory", "peak memory", "bytes", "lower", _bytes, "peak bytes of the tensors in memory"),
        Metric("cache_bytes", "KV cache", "bytes", "lower", _bytes, "bytes that decoding keeps of the text so far"),
        Metric("calls", "calls", "calls", "lower", scaled, "operators called"),
        Metric("traffic", "traffic", "bytes", "lower", _bytes, "memory traffic: bytes read and written"),
    )
}


def counted(number: int, noun: str) -> str:
    """`1 machine`, `2,000 machines`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def intensity(value: float) -> str:
    """FLOPs per byte, to three significant digits."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def percent(share: float) -> str:
    """A share of a whole: 0.0746 → `7.5 %`."""
    return "100 %" if math.isclose(share, 1, rel_tol=1e-12) else f"{100 * share:.1f} %"


def relative_change(before: float, after: float, *, fewer: str = "fewer") -> str:
    """How `after` differs from `before`: `-7.9 %`, `+43.9 %`; from a factor of 2 up `21.4× fewer`, `8.71× more`.

    A percentage is always a share of `before`: 6,998,552 after 7,595,176 is -7.9 %. The project shows ratios of two
    numbers in this form only. `fewer` is the word for decreases; pass "less" for uncountable quantities such as memory.
    """
    if _equal(before, after):
        return "same"
    if not before or not after:
        return "none" if before else "new"
    ratio = after / before
    if ratio >= 2:
        return f"{times(ratio)} more"
    if ratio <= 0.5:
        return f"{times(1 / ratio)} {fewer}"
    return f"{'+' if ratio > 1 else '-'}{_percentage(abs(ratio - 1))}"


def relative_change_phrase(before: float, after: float, noun: str, *, fewer: str = "fewer") -> str:
    """The relative change in a sentence: `7.9 % fewer parameters`, `8.71× more multiply-adds`, `the same memory`."""
    if _equal(before, after):
        return f"the same {noun}" if fewer == "less" else f"the same number of {noun}"
    if not before or not after:
        return f"no {noun}" if before else f"{noun} where the other has none"
    text = relative_change(before, after, fewer=fewer)
    if text[0] not in "+-":
        return f"{text} {noun}"
    return f"{text[1:]} {'more' if after > before else fewer} {noun}"


def _equal(before: float, after: float) -> bool:
    """Whole numbers exactly; floats to 12 significant digits, beyond which they differ by rounding errors alone."""
    inexact = any(isinstance(value, float) for value in (before, after))
    return math.isclose(before, after, rel_tol=1e-12) if inexact else before == after


def times(ratio: float) -> str:
    """A factor to three significant digits: 21.43 → `21.4×`, 1234.5 → `1,234×`."""
    return f"{ratio:,.0f}×" if ratio >= 99.95 else f"{_digits(ratio, 3)}×"


def _percentage(share: float) -> str:
    """One decimal from 1 % up, two significant digits below; no trailing zero: 0.0786 → `7.9 %`, 0.07 → `7 %`."""
    value = 100 * share
    if round(value, 1) >= 1:
        return f"{value:.1f}".removesuffix(".0") + " %"
    digits = 1 - math.floor(math.log10(value))  # Decimals that hold two significant digits.
    return f"{value:.{digits}f}".rstrip("0") + " %"


def signed(difference: float, metric: str) -> str:
    """A difference with its sign, in its metric's unit: `+5.268 M`, `-1`, `0`."""
    text = METRICS[metric].text(abs(difference))
    return f"+{text}" if difference > 0 else f"-{text}" if difference < 0 else text


def change(before: float, after: float, metric: str) -> str:
    """A change in percent of `before`; as a difference where two decimals would not show it, or from 10-fold up."""
    share = abs(after - before) / before if before else 0.0
    if not 0.0001 <= share < 10:
        return signed(after - before, metric)
    return f"{'+' if after > before else '-'}{100 * share:.2f} %"


def seconds(value: float) -> str:
    """Four significant digits: 0.0041925 → `4.192 ms`, 3.2e-05 → `32.00 µs`; 0 is `0 s`."""
    if value == 0:
        return "0 s"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if round(abs(value) / factor, 3) >= 1 or unit == "ns":
            return f"{_digits(value / factor, 4)} {unit}"
    raise AssertionError("unreachable")


def plain(value: float) -> str:
    """A number below a heading that names its unit: 53.42 → `53.4`, 15998.2 → `15,998`."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def rate(per_s: float, unit: str) -> str:
    """`82.3 GFLOP/s`: three significant digits with a decimal prefix."""
    return f"{scaled(per_s, digits=3)}{unit}/s" if per_s >= 1000 else f"{_digits(per_s, 3)} {unit}/s"
