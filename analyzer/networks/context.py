"""Networks of the same years, for context: Network in Network and VGG-16, with the names of Caffe's model zoo."""

from __future__ import annotations

from analyzer.networks.spec import AdaptiveAvgPool, Conv, Dropout, Flatten, Linear, MaxPool, Network, Node, ReLU

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


def _vgg16() -> dict[str, Node]:
    rows: dict[str, Node] = {}
    for stage, (width, depth) in enumerate([(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)], start=1):
        for layer in range(1, depth + 1):
            rows |= {f"conv{stage}_{layer}": Conv(width, 3), f"relu{stage}_{layer}": ReLU()}
        rows[f"pool{stage}"] = MaxPool(2, 2)
    rows["flatten"] = Flatten()
    for layer in (6, 7):
        rows |= {f"fc{layer}": Linear(4096), f"relu{layer}": ReLU(), f"drop{layer}": Dropout(0.5)}
    return {**rows, "fc8": Linear(1000)}


VGG16 = Network(
    "vgg16",
    "VGG-16: all 3x3, then three linear",
    "Simonyan and Zisserman 2014, configuration D; Caffe model zoo VGG_ILSVRC_16",
    _vgg16(),
)
