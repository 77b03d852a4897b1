"""The result of cross-checking several counters on one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shapes

Value: TypeAlias = int | str | Shapes | None


class Difference(Frozen):
    """A metric of one row on which counters disagree: value by counter; None for a counter without the row."""

    path: str
    metric: str
    values: Mapping[str, Value]


class RowAgreement(Frozen):
    """MACs and activations of one row by counter. `agrees`: all metrics that the counters share are equal."""

    path: str
    op: str
    macs: Mapping[str, int]
    activations: Mapping[str, int]
    agrees: bool


class Agreement(Frozen):
    """The counters that were compared row by row, and their differences.

    `lacks`: operators or metrics that a counter does not cover. `rows` are for the table and not part of the JSON.
    """

    counters: tuple[str, ...]
    differences: tuple[Difference, ...]
    lacks: Mapping[str, str] = {}
    rows: tuple[RowAgreement, ...] = ()
