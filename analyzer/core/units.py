"""The metrics: name, unit, which way is better, title, text. The only place that scales numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

from analyzer.core.frozen import Frozen

PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def scaled(value: float, unit: str = "", *, digits: int = 4) -> str:
    """Four significant digits and a decimal prefix: 112896000 → `112.9 M`; below a thousand a whole number stays."""
    if abs(value) < 1000 and value == int(value):
        return f"{int(value)} {unit}".rstrip()
    index = 0
    while (index < len(PREFIXES) - 1 and abs(value) >= 1000) or (
        index < len(PREFIXES) - 1 and _rounds_up(value, digits)
    ):
        value /= 1000
        index += 1
    return f"{_digits(value, digits)} {PREFIXES[index]}{unit}".rstrip()


def _digits(value: float, digits: int) -> str:
    """`value` with so many significant digits, rounded first: 9.9996 is 10.00 and not 10.000."""
    whole = len(str(int(abs(value))))
    rounded = round(value, max(digits - whole, 0))
    return f"{rounded:.{max(digits - len(str(int(abs(rounded)))), 0)}f}"


def _rounds_up(value: float, digits: int) -> bool:
    """Whether 999.97 would print as 1000.0."""
    whole = len(str(int(abs(value))))
    return round(abs(value), max(digits - whole, 0)) >= 1000


def _plain(value: float) -> str:
    return scaled(value)


def _bytes(value: float) -> str:
    return scaled(value, "B")


class Metric(Frozen):
    """One figure: `unit` is that of the stored number, `text` what a person reads."""

    name: str
    title: str
    unit: str
    better: Literal["lower", "higher"]
    text: Callable[[float], str]
    meaning: str


METRICS = {
    metric.name: metric
    for metric in (
        Metric("params", "params", "parameters", "lower", _plain, "weights and biases, tied ones once"),
        Metric("macs", "MACs", "multiply-adds", "lower", _plain, "multiply-adds; bias not counted, padding counts"),
        Metric("flops", "FLOPs", "operations", "lower", _plain, "2 x MACs plus everything that is no multiply-add"),
        Metric("activations", "activ.", "elements", "lower", _plain, "output elements of operators that have MACs"),
        Metric("bytes_read", "read", "bytes", "lower", _bytes, "inputs and parameters read, each operator alone"),
        Metric("bytes_written", "written", "bytes", "lower", _bytes, "outputs written"),
        Metric("backward_macs", "backward", "multiply-adds", "lower", _plain, "of the gradients, in training"),
        Metric("peak_memory", "peak", "bytes", "lower", _bytes, "alive at once at the peak of a pass, by liveness"),
        Metric("calls", "calls", "calls", "lower", _plain, "operators called"),
        Metric("traffic", "moved", "bytes", "lower", _bytes, "bytes read and written, each operator alone"),
    )
}


def intensity(value: float) -> str:
    """FLOPs per byte."""
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def percent(share: float) -> str:
    return "100 %" if share == 1 else f"{100 * share:.1f} %"


def ratio(value: float, reference: float) -> str:
    """How `value` stands to `reference` in words: `21.4x fewer`, `2.80x more`, `same`."""
    if value == reference:
        return "same"
    if not value or not reference:
        return "all gone" if reference else "new"
    return f"{factor(value / reference)} more" if value > reference else f"{factor(reference / value)} fewer"


def signed(difference: float, metric: str) -> str:
    """A difference with its sign, in its metric's unit: `+5.268 M`, `-1`, `0`."""
    text = METRICS[metric].text(abs(difference))
    return f"+{text}" if difference > 0 else f"-{text}" if difference < 0 else text


def change(before: float, after: float, metric: str) -> str:
    """A change beside its figures: in percent where two decimals show it, else as the difference itself."""
    share = abs(after - before) / before if before else 0.0
    if not 0.0001 <= share < 10:
        return signed(after - before, metric)
    return f"{'+' if after > before else '-'}{100 * share:.2f} %"


def factor(value: float) -> str:
    """A ratio of at least 1 to three significant digits: 21.43 → `21.4x`; close to 1 in percent: 1.0038 → `0.38 %`."""
    if value < 1.01:
        return f"{100 * (value - 1):.2g} %"
    return f"{value:,.0f}x" if value >= 99.95 else f"{_digits(value, 3)}x"


def seconds(value: float) -> str:
    """Four significant digits: 0.0041925 → `4.192 ms`, 3.2e-05 → `32.00 µs`; 0 is `0 s`."""
    if value == 0:
        return "0 s"
    for factor, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")):
        if round(abs(value) / factor, 3) >= 1 or unit == "ns":
            return f"{_digits(value / factor, 4)} {unit}"
    raise AssertionError("unreachable")


def plain(value: float) -> str:
    """A figure under a heading that has its unit: 53.42 → `53.4`, 15998.2 → `15,998`."""
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"


def rate(per_s: float, unit: str) -> str:
    """`82.3 GFLOP/s`: three significant digits with a decimal prefix."""
    return f"{scaled(per_s, digits=3)}{unit}/s" if per_s >= 1000 else f"{_digits(per_s, 3)} {unit}/s"


def signed_percent(log: float | None) -> str:
    """A log ratio as a change: `+2.13 %`."""
    return "" if log is None else f"{100 * math.expm1(log):+.2f} %"
