"""The fewest multiplications of a convolution, against published algorithms and published times."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from torch import nn

from analyzer.counting.api import count
from analyzer.records.rows import Row
from analyzer.timing.machine.fast_convolution import fewest_flops, reduction
from analyzer.timing.machine.roofline import bound, published_ceilings
from analyzer.timing.peaks.published import device

REFERENCE = Path(__file__).parents[2] / "reference"


def row_of(layer: nn.Module, side: int) -> Row:
    channels = layer.in_channels
    sizes = (side,) * (layer.weight.dim() - 2)
    (row,) = count(layer.to("meta"), input=(channels, *sizes)).rows
    return row


# Winograd and FFT: multiplications per output and channel pair, in each axis or in both, and the kernel's taps.
PUBLISHED = {
    "F(2x2, 3x3), Lavin and Gray: 4 x 4 for 2 x 2 outputs": (3, 16 / 4),
    "F(4x4, 3x3), Lavin and Gray: 6 x 6 for 4 x 4 outputs": (3, 36 / 16),
    "F(6x6, 3x3), NNPACK: 8 x 8 for 6 x 6 outputs": (3, 64 / 36),
    "F(4x4, 5x5), cuDNN: 8 x 8 for 4 x 4 outputs": (5, 64 / 16),
    "FFT of 16 x 16 points, NNPACK: 128 complex products of 4 for 12 x 12 outputs of 5x5": (5, 128 * 4 / 144),
    "FFT of 32 x 32 points, cuDNN: 512 complex products of 4 for 26 x 26 outputs of 7x7": (7, 512 * 4 / 676),
    "Gauss FFT of 32 x 32 points, Zlateski et al.: 512 complex products of 3 for 30 x 30 outputs": (3, 512 * 3 / 900),
}


@pytest.mark.parametrize("padded", [True, False], ids=["padded", "without padding"])
@pytest.mark.parametrize("algorithm", PUBLISHED)
def test_no_published_algorithm_multiplies_less(algorithm, padded):
    side, per_output = PUBLISHED[algorithm]
    row = row_of(nn.Conv2d(64, 128, side, padding=side // 2 * padded), 56 if padded else 8)
    assert side * side / per_output <= reduction(row)


@pytest.mark.parametrize(
    ("layer", "side", "expected"),
    [
        (nn.Conv2d(64, 128, 1), 56, 1),
        (nn.Conv2d(64, 128, 3, padding=1), 56, 9 / 1.5),
        (nn.Conv2d(64, 128, 5, padding=2), 28, 25 / 1.5),
        (nn.Conv2d(64, 128, (1, 7), padding=(0, 3)), 17, 7 / 1.5),
        (nn.Conv1d(64, 128, 3, padding=1), 56, 3 / (8 / 6)),  # F(6, 3): 8 multiplications for 6 outputs.
        (nn.Conv3d(8, 16, 3, padding=1), 12, 27 / 1.5),
        (nn.Conv2d(96, 256, 5, padding=2, groups=2), 27, 25 / 1.5),
        (nn.Conv2d(144, 144, 3, padding=1, groups=144), 28, 9 / 1.5),
        (nn.Conv2d(128, 128, 3, padding=1, groups=32), 28, 9 / 1.5),
        # Stride 2: four convolutions of every second point, the smallest with 1x1 filters: 4 points per output.
        (nn.Conv2d(64, 128, 3, stride=2, padding=1), 56, 9 / 4),
        # Patches do not overlap.
        (nn.Conv2d(3, 768, 16, stride=16), 224, 1),
        (nn.Conv2d(3, 64, 7, stride=2, padding=3), 224, 49 / (4 * 1.5)),  # The smallest of the four: 3x3.
        (nn.Conv2d(64, 128, 1, stride=2), 56, 1),
        # Without padding: 8 points per axis for 4 outputs.
        (nn.Conv2d(8, 16, 5), 8, 25 / 1.5),
        # Dilated: four convolutions of every second point; with the same stride only one of them.
        (nn.Conv2d(64, 64, 3, padding=2, dilation=2), 56, 9 / 1.5),
        (nn.Conv2d(64, 64, 3, stride=2, padding=2, dilation=2), 56, 9 / 1.5),
        (nn.Conv2d(64, 64, 3, stride=2, padding=3, dilation=3), 57, 9 / 4),
        # Only the tap in the middle is inside the image.
        (nn.Conv2d(64, 64, 3, padding=18, dilation=18), 18, 9),
        # The border of a 1x1 with padding multiplies nothing: 58 x 58 outputs.
        (nn.Conv2d(64, 64, 1, padding=1), 56, 58**2 / 56**2),
        (nn.Conv2d(4, 4, 1, stride=2, padding=1), 1, 4),
        (nn.Conv2d(64, 64, 2, padding="same"), 56, 4 / (8 / 7) ** 2),
        (nn.ConvTranspose2d(64, 32, 3, padding=1), 28, 9 / 1.5),
        (nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), 28, 16 / (2 * 8 / 7) ** 2),
        (nn.ConvTranspose2d(64, 32, 2, stride=2), 28, 1),
    ],
    ids=str,
)  # fmt: skip
def test_multiplications_follow_from_filter_and_shapes(layer, side, expected):
    assert reduction(row_of(layer, side)) == pytest.approx(expected)


DOCUMENTED = {
    "1x1, patches (kernel = stride)": [(nn.Conv2d(8, 8, 1), 56), (nn.Conv2d(3, 8, 16, stride=16), 224)],
    "3x3": [(nn.Conv2d(8, 8, 3, padding=1), 56), (nn.Conv2d(8, 8, 3), 56)],
    "5x5": [(nn.Conv2d(8, 8, 5, padding=2), 28)],
    "7x7": [(nn.Conv2d(8, 8, 7, padding=3), 56)],
    "1x3 / 1x7": [(nn.Conv2d(8, 8, (1, 3), padding=(0, 1)), 17), (nn.Conv2d(8, 8, (1, 7), padding=(0, 3)), 17)],
    "3x3, depthwise or grouped": [(nn.Conv2d(8, 8, 3, padding=1, groups=groups), 56) for groups in (8, 2)],
    "3x3, stride 2": [(nn.Conv2d(8, 8, 3, stride=2, padding=1), 56)],
    "7x7, stride 2": [(nn.Conv2d(3, 64, 7, stride=2, padding=3), 224)],
    "3x3, dilated": [(nn.Conv2d(8, 8, 3, padding=dilation, dilation=dilation), 56) for dilation in (2, 3)],
    "4x4, transposed, stride 2": [(nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1), 28)],
}


def test_the_factors_are_the_documented_ones():
    text = (Path(__file__).parents[3] / "docs" / "conventions.md").read_text(encoding="utf-8")
    _, _, table = text.partition("| convolution | multiplications divided by | algorithm |")
    rows = [line.strip("| ").split(" | ") for line in table.partition("\n\n")[0].splitlines()[2:]]
    documented = {name: factors.split(" / ") for name, factors, _ in rows}
    computed = {
        name: list(dict.fromkeys(f"{reduction(row_of(*layer)):.3g}" for layer in layers))
        for name, layers in DOCUMENTED.items()
    }
    assert computed == documented


def test_a_convolution_without_a_known_filter_takes_one_multiplication_per_output():
    """Rows of earlier versions have no filter."""
    row = row_of(nn.Conv2d(64, 128, 3, padding=1), 56).replace(kernel=None)
    assert reduction(row) == 64 * 9


def test_only_multiply_adds_of_convolutions_are_fewer():
    row = row_of(nn.Conv2d(64, 128, 3, padding=1), 56)
    outputs = 128 * 56 * 56
    assert fewest_flops(row) == 2 * outputs * 64 * 9 // 6 + outputs  # The bias's additions remain.
    (linear,) = count(nn.Linear(8, 4), input=(8,)).rows
    assert fewest_flops(linear) == linear.flops


@pytest.mark.parametrize(
    ("network", "file", "number"),
    [
        ("googlenet", "caffe_titanx_googlenet_layer_ms.csv", 57),
        ("alexnet-torchvision", "caffe_titanx_alexnet_layer_ms.csv", 5),
    ],
)
def test_published_layer_times_are_not_below_the_bound(network, file, number):
    """Caffe's times of convolutions at batch 128 on a Titan X; layers are found by their MACs."""
    rows = [row for row in count(network, batch=128).rows if row.op == "conv2d"]
    with (REFERENCE / file).open(encoding="utf-8") as lines:
        layers = [layer for layer in csv.DictReader(lines) if layer["type"] == "Convolution"]
    assert len(layers) == number
    for layer in layers:
        same = [row for row in rows if row.macs == 128 * int(layer["macs_per_image"])]
        assert min(bounds_s([row], "maxwell")[1] for row in same) <= float(layer["forward_ms_batch128"]) / 1e3


