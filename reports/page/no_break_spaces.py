"""No line of the page ends between a number and its unit, as in `14.6 %`, or within `multiply-adds`."""

from __future__ import annotations

import re

NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|×|[kMGTPE]?(?:B|FLOPs?|FLOP/B)(?:/s)?|[kMGTPEmµn]?s|[kMGTPE])(?![\w-]))|(?<=±) (?=\d)"
)
MULTIPLY_ADD = re.compile(r"(?<=\b[Mm]ultiply)-(?=adds?\b)")


def keep_together(text: str) -> str:
    """`14.6 % of 1.583 G multiply-adds` with spaces after the numbers, and a hyphen, at which no line ends."""
    if " " in text:
        text = NUMBER_AND_UNIT.sub("\u00a0", text)
    return MULTIPLY_ADD.sub("\u2011", text) if "ultiply-" in text else text


def finalize(value: object) -> object:
    """For the template engine: texts, not markup."""
    return keep_together(value) if type(value) is str else value
