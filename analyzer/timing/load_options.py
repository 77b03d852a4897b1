"""The options --load and --limit: requests per second, and a limit on a percentile of latency."""

from __future__ import annotations

import re
from math import isfinite

from analyzer.core.errors import AnalyzerError, quoted
from analyzer.core.frozen import Frozen

PER_S = {"": 1.0, "/s": 1.0, "/min": 1 / 60}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class LatencyLimit(Frozen):
    """A percentile of latency, such as 0.99, must be at most `seconds`."""

    name: str
    seconds: float

    @property
    def share(self) -> float:
        return SHARES[self.name]


def parse_load(text: str) -> float:
    """`50/s`, `50` or `3000/min` → requests per second. Raises AnalyzerError."""
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*(/s|/min|)\s*", text)
    try:
        rate = float(match[1]) * PER_S[match[2]] if match else 0.0
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e6 or not isfinite(rate):
        raise AnalyzerError(f"--load is {quoted(text)}; wanted requests per second, such as 50/s or 3000/min")
    return rate


def parse_limit(text: str) -> LatencyLimit:
    """`p99=50ms` → a limit. Raises AnalyzerError."""
    match = re.fullmatch(r"\s*(p[0-9]+)\s*=\s*([0-9.]+)\s*(s|ms|us|µs)\s*", text)
    try:
        seconds = float(match[2]) * SECONDS[match[3]] if match else 0.0
    except ValueError:
        seconds = 0.0
    if not match or match[1] not in SHARES or not 0 < seconds < 3600:
        known = ", ".join(SHARES)
        raise AnalyzerError(f"--limit is {quoted(text)}; wanted a percentile ({known}) and a time, such as p99=50ms")
    return LatencyLimit(match[1], seconds)
