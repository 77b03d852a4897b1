"""Counts of every variant with the arithmetic written out, and torchvision's tables."""

from __future__ import annotations

import pytest

from analyzer.counting.api import count
from analyzer.networks import VARIANTS, find
from analyzer.networks.spec import BatchNorm
from analyzer.networks.walk import walk
from analyzer.records.rows import total, under

# Table 1: module → (input channels, side, (1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection)).
MODULES = {
    "inception_3a": (192, 28, (64, 96, 128, 16, 32, 32)),
    "inception_3b": (256, 28, (128, 128, 192, 32, 96, 64)),
    "inception_4a": (480, 14, (192, 96, 208, 16, 48, 64)),
    "inception_4b": (512, 14, (160, 112, 224, 24, 64, 64)),
    "inception_4c": (512, 14, (128, 128, 256, 24, 64, 64)),
    "inception_4d": (512, 14, (112, 144, 288, 32, 64, 64)),
    "inception_4e": (528, 14, (256, 160, 320, 32, 128, 128)),
    "inception_5a": (832, 7, (256, 160, 320, 32, 128, 128)),
    "inception_5b": (832, 7, (384, 192, 384, 48, 128, 128)),
}
STEM_MACS = 112 * 112 * 64 * 7 * 7 * 3 + 56 * 56 * 64 * 64 + 56 * 56 * 192 * 3 * 3 * 64


def macs(name: str, module: str = "") -> int:
    record = count(name)
    return total([row for row in record.rows if under(row, module)]).macs if module else record.totals.macs


def test_googlenet_from_the_papers_table():
    modules = sum(
        side * side * (n * (a + b + d + f) + 3 * 3 * b * c + 5 * 5 * d * e)
        for n, side, (a, b, c, d, e, f) in MODULES.values()
    )
    assert macs("googlenet") == STEM_MACS + modules + 1024 * 1000 == 1_582_671_872
    assert count("googlenet").totals.params == 6_998_552


def test_separable_stem_explains_the_papers_first_row():
    rows = {row.path: row for row in count("googlenet-separable-stem").rows}
    depthwise, pointwise = rows["conv1.depthwise"], rows["conv1.pointwise"]
    assert (depthwise.params, depthwise.biases) == (7 * 7 * 3 * 8, 0)
    assert (pointwise.weights, pointwise.biases) == (24 * 64, 64)
    assert depthwise.macs == 112 * 112 * 24 * 7 * 7
    assert pointwise.macs == 112 * 112 * 64 * 24
    assert depthwise.macs + pointwise.macs == 112 * 112 * 2_712 == 34_019_328
    assert macs("googlenet-separable-stem") == macs("googlenet") - 118_013_952 + 34_019_328


def test_no_reduction_keeps_widths_and_convolves_the_whole_input():
    modules = sum(side * side * n * (a + 3 * 3 * c + 5 * 5 * e + f) for n, side, (a, _, c, _, e, f) in MODULES.values())
    assert macs("googlenet-no-reduction") == STEM_MACS + modules + 1024 * 1000 == 4_426_547_200
    unreduced, reduced = ({row.path: row for row in count(n).rows} for n in ("googlenet-no-reduction", "googlenet"))
    for module in MODULES:
        assert unreduced[module].outputs == reduced[module].outputs
    assert sum(row.op == "conv2d" for row in unreduced.values()) == 57 - 2 * 9


def test_naive_modules_grow_by_their_input():
    channels, modules, widths = 192, 0, []
    for _, side, (a, _, c, _, e, _) in MODULES.values():
        modules += side * side * channels * (a + 3 * 3 * c + 5 * 5 * e)
        channels += a + c + e  # The pool passes all its channels.
        widths.append(channels)
    # Table 1's pools stand between modules and keep the channels; the linear layer reads what has grown.
    assert macs("googlenet-naive") == STEM_MACS + modules + channels * 1000 == 12_568_061_056
    rows = {row.path: row for row in count("googlenet-naive").rows}
    assert [rows[module].outputs[0][1] for module in MODULES] == widths
    assert count("googlenet-naive").totals.params == 97_526_008


def test_the_5x5_branch_of_4a_with_and_without_reduction():
    branch = "inception_4a.branch_5x5"
    without, reduced = macs("googlenet-no-reduction", branch), macs("googlenet", branch)
    assert without == (14 * 14 * 48) * (5 * 5 * 480) == 112_896_000
    assert reduced == (14 * 14 * 16) * 480 + (14 * 14 * 48) * (5 * 5 * 16) == 1_505_280 + 3_763_200 == 5_268_480
    assert f"{without / reduced:.1f}" == "21.4"


def test_fully_connected_head():
    rows = {row.path: row for row in count("googlenet-fc-head").rows}
    assert (rows["fc"].weights, rows["fc"].biases) == (7 * 7 * 1024 * 1024, 1024)
    assert rows["fc"].macs == 7 * 7 * 1024 * 1024
    assert rows["linear"].weights == 1024 * 1000
    assert "pool5" not in rows
    assert count("googlenet-fc-head").totals.params == 6_998_552 + 7 * 7 * 1024 * 1024 + 1024 == 58_379_800


