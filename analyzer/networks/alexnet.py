"""AlexNet twice: Caffe's network with two groups, and torchvision's network without groups."""

from __future__ import annotations

from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
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

CAFFE: dict[str, Node] = {
    "conv1": Conv(96, 11, 4, padding=0),
    "relu1": ReLU(),
    "norm1": LRN(),  # Before the pool, as in Caffe's bvlc_alexnet; bvlc_caffenet swaps them.
    "pool1": MaxPool(3, 2),
    "conv2": Conv(256, 5, groups=2),
    "relu2": ReLU(),
    "norm2": LRN(),
    "pool2": MaxPool(3, 2),
    "conv3": Conv(384, 3),
    "relu3": ReLU(),
    "conv4": Conv(384, 3, groups=2),
    "relu4": ReLU(),
    "conv5": Conv(256, 3, groups=2),
    "relu5": ReLU(),
    "pool5": MaxPool(3, 2),
    "flatten": Flatten(),
    "fc6": Linear(4096),
    "relu6": ReLU(),
    "drop6": Dropout(0.5),
    "fc7": Linear(4096),
    "relu7": ReLU(),
    "drop7": Dropout(0.5),
    "fc8": Linear(1000),
}

FEATURES: list[tuple[str, Node]] = [
    ("conv1", Conv(64, 11, 4, padding=2)),
    ("relu1", ReLU()),
    ("pool1", MaxPool(3, 2, ceil=False)),
    ("conv2", Conv(192, 5)),
    ("relu2", ReLU()),
    ("pool2", MaxPool(3, 2, ceil=False)),
    ("conv3", Conv(384, 3)),
    ("relu3", ReLU()),
    ("conv4", Conv(256, 3)),
    ("relu4", ReLU()),
    ("conv5", Conv(256, 3)),
    ("relu5", ReLU()),
    ("pool5", MaxPool(3, 2, ceil=False)),
]

CLASSIFIER: list[tuple[str, Node]] = [
    ("drop6", Dropout(0.5)),
    ("fc6", Linear(4096)),
    ("relu6", ReLU()),
    ("drop7", Dropout(0.5)),
    ("fc7", Linear(4096)),
    ("relu7", ReLU()),
    ("fc8", Linear(1000)),
]


def _numbered(layers: list[tuple[str, Node]]) -> Sequential:
    """torchvision's layers, named by their number; Caffe's names are their roles."""
    numbers = [str(index) for index in range(len(layers))]
    names, nodes = zip(*layers, strict=True)
    return Sequential(dict(zip(numbers, nodes, strict=True)), dict(zip(numbers, names, strict=True)))


ALEXNET = Network(
    "alexnet",
    "Caffe's AlexNet: two groups, LRN",
    "BVLC Caffe bvlc_alexnet; Krizhevsky et al. 2012",
    CAFFE,
    input=(3, 227, 227),
)
ALEXNET_TORCHVISION = Network(
    "alexnet-torchvision",
    "AlexNet without groups and LRN",
    "pytorch/vision torchvision/models/alexnet.py at 00658a2; Krizhevsky 2014",
    {
        "features": _numbered(FEATURES),
        "avgpool": AdaptiveAvgPool(6),
        "flatten": Flatten(),
        "classifier": _numbered(CLASSIFIER),
    },
    roles={"features": "", "classifier": ""},
)