DEVICES = {"Maxwell Titan X": "maxwell", "GTX 1080": "GTX 1080", "Pascal Titan X": "Titan X (Pascal)"}


def test_vgg16_was_measured_below_its_direct_time_and_never_below_the_bound(reference):
    """cuDNN 5.1 with Winograd at batch 16: 62.3 ms on a Titan X, where the direct algorithm takes at least 75.1."""
    rows = [row for row in count("vgg16", batch=16).rows if row.macs]
    times = [
        (float(entry["forward_ms"]) / 1e3, *bounds_s(rows, DEVICES[entry["device"]]))
        for entry in reference("published_tables")["latency"]
        if entry["model"] == "VGG-16" and entry["device"] in DEVICES and entry["batch"] == 16
    ]
    assert len(times) == 3
    assert sum(time_s < direct_s for time_s, direct_s, _ in times) == 2
    assert all(time_s >= least_s for time_s, _, least_s in times)


def bounds_s(rows: list[Row], name: str) -> tuple[float, float]:
    """The times of the direct algorithm and of the fewest multiplications."""
    ceilings = published_ceilings(device(name), "float32")
    direct = [(row.flops, row.bytes_read, row.bytes_written) for row in rows]
    fewest = [(fewest_flops(row), row.bytes_read, row.bytes_written) for row in rows]
    return bound(direct, ceilings)[0], bound(fewest, ceilings)[0]
