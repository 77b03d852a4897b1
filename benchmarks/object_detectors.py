"""Explains why a detector's published figures differ from macscope's count.

The values of the boxes determine how many proposals `torchvision::nms` passes to the box head, and then how many
detections it passes to the mask or keypoint head. All other shapes are fixed. So a published figure must be the fixed
MACs plus those of a whole number of proposals and of detections. Batch norms of the backbone are buffers in the file
whose parameters were published.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from analyzer.records.record import Record
from analyzer.records.rows import Row

UNEXPLAINED = "UNEXPLAINED"
MAX_PROPOSALS, MAX_DETECTIONS = 1000, 100


class Head(NamedTuple):
    """A part that runs on every box: the number of boxes, and the MACs per box."""

    boxes: int
    macs: int


def explained(record: Record, published_gmacs: float, published_params: int) -> str:
    """The cause of each difference; UNEXPLAINED where no whole numbers of boxes reproduce the published figure."""
    causes = []
    if round(record.totals.macs / 1e9, 3) != published_gmacs:
        causes.append(_boxes(record.rows, published_gmacs))
    if record.totals.params != published_params:
        frozen = sum(row.params for row in record.rows if row.op == "batch_norm" and row.path.startswith("backbone."))
        explains = record.totals.params - frozen == published_params
        cause = f"params: {frozen:,} parameters of the backbone's batch norms are buffers in the published file"
        causes.append(cause if explains else UNEXPLAINED)
    return "; ".join(causes)


def _boxes(rows: Sequence[Row], published_gmacs: float) -> str:
    """The largest numbers of proposals and detections that reproduce the published figure to its last digit."""
    fixed = sum(row.macs for row in rows if not row.path.startswith("roi_heads."))
    proposals, detections = _head(rows, "box_"), _head(rows, "mask_", "keypoint_")
    if not proposals.macs:
        return UNEXPLAINED
    for boxes, kept in product(range(MAX_PROPOSALS, -1, -1), range(MAX_DETECTIONS + 1 if detections.macs else 1)):
        if round((fixed + boxes * proposals.macs + kept * detections.macs) / 1e9, 3) == published_gmacs:
            counted = f"{proposals.boxes} proposals" + (
                f" and {detections.boxes} detections" if detections.macs else ""
            )
            published = f"{boxes}" + (f" and {kept}" if detections.macs else "")
            return f"GMACs: `torchvision::nms` left {counted} in this count, {published} in the published count"
    return UNEXPLAINED


def _head(rows: Sequence[Row], *prefixes: str) -> Head:
    paths = tuple(f"roi_heads.{prefix}" for prefix in prefixes)
    head = [row for row in rows if row.path.startswith(paths) and row.macs]
    boxes = head[0].outputs[0][0] if head else 0
    return Head(boxes, sum(row.macs for row in head) // boxes if boxes else 0)
