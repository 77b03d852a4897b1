"""torchvision's GoogLeNet: the paper's table with torchvision's names and differences.

Source: pytorch/vision, torchvision/models/googlenet.py at 0413037. It has batch norm after every convolution,
3x3 where the paper has 5x5 (torchvision issue 906), no LRN, a 2x2 last max pool, adaptive average pools and dropout of
20 %.
"""

from __future__ import annotations

from analyzer.networks.googlenet import POOL, TABLE, Inception
from analyzer.networks.spec import (
    AdaptiveAvgPool,
    Auxiliary,
    BatchNorm,
    Branches,
    Conv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
    Sequential,
)


def conv(out: int, kernel: int, stride: int = 1) -> Sequential:
    """torchvision's BasicConv2d."""
    return Sequential({"conv": Conv(out, kernel, stride, bias=False), "bn": BatchNorm(1e-3), "relu": ReLU()})


class TorchvisionInception(Inception):
    """torchvision numbers its branches, and the third has a 3x3; the roles are the paper's names."""

    def expand(self) -> Branches:
        reduced = {"0": "reduce", "1": ""}
        return Branches(
            {
                "branch1": conv(self.out_1x1, 1),
                "branch2": Sequential({"0": conv(self.reduce_3x3, 1), "1": conv(self.out_3x3, 3)}, reduced),
                "branch3": Sequential({"0": conv(self.reduce_5x5, 1), "1": conv(self.out_5x5, 3)}, reduced),
                "branch4": Sequential({"0": POOL, "1": conv(self.pool_proj, 1)}, {"0": "pool", "1": "project"}),
            },
            {"branch1": "branch_1x1", "branch2": "branch_3x3", "branch3": "branch_5x5", "branch4": "branch_pool"},
        )


def _inception(row: str) -> TorchvisionInception:
    paper = TABLE[row]
    assert isinstance(paper, Inception)
    return TorchvisionInception(**vars(paper))


def _auxiliary() -> Auxiliary:
    return Auxiliary(
        {
            "pool": AdaptiveAvgPool(4),
            "conv": conv(128, 1),
            "flatten": Flatten(),
            "fc1": Linear(1024),
            "relu": ReLU(),
            "dropout": Dropout(0.7),
            "fc2": Linear(1000),
        },
        {"fc1": "fc", "fc2": "linear"},
    )


ROWS: dict[str, Node] = {
    "conv1": conv(64, 7, 2),
    "maxpool1": MaxPool(3, 2),
    "conv2": conv(64, 1),
    "conv3": conv(192, 3),
    "maxpool2": MaxPool(3, 2),
    "inception3a": _inception("inception_3a"),
    "inception3b": _inception("inception_3b"),
    "maxpool3": MaxPool(3, 2),
    "inception4a": _inception("inception_4a"),
    "aux1": _auxiliary(),
    "inception4b": _inception("inception_4b"),
    "inception4c": _inception("inception_4c"),
    "inception4d": _inception("inception_4d"),
    "aux2": _auxiliary(),
    "inception4e": _inception("inception_4e"),
    "maxpool4": MaxPool(2, 2),
    "inception5a": _inception("inception_5a"),
    "inception5b": _inception("inception_5b"),
    "avgpool": AdaptiveAvgPool(1),
    "flatten": Flatten(),
    "dropout": Dropout(0.2),
    "fc": Linear(1000),
}

ROLES = {
    "conv2": "conv2_reduce",
    "conv3": "conv2",
    "avgpool": "pool5",
    "fc": "linear",
    **{f"maxpool{n}": f"pool{n}" for n in range(1, 5)},
    **{name: name.replace("inception", "inception_") for name in ROWS if name.startswith("inception")},
}

GOOGLENET_TORCHVISION = Network(
    "googlenet-torchvision",
    "batch norm, 3x3 for 5x5, no LRN",
    "pytorch/vision torchvision/models/googlenet.py at 0413037",
    ROWS,
    roles=ROLES,
)
