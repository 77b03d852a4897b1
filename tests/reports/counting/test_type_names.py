"""Operators and modules in a few words."""

from __future__ import annotations

import pytest
from torch import nn

import analyzer
from analyzer.records.rows import Row
from reports.counting.type_names import module_type, operator_type, repeated


def row(path: str, macs: int, weights: int = 0, op: str = "linear") -> Row:
    return Row(path, path, op, 1, ((1, 2),), ((1, 3),), weights, weights, 0, macs, 2 * macs, 3, 8, 12)


@pytest.mark.parametrize(
    ("op", "inputs", "outputs", "expected"),
    [
        ("conv2d", (1, 3, 8, 8), (1, 5, 6, 6), "conv2d 3→5, 7 weights"),
        ("conv1d", (3, 8), (5, 6), "conv1d 3→5, 7 weights"),  # Without a batch.
        ("conv_transpose3d", (1, 3, 4, 4, 4), (1, 5, 8, 8, 8), "conv_transpose3d 3→5, 7 weights"),
        ("batch_norm", (1, 3, 8, 8), (1, 3, 8, 8), "batch_norm 3→3, 7 weights"),
        ("embedding", (1, 128), (1, 128, 16), "embedding →16, 7 weights"),
        ("linear", (1, 9, 4), (1, 9, 6), "linear 4→6, 7 weights"),
    ],
)
def test_a_type_has_the_widths(op, inputs, outputs, expected):
    assert operator_type(row("a", 1, 7, op).replace(inputs=(inputs,), outputs=(outputs,))) == expected


def test_the_type_of_an_addition_has_the_widths_of_the_product():
    addition = row("a", 1, 7, "addmm").replace(inputs=((6,), (9, 4), (4, 6)), outputs=((9, 6),))
    assert operator_type(addition) == "addmm 4→6, 7 weights"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"kernel": (7, 7), "stride": (2, 2), "padding": (3, 3), "groups": 1}, "conv2d 3→5 7x7/2"),
        ({"kernel": (1, 9), "stride": (1, 1), "groups": 1}, "conv2d 3→5 1x9"),
        ({"kernel": (3, 3), "stride": (2, 1), "groups": 3}, "conv2d 3→5 3x3/2x1, 3 groups"),
    ],
)
def test_the_type_of_an_operator_has_its_window(fields, expected):
    row = analyzer.count("nin").rows[0]
    row = row.replace(inputs=((1, 3, 8, 8),), outputs=((1, 5, 6, 6),), **{"padding": None, **fields})
    assert operator_type(row) == expected
    pool = row.replace(op="max_pool2d", weights=0, **{**fields, "groups": None})
    assert operator_type(pool) == "max_pool2d" + expected.removeprefix("conv2d 3→5").removesuffix(", 3 groups")


@pytest.mark.parametrize(
    ("layer", "input", "expected"),
    [
        (nn.Conv2d(3, 64, 7, stride=2), "3x32x32", "Conv2d 3→64 7x7/2"),
        (nn.Conv1d(4, 4, 3, groups=4), "4x32", "Conv1d 4→4 3, 4 groups"),
        (nn.Linear(8, 4), "8", "Linear 8→4"),
        (nn.BatchNorm2d(3), "3x8x8", "BatchNorm2d 3"),
        (nn.Embedding(10, 6), "5:int64", "Embedding 6"),
        (nn.MaxPool2d(3, 2), "3x8x8", "MaxPool2d 3x3/2"),
        (nn.ReLU(), "3", "ReLU"),
        (nn.Sequential(nn.Linear(3, 3), nn.ReLU()), "3", "Sequential"),
        (nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), "3", "2 Linear"),
    ],
)
def test_a_module_has_its_class_and_the_widths_and_window_of_its_layer(layer, input, expected):
    record = analyzer.count(nn.Sequential(layer), input=input)
    assert module_type("0", record.rows, record.count.types) == expected


def test_without_a_class_a_module_has_its_operators():
    rows = [row("m.a", 9, 4), row("m.b", 9, 4), row("m.c", 0, op="relu")]
    assert module_type("m", rows, {}) == "2 linear"
    assert module_type("m", rows[1:], {}) == "linear 2→3"
    assert module_type("m.c", rows[2:], {}) == "relu"


def test_equal_modules_have_their_number():
    assert (repeated(12, "Block"), repeated(1, "Block"), repeated(2, "")) == ("12 × Block", "Block", "2")
