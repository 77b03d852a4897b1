"""The tree of modules: equal neighbors folded, kinds of operators, and the level at which a metric divides."""

from __future__ import annotations

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from reports.page.module_tree import division, kind, level, tree, walk
from reports.page.network_views import network_views

SHAPE = ((1, 8),)


def row(path: str, macs: int, op: str = "linear", **more) -> Row:
    return Row(path, path, op, 1, SHAPE, SHAPE, macs, macs, 0, macs, 2 * macs, 8, 64, 64, **more)


def whole(*rows: Row):
    (network,) = network_views([Record("net", SHAPE, "inference", Count("dispatch", rows))])
    return tree(network, ["macs", "params"])


def labels(node) -> list[str]:
    return [child.label for child, _ in walk(node)]


def blocks(count: int, path: str = "encoder.layer_{}") -> list[Row]:
    return [
        row(f"{path.format(number)}.{part}", macs)
        for number in range(count)
        for part, macs in (("attention", 1), ("mlp", 2))
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("encoder.layer_{}", ["encoder", "24 × layer", "attention", "mlp"]),
        ("h.{}", ["h", "24 × h", "attention", "mlp"]),
        ("stages.0.{}", ["stages", "stages.0", "24 × block", "attention", "mlp"]),
    ],
)
def test_equal_blocks_are_one_node_with_the_sum_of_all(path, expected):
    node = whole(*blocks(24, path))
    assert labels(node) == expected
    folded = next(child for child, _ in walk(node) if child.repeat == 24)
    assert folded.values == {"macs": 72, "params": 72}
    assert [part.values["macs"] for part in folded.children] == [24, 48]


@pytest.mark.parametrize(
    "rows",
    [
        blocks(2),
        [row("a.one", 1), row("b.one", 1), row("c.one", 1)],
        [row("layer_0.x", 1), row("layer_1.y", 1), row("layer_2.z", 1)],
        [row("layer_0.x", 1), row("layer_1.x", 2), row("layer_2.x", 1)],
    ],
    ids=["two", "other names", "other parts", "other counts"],
)
def test_neighbors_that_differ_or_are_only_two_are_not_folded(rows):
    assert not [label for label in labels(whole(*rows)) if "×" in label]


def test_a_block_that_differs_divides_a_run():
    rows = [row(f"layer.{number}.conv", 5 if number == 3 else 1) for number in range(8)]
    assert [child.label for child in whole(*rows).children[0].children] == ["3 × layer", "layer.3", "4 × layer"]


def test_the_level_is_below_modules_with_nearly_all():
    node = whole(*blocks(24), row("head", 2))
    assert [step.label for step in level(node, "macs")] == ["net", "encoder", "24 × layer"]
    assert division(node, "macs") == "97.3 % of them in 24 × layer (mlp 66.7 %, attention 33.3 % of it)"
    even = whole(row("a", 30), row("b", 40), row("c", 30))
    assert level(even, "macs") == [even]
    assert division(even, "macs") == "70.0 % of them in b and a"


@pytest.mark.parametrize(
    ("op", "more", "expected"),
    [
        ("conv2d", {"kernel": (1, 1), "groups": 1}, "1x1 convolution"),
        ("conv2d", {"kernel": (3, 3), "groups": 1}, "3x3 convolution"),
        ("conv2d", {"kernel": (1, 7), "groups": 1}, "larger convolution"),
        ("conv2d", {"kernel": (3, 3), "groups": 8}, "grouped convolution"),
        ("conv2d", {}, "convolution"),
        ("addmm", {}, "linear"),
        ("scaled_dot_product_attention", {}, "attention"),
        ("lstm", {}, "recurrent"),
        ("layer_norm", {}, "normalization"),
        ("adaptive_avg_pool2d", {}, "pooling"),
        ("embedding", {}, "embedding"),
        ("relu", {}, "other"),
    ],
)
def test_kinds_of_operators(op, more, expected):
    assert kind(row("m", 4, op, **more)) == expected
    assert kind(row("m", 4, "bmm").replace(weights=0)) == "matrix product"
