"""GoogLeNet (Szegedy et al., Going deeper with convolutions, 2014): Table 1 and the variants to compare it with.

Details that the paper leaves open are from BVLC Caffe, models/bvlc_googlenet, deploy and train_val.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    Auxiliary,
    AvgPool,
    Block,
    Branches,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
    Sequential,
)

PAPER = "Szegedy et al. 2014, Table 1; BVLC Caffe bvlc_googlenet"
AUXILIARY_WEIGHT = 0.3  # Weight of each head's loss: section 5 of the paper; loss_weight in train_val.prototxt.


def conv(out: int, kernel: int, stride: int = 1) -> Sequential:
    """The paper's convolution: with bias, followed by a ReLU."""
    return Sequential({"conv": Conv(out, kernel, stride), "relu": ReLU()})


def after(name: str, layer: Node, convolution: Sequential) -> Sequential:
    """A branch with `layer`, called `name`, before its convolution."""
    return Sequential({name: layer, **convolution.children})


POOL = MaxPool(3, 1, padding=1)


def inception(
    branch_1x1: Sequential, branch_3x3: Sequential, branch_5x5: Sequential, after_pool: Mapping[str, Node]
) -> Branches:
    """The four parallel branches of a module; the pool's may have layers after the pool."""
    pool = Sequential({"pool": POOL, **after_pool})
    return Branches({"branch_1x1": branch_1x1, "branch_3x3": branch_3x3, "branch_5x5": branch_5x5, "branch_pool": pool})


class Inception(Block):
    """Figure 2b: 1x1 reductions before the 3x3 and 5x5, a 1x1 projection after the pool. Table 1's column order."""

    out_1x1: int
    reduce_3x3: int
    out_3x3: int
    reduce_5x5: int
    out_5x5: int
    pool_proj: int

    keys: ClassVar[tuple[str, ...]] = ("out_1x1", "reduce_3x3", "out_3x3", "reduce_5x5", "out_5x5", "pool_proj")

    def expand(self) -> Branches:
        return inception(
            conv(self.out_1x1, 1),
            after("reduce", conv(self.reduce_3x3, 1), conv(self.out_3x3, 3)),
            after("reduce", conv(self.reduce_5x5, 1), conv(self.out_5x5, 5)),
            {"project": conv(self.pool_proj, 1)},
        )


class UnreducedInception(Block):
    """No 1x1 before 3x3 and 5x5. The pool keeps its projection, so the output width is the paper's."""

    out_1x1: int
    out_3x3: int
    out_5x5: int
    pool_proj: int

    keys: ClassVar[tuple[str, ...]] = ("out_1x1", "out_3x3", "out_5x5", "pool_proj")

    def expand(self) -> Branches:
        after_pool = {"project": conv(self.pool_proj, 1)}
        return inception(conv(self.out_1x1, 1), conv(self.out_3x3, 3), conv(self.out_5x5, 5), after_pool)


class NaiveInception(Block):
    """Figure 2a: no 1x1 reduction or projection. The pool passes all its channels, so every module is wider."""

    out_1x1: int
    out_3x3: int
    out_5x5: int

    keys: ClassVar[tuple[str, ...]] = ("out_1x1", "out_3x3", "out_5x5")

    def expand(self) -> Branches:
        return inception(conv(self.out_1x1, 1), conv(self.out_3x3, 3), conv(self.out_5x5, 5), {})


def auxiliary() -> Auxiliary:
    """Section 5: average pool 5x5/3, 1x1 convolution to 128, 1024 fully connected, dropout 70 %, linear."""
    return Auxiliary(
        {
            "pool": AvgPool(5, 3),
            "conv": conv(128, 1),
            "flatten": Flatten(),
            "fc": Linear(1024),
            "relu": ReLU(),
            "dropout": Dropout(0.7),
            "linear": Linear(1000),
        }
    )


TABLE: dict[str, Node] = {
    "conv1": conv(64, 7, 2),
    "pool1": MaxPool(3, 2),  # Ceil mode, as in Caffe: 112 → 56 without padding; floor mode would give 55.
    "norm1": LRN(),
    "conv2_reduce": conv(64, 1),
    "conv2": conv(192, 3),
    "norm2": LRN(),
    "pool2": MaxPool(3, 2),
    #                        1x1  3x3r  3x3  5x5r 5x5  pool
    "inception_3a": Inception(64, 96, 128, 16, 32, 32),
    "inception_3b": Inception(128, 128, 192, 32, 96, 64),
    "pool3": MaxPool(3, 2),
    "inception_4a": Inception(192, 96, 208, 16, 48, 64),
    "aux1": auxiliary(),
    "inception_4b": Inception(160, 112, 224, 24, 64, 64),
    "inception_4c": Inception(128, 128, 256, 24, 64, 64),
    "inception_4d": Inception(112, 144, 288, 32, 64, 64),
    "aux2": auxiliary(),
    "inception_4e": Inception(256, 160, 320, 32, 128, 128),
    "pool4": MaxPool(3, 2),
    "inception_5a": Inception(256, 160, 320, 32, 128, 128),
    "inception_5b": Inception(384, 192, 384, 48, 128, 128),
    "pool5": AdaptiveAvgPool(1),  # The paper's 7x7/1; global at every input size.
    "flatten": Flatten(),
    "dropout": Dropout(0.4),
    "linear": Linear(1000),
}

SEPARABLE_STEM = Sequential(
    # The row that Table 1 prints: 7·7·3·8 + 24·64 = 2,712 weights (2.7K), times 112·112 pixels = 34M multiply-adds.
    {"depthwise": DepthwiseConv(7, 2, multiplier=8, bias=False), "pointwise": Conv(64, 1), "relu": ReLU()}
)


def _unreduced(row: Node) -> Node:
    if isinstance(row, Inception):
        return UnreducedInception(row.out_1x1, row.out_3x3, row.out_5x5, row.pool_proj)
    return row


def _naive(row: Node) -> Node:
    if isinstance(row, Inception):
        return NaiveInception(row.out_1x1, row.out_3x3, row.out_5x5)
    return row


def _fc_head() -> dict[str, Node]:
    """A fully connected layer in place of the global average pool; all other rows are the same."""
    rows: dict[str, Node] = {}
    for name, row in TABLE.items():
        if name == "flatten":
            rows |= {"flatten": row, "fc": Linear(1024), "fc_relu": ReLU()}
        elif name != "pool5":
            rows[name] = row
    return rows


GOOGLENET = Network("googlenet", "Table 1 of the paper (Inception v1)", PAPER, TABLE)
SEPARABLE = Network(
    "googlenet-separable-stem",
    "the paper's depthwise 7x7 stem",
    "Szegedy et al. 2014, Table 1, row 1; Chollet 2017 (Xception), prior work",
    {**TABLE, "conv1": SEPARABLE_STEM},
)
NO_REDUCTION = Network(
    "googlenet-no-reduction",
    "3x3 and 5x5 without 1x1 before",
    "Szegedy et al. 2014, Figure 2, between a and b",
    {name: _unreduced(row) for name, row in TABLE.items()},
)
NAIVE = Network(
    "googlenet-naive",
    "Figure 2a: no 1x1s, widths grow",
    "Szegedy et al. 2014, Figure 2a",
    {name: _naive(row) for name, row in TABLE.items()},
)
FC_HEAD = Network(
    "googlenet-fc-head",
    "fully connected instead of pooling",
    "Szegedy et al. 2014, section 5: what average pooling replaced",
    _fc_head(),
)
