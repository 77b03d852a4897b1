"""Why a detector's published figures are not those of a count of it: taken apart into what is data and what is not.

`torchvision::nms` decides by the values of boxes how many proposals the box head sees, and after it how many detections
the mask or keypoint head. Everything else has fixed shapes. So a published figure must be the fixed part, plus a whole
number of proposals, plus a whole number of detections. Batch norms of a backbone are frozen into buffers in the file
that the published number of parameters was taken from.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import NamedTuple

from analyzer.records.record import Record, Row

UNEXPLAINED = "UNEXPLAINED"
MOST_PROPOSALS, MOST_DETECTIONS = 1000, 100


class Head(NamedTuple):
    """A part that runs on every box: how many there were, and the multiply-adds of one."""

    boxes: int
    macs: int


def explained(record: Record, published_gmacs: float, published_params: int) -> str:
    """Both differences, each with its cause; UNEXPLAINED where the arithmetic does not come out."""
    causes = []
    if round(record.totals.macs / 1e9, 3) != published_gmacs:
        causes.append(_boxes(record.rows, published_gmacs))
    if record.totals.params != published_params:
        frozen = sum(row.params for row in record.rows if row.op == "batch_norm" and row.path.startswith("backbone."))
        fits = record.totals.params - frozen == published_params
        causes.append(
            f"params: {frozen:,} of the backbone's batch norms are buffers in the file" if fits else UNEXPLAINED
        )
    return "; ".join(causes)


def _boxes(rows: Iterable[Row], published_gmacs: float) -> str:
    """The proposals and detections, most first, at which the count is the published one to the last printed digit."""
    rows = tuple(rows)
    fixed = sum(row.macs for row in rows if not row.path.startswith("roi_heads."))
    proposals, detections = _head(rows, ("box_",)), _head(rows, ("mask_", "keypoint_"))
    for some, found in product(range(MOST_PROPOSALS, -1, -1), range(MOST_DETECTIONS + 1 if detections.macs else 1)):
        if (
            proposals.macs
            and round((fixed + some * proposals.macs + found * detections.macs) / 1e9, 3) == published_gmacs
        ):
            here = f"{proposals.boxes} proposals" + (f" and {detections.boxes} detections" if detections.macs else "")
            there = f"{some}" + (f" and {found}" if detections.macs else "")
            return f"GMACs: `torchvision::nms` left {here} here, {there} there"
    return UNEXPLAINED


def _head(rows: Iterable[Row], names: tuple[str, ...]) -> Head:
    own = [row for row in rows if row.path.startswith(tuple(f"roi_heads.{name}" for name in names)) and row.macs]
    boxes = own[0].outputs[0][0] if own else 0
    return Head(boxes, sum(row.macs for row in own) // boxes if boxes else 0)
