"""Causes of a detector's published figures: whole numbers of boxes, and frozen batch norms."""

from __future__ import annotations

from analyzer.records.record import Count, Record, Row
from benchmarks.detectors import UNEXPLAINED, explained

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


def test_a_whole_number_of_proposals():
    """100 GMACs and 1000 of 14 million are 114.0; here 150 make 102.1."""
    for published, proposals in ((114.0, 1000), (100.0, 0)):
        cause = explained(detector(150), published, PARAMS)
        assert "left 150 proposals in our count" in cause
        assert f", {proposals} in the published" in cause


def test_a_number_between_two_proposals_is_unexplained():
    """The last digits, 7 million MACs, are half a proposal."""
    assert explained(detector(150), 113.993, PARAMS) == UNEXPLAINED


def test_more_boxes_than_a_detector_keeps_are_unexplained():
    assert explained(detector(150), 114.014, PARAMS) == UNEXPLAINED


def test_proposals_and_detections():
    """100 + 1000 x 0.014 + 1 x 3.5 = 117.5."""
    cause = explained(detector(1000, 100), 117.5, PARAMS)
    assert "1000 proposals and 100 detections" in cause
    assert ", 1000 and 1 in the published" in cause


def test_frozen_batch_norms_are_those_of_the_backbone():
    assert explained(detector(1000), 114.0, PARAMS - 64).startswith("params: 64 of the backbone")
    assert explained(detector(1000), 114.0, PARAMS - 96) == UNEXPLAINED


def test_equal_figures_need_no_cause():
    assert explained(detector(1000), 114.0, PARAMS) == ""
