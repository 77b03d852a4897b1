"""Network in Network (Lin et al. 2014), with the layer names of Caffe's model zoo."""

from __future__ import annotations

from analyzer.networks.spec import AdaptiveAvgPool, Conv, Dropout, Flatten, MaxPool, Network, Node, ReLU

NIN_ROWS: dict[str, Node] = {
    "conv1": Conv(96, 11, 4, padding=0),
    "relu0": ReLU(),
    "cccp1": Conv(96, 1),
    "relu1": ReLU(),
    "cccp2": Conv(96, 1),
    "relu2": ReLU(),
    "pool0": MaxPool(3, 2),
    "conv2": Conv(256, 5),
    "relu3": ReLU(),
    "cccp3": Conv(256, 1),
    "relu5": ReLU(),  # The zoo's file skips relu4.
    "cccp4": Conv(256, 1),
    "relu6": ReLU(),
    "pool2": MaxPool(3, 2),
    "conv3": Conv(384, 3),
    "relu7": ReLU(),
    "cccp5": Conv(384, 1),
    "relu8": ReLU(),
    "cccp6": Conv(384, 1),
    "relu9": ReLU(),
    "pool3": MaxPool(3, 2),
    "drop": Dropout(0.5),
    "conv4-1024": Conv(1024, 3),
    "relu10": ReLU(),
    "cccp7-1024": Conv(1024, 1),
    "relu11": ReLU(),
    "cccp8-1024": Conv(1000, 1),
    "relu12": ReLU(),
    "pool4": AdaptiveAvgPool(1),
    "flatten": Flatten(),
}

NIN = Network(
    "nin",
    "Network in Network: 1x1s throughout",
    "Lin et al. 2014; Caffe model zoo nin_imagenet (mavenlin)",
    NIN_ROWS,
)
