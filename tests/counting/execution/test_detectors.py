"""Causes of a detector's published figures: whole numbers of boxes, and frozen batch norms."""

from __future__ import annotations

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from benchmarks.object_detectors import UNEXPLAINED, explained

GIGA = 10**9
FIXED, PROPOSAL, DETECTION = 100 * GIGA, 14_000_000, 3_500_000_000


def row(path: str, op: str, boxes: int = 1, macs: int = 0, params: int = 0) -> Row:
    shape = ((boxes, 8),)
    return Row(path, path, op, 1, shape, shape, params, params, 0, macs, 2 * macs, 0, 0, 0)


def detector(proposals: int, detections: int | None = None) -> Record:
    rows = [
        row("backbone.conv", "conv2d", macs=FIXED, params=500),
        row("backbone.norm", "batch_norm", params=64),
        row("rpn.norm", "batch_norm", params=32),
        # Two layers run on every proposal; the reshape between them has no MACs and another first axis.
        row("roi_heads.box_head.fc6", "linear", proposals, proposals * (PROPOSAL - 1000)),
        row("roi_heads.box_head", "reshape", 7 * proposals),
        row("roi_heads.box_predictor.score", "linear", proposals, proposals * 1000),
    ]
    if detections is not None:
        rows.append(row("roi_heads.mask_head.conv", "conv2d", detections, detections * DETECTION))
    return Record("d", ((1, 3, 8, 8),), "inference", Count("dispatch", tuple(rows)))


PARAMS = 500 + 64 + 32


@pytest.mark.parametrize(
    ("record", "published_gmacs", "left"),
    [
        # 100 GMACs and 1000 proposals of 14 million are 114.0; 150 are 102.1.
        (detector(150), 114.0, ("150 proposals in this", "1000 in the published")),
        (detector(150), 100.0, ("150 proposals in this", "0 in the published")),
        # 100 + 1000 x 0.014 + 1 x 3.5 = 117.5.
        (detector(1000, 100), 117.5, ("1000 proposals and 100 detections in this", "1000 and 1 in the published")),
    ],
)
def test_whole_numbers_of_boxes_explain_a_difference(record, published_gmacs, left):
    cause = explained(record, published_gmacs, PARAMS)
    assert cause.startswith("GMACs: ")
    assert all(text in cause for text in left)


@pytest.mark.parametrize("published_gmacs", [113.993, 114.014])
def test_half_a_proposal_or_more_than_a_detector_keeps_is_unexplained(published_gmacs):
    assert explained(detector(150), published_gmacs, PARAMS) == UNEXPLAINED


def test_only_the_backbones_batch_norms_are_frozen():
    assert explained(detector(1000), 114.0, PARAMS - 64).startswith("params: 64 ")
    assert explained(detector(1000), 114.0, PARAMS - 96) == UNEXPLAINED


def test_equal_figures_have_no_cause():
    assert explained(detector(1000), 114.0, PARAMS) == ""
