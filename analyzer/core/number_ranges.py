"""Whole numbers as on the command line: `8`, `1,8,32`, `112..672:56` (steps of 56), `128..4096:x2` (doubled)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzer.core.errors import AnalyzerError, quoted

MAX_POINTS = 10_000
MAX_SIZE = 10**9
RANGE = re.compile(r"([0-9]{1,9})\.\.([0-9]{1,9})(?::(x?)([0-9]{1,9}))?")


def numbers(texts: str, place: str) -> tuple[int, ...]:
    """The numbers, each once. `place` is where the text was given, for errors. Raises AnalyzerError."""
    return tuple(dict.fromkeys(number for part in texts.split(",") for number in _numbers(part.strip(), place)))


def _numbers(part: str, place: str) -> Sequence[int]:
    if part.isascii() and part.isdigit() and len(part) < 20 and 1 <= int(part) <= MAX_SIZE:
        return [int(part)]
    match = RANGE.fullmatch(part)
    if not match:
        raise AnalyzerError(
            f"malformed value {quoted(part)} of {place}; wanted 8, 1,8,32, FROM..TO:STEP or FROM..TO:x2"
        )
    first, last, step = int(match[1]), int(match[2]), int(match[4] or 1)
    if not 1 <= first <= last or not step or (match[3] and step < 2):
        raise AnalyzerError(f"the range {quoted(part)} of {place} is empty; wanted FROM..TO:STEP with 1 ≤ FROM ≤ TO")
    if not match[3]:
        if (last - first) // step >= MAX_POINTS:
            raise AnalyzerError(
                f"the range {quoted(part)} of {place} has more than {MAX_POINTS:,} sizes; raise its step"
            )
        return range(first, last + 1, step)
    sizes = [first]
    while sizes[-1] * step <= last:
        sizes.append(sizes[-1] * step)
    return sizes
