"""Split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.core.frozen import Frozen


class Difference(Frozen):
    """One figure on which counters disagree."""

    path: str
    metric: str
    values: Mapping[str, Any]


class Figure(Frozen):
    """One row as each counter sees it: MACs and activations by counter, and whether everything they share is equal."""

    path: str
    op: str
    macs: Mapping[str, int]
    activations: Mapping[str, int]
    agrees: bool


class Agreement(Frozen):
    """Which counters were held against each other, row by row, and where they differ.

    `lacks` names what a counter cannot see; `figures` are for the eye and not part of the JSON.
    """

    counters: tuple[str, ...]
    differences: tuple[Difference, ...]
    lacks: Mapping[str, str] = {}
    figures: tuple[Figure, ...] = ()
