"""VGG-16 (Simonyan and Zisserman 2014), with the layer names of Caffe's model zoo."""

from __future__ import annotations

from analyzer.networks.spec import Conv, Dropout, Flatten, Linear, MaxPool, Network, Node, ReLU


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