def test_auxiliary_heads_exist_in_training_only():
    trained, deployed = count("googlenet", train=True), count("googlenet")
    heads = [row for row in trained.rows if row.path.startswith("aux")]
    trunk = [row for row in trained.rows if row not in heads and row.op != "dropout"]
    # Positions of rows differ, since the heads have rows too.
    common = {"backward_macs": None, "sources": None}
    assert [row.replace(**common) for row in trunk] == [
        row.replace(**common) for row in deployed.rows if row.op != "dropout"
    ]
    first = 512 * 128 + 128 + (128 * 4 * 4) * 1024 + 1024 + 1024 * 1000 + 1000
    second = 528 * 128 + 128 + (128 * 4 * 4) * 1024 + 1024 + 1024 * 1000 + 1000
    assert total(heads).params == first + second == 3_188_840 + 3_190_888
    assert trained.totals.params == deployed.totals.params + first + second == 13_378_280


# --- VGG-16 and NIN --------------------------------------------------------------------------------------------------
def test_vgg16():
    side, channels, weights, biases, multiply_adds = 224, 3, 0, 0, 0
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            weights += width * channels * 3 * 3
            biases += width
            multiply_adds += side * side * width * channels * 3 * 3
            channels = width
        side //= 2
    for features, width in ((512 * 7 * 7, 4096), (4096, 4096), (4096, 1000)):
        weights += features * width
        biases += width
        multiply_adds += features * width
    rows = count("vgg16").rows
    assert sum(row.weights for row in rows) == weights
    assert sum(row.biases for row in rows) == biases
    assert count("vgg16").totals.params == weights + biases == 138_357_544
    assert count("vgg16").totals.macs == multiply_adds == 15_470_264_320


# layer: (output side, output channels, kernel, input channels); sides: (224 - 11) / 4 + 1 = 54, pools 54 → 27 → 13 → 6.
NIN = {
    "conv1": (54, 96, 11, 3),
    "cccp1": (54, 96, 1, 96),
    "cccp2": (54, 96, 1, 96),
    "conv2": (27, 256, 5, 96),
    "cccp3": (27, 256, 1, 256),
    "cccp4": (27, 256, 1, 256),
    "conv3": (13, 384, 3, 256),
    "cccp5": (13, 384, 1, 384),
    "cccp6": (13, 384, 1, 384),
    "conv4-1024": (6, 1024, 3, 384),
    "cccp7-1024": (6, 1024, 1, 1024),
    "cccp8-1024": (6, 1000, 1, 1024),
}


def test_network_in_network():
    rows = {row.path: row for row in count("nin").rows if row.op == "conv2d"}
    assert list(rows) == list(NIN)
    for layer, (side, width, kernel, channels) in NIN.items():
        row = rows[layer]
        assert row.outputs == ((1, width, side, side),)
        assert (row.weights, row.biases) == (width * channels * kernel * kernel, width)
        assert row.macs == side * side * width * channels * kernel * kernel
    params = sum(width * channels * kernel * kernel + width for _, width, kernel, channels in NIN.values())
    assert count("nin").totals.params == params == 7_595_176


# --- torchvision -----------------------------------------------------------------------------------------------------
def test_torchvisions_alexnet_layer_by_layer(reference):
    """Kernels, strides and shapes by layer are in test_caffe.py."""
    table = reference("torchvision_alexnet")
    rows = [row for row in count("alexnet-torchvision").rows if row.params]
    assert [(row.path, row.params, row.macs) for row in rows] == [
        (layer["name"], layer["params"], layer["macs"]) for layer in table["layers"]
    ]
    totals = count("alexnet-torchvision").totals
    assert (totals.params, totals.macs) == (table["params"], table["macs_224"]) == (61_100_840, 714_188_480)


def test_torchvisions_googlenet(reference):
    table = reference("torchvision_googlenet")
    deployed, trained = count("googlenet-torchvision"), count("googlenet-torchvision", train=True)
    assert deployed.totals.params == table["params_without_aux"] == 6_624_904
    assert deployed.totals.macs == table["macs_224_without_aux"] == 1_498_376_192
    assert trained.totals.params == table["params_with_aux"] == 13_004_888
    for head in ("aux1", "aux2"):
        counted = total([row for row in trained.rows if under(row, head)])
        assert counted.params == table[f"{head}_params"]
    # Buffers of every batch norm: running mean and variance per channel, and a counter.
    steps = walk(find("googlenet-torchvision"))
    channels = [step.inputs[0][1] for step in steps if isinstance(step.layer, BatchNorm)]
    assert len(channels) == 57
    assert 2 * sum(channels) + 57 == table["buffers_without_aux"]


def test_torchvisions_roles_are_the_papers_paths():
    """The same table under other names: every role of a weighted layer is a path of the paper's network."""
    paper = [row.path for row in count("googlenet", train=True).rows if row.op in ("conv2d", "linear")]
    roles = [row.role for row in count("googlenet-torchvision", train=True).rows if row.op in ("conv2d", "linear")]
    assert roles == paper
    assert [row.role for row in count("googlenet").rows] == [row.path for row in count("googlenet").rows]
    caffe = [row.path for row in count("alexnet").rows if row.op in ("conv2d", "linear")]
    assert [row.role for row in count("alexnet-torchvision").rows if row.op in ("conv2d", "linear")] == caffe


# --- every variant ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("train", [False, True])
def test_a_batch_multiplies_the_work_and_leaves_the_parameters(name, train):
    single, three = count(name, train=train), count(name, train=train, batch=3)
    assert three.totals.params == single.totals.params
    for key in ("macs", "flops", "activations"):
        assert getattr(three.totals, key) == 3 * getattr(single.totals, key)
    assert three.input == ((3, *single.input[0][1:]),)


@pytest.mark.parametrize("name", VARIANTS)
def test_paths_are_unique_and_the_network_is_named(name):
    rows = count(name, train=True).rows
    assert len({(row.path, row.op) for row in rows}) == len(rows)
    network = find(name)
    assert network.name == name
    assert network.title
    assert network.source
