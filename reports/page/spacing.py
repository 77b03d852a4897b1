"""Non-breaking spaces between numbers and their units, so that no line of the page ends between `14.6` and `%`."""

from __future__ import annotations

import re

NUMBER_AND_UNIT = re.compile(
    r"(?<=\d) (?=(?:%|×|[kMGTPE]?(?:B|FLOPs?|FLOP/B)(?:/s)?|[kMGTPEmµn]?s|[kMGTPE])(?![\w-]))|(?<=±) (?=\d)"
)


def keep_units(text: str) -> str:
    """`14.6 % of 1.583 G` with spaces that do not break after the numbers."""
    return NUMBER_AND_UNIT.sub("\u00a0", text) if " " in text else text


def finalize(value: object) -> object:
    """For the template engine: texts, not markup."""
    return keep_units(value) if type(value) is str else value
