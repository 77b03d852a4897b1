"""The walk: shapes equal to torch's, order, paths and roles, and errors that name the layer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.core.errors import AnalyzerError
from analyzer.core.shapes import shape_text
from analyzer.counting.api import count
from analyzer.models.spec_to_module import build
from analyzer.networks import VARIANTS, find
from analyzer.networks.googlenet import TABLE
from analyzer.networks.spec import (
    AdaptiveAvgPool,
    Auxiliary,
    AvgPool,
    Branches,
    Conv,
    DepthwiseConv,
    Flatten,
    Linear,
    MaxPool,
    Network,
    ReLU,
    Sequential,
    ShapeError,
)
from analyzer.networks.walk import walk

SIZES, KERNELS, STRIDES, PADS = st.integers(1, 20), st.integers(1, 7), st.integers(1, 9), st.integers(0, 4)


def small(rows, input=(3, 8, 8), name="small"):
    return Network(name, "a small network", "this test", rows, input)


# --- shapes of single layers, against torch --------------------------------------------------------------------------
@given(SIZES, SIZES, KERNELS, STRIDES, PADS, st.booleans(), st.booleans())
@settings(max_examples=600)
def test_pools_have_torchs_shapes_and_errors(height, width, kernel, stride, padding, ceil, highest):
    source = torch.zeros(2, 3, height, width)
    layer = (MaxPool if highest else AvgPool)(kernel, stride, padding, ceil)
    pool = F.max_pool2d if highest else F.avg_pool2d
    try:
        real = tuple(pool(source, kernel, stride, padding, ceil_mode=ceil).shape)
    except RuntimeError:
        with pytest.raises(ShapeError, match=r"window does not fit|more than half the kernel"):
            layer.output_shape((2, 3, height, width))
    else:
        assert layer.output_shape((2, 3, height, width)) == real


@given(SIZES, SIZES, KERNELS, STRIDES, st.none() | PADS, st.integers(1, 4), st.integers(1, 8), st.integers(1, 8))
@settings(max_examples=600)
def test_convolutions_have_torchs_shapes_and_errors(height, width, kernel, stride, padding, groups, channels, out):
    layer = Conv(out, kernel, stride, padding, groups)
    source, weight = (
        torch.zeros(2, channels, height, width),
        torch.zeros(out, max(1, channels // groups), kernel, kernel),
    )
    try:
        real = tuple(F.conv2d(source, weight, None, stride, layer.pad, 1, groups).shape)
    except RuntimeError:
        with pytest.raises(ShapeError, match=r"window does not fit|does not divide"):
            layer.output_shape((2, channels, height, width))
    else:
        assert layer.output_shape((2, channels, height, width)) == real


def test_ceil_mode_drops_a_window_that_would_start_in_the_right_padding():
    """6 pixels padded by 1, windows of 2 every 3: at -1, 2 and 5 they start inside; of 5 pixels the third would not."""
    assert MaxPool(2, 3, padding=1).output_shape((1, 1, 6, 6)) == (1, 1, 3, 3)
    assert MaxPool(2, 3, padding=1).output_shape((1, 1, 5, 5)) == (1, 1, 2, 2)
    assert MaxPool(3, 2).output_shape((1, 64, 112, 112)) == (1, 64, 56, 56)
    assert MaxPool(3, 2, ceil=False).output_shape((1, 64, 112, 112)) == (1, 64, 55, 55)


def test_padding_is_half_the_kernel_unless_given():
    assert [Conv(1, kernel).pad for kernel in (1, 2, 3, 5, 7)] == [0, 1, 1, 2, 3]
    assert Conv(96, 11, 4, padding=0).output_shape((1, 3, 227, 227)) == (1, 96, 55, 55)
    assert Conv(64, 7, 2).output_shape((5, 3, 224, 224)) == (5, 64, 112, 112)


def test_depthwise_has_one_group_per_channel():
    assert DepthwiseConv(7, 2, multiplier=8, bias=False).as_conv((1, 3, 224, 224)) == Conv(
        24, 7, 2, groups=3, bias=False
    )


def test_shapes_of_the_wrong_rank_are_refused():
    for layer in (Conv(4, 3), MaxPool(3, 2), AdaptiveAvgPool(1)):
        with pytest.raises(ShapeError, match=r"expected \(batch, channels, height, width\), got 2x5"):
            layer.output_shape((2, 5))
    with pytest.raises(ShapeError, match=r"expected \(batch, features\), got 1x2x3x3; flatten it first"):
        Linear(3).output_shape((1, 2, 3, 3))
    assert Flatten().output_shape((2, 3, 4, 5)) == (2, 3 * 4 * 5)
    assert shape_text((1, 64, 112, 112)) == "1x64x112x112"


# --- groups ----------------------------------------------------------------------------------------------------------
def test_groups_that_do_not_divide_name_the_layer_and_a_divisor():
    with pytest.raises(AnalyzerError) as caught:
        count("googlenet", overrides={"conv2.groups": 3})
    for text in ("googlenet.conv2.conv", "groups=3", "64 inputs", "192 outputs", "divisor of 64"):
        assert text in str(caught.value)
    with pytest.raises(
        AnalyzerError, match=r"alexnet\.conv5 .*groups=5 .*384 inputs and the 256 outputs.*divisor of 128"
    ):
        count("alexnet", overrides={"conv5.groups": 5})
    assert count("googlenet", overrides={"conv2.groups": 64}).totals.macs == (
        count("googlenet").totals.macs - 56 * 56 * 192 * 3 * 3 * 64 + 56 * 56 * 192 * 3 * 3
    )


# --- inputs that are too small ---------------------------------------------------------------------------------------
# The smallest side that a network takes, and the layer that runs out of pixels one below.
GOOGLENETS = [name for name in VARIANTS if name.startswith("googlenet") and name != "googlenet-torchvision"]
SMALLEST = [
    *((name, False, 31, "pool4", "a 3x3 window does not fit 1x1") for name in GOOGLENETS),
    *((name, True, 47, "aux1.pool", "a 5x5 window does not fit 2x2") for name in GOOGLENETS),
    ("googlenet-torchvision", False, 15, "maxpool3", "a 3x3 window does not fit 1x1"),
    ("alexnet", False, 39, "pool5", "a 3x3 window does not fit 1x1"),
    ("alexnet-torchvision", False, 63, "features.12", "a 3x3 window does not fit 2x2"),
    ("nin", False, 39, "pool3", "a 3x3 window does not fit 1x1"),
]


@pytest.mark.parametrize(("name", "train", "side", "layer", "reason"), SMALLEST)
def test_an_input_too_small_names_the_layer_whose_window_does_not_fit(name, train, side, layer, reason):
    assert count(name, input=(3, side, side), train=train).totals.macs > 0
    below = side - 1
    with pytest.raises(AnalyzerError) as caught:
        count(name, input=(3, below, below), train=train)
    assert str(caught.value) == f"{name}.{layer} with input 3x{below}x{below}: {reason}"


@pytest.mark.parametrize(
    ("name", "side"), [("googlenet", 31), ("googlenet-torchvision", 15), ("alexnet-torchvision", 63), ("nin", 39)]
)
def test_torch_accepts_and_refuses_the_same_sizes(name, side):
    """Networks with global or adaptive pools before their linear layers, so that one build takes every size."""
    model = build(name, input=(3, 64, 64))
    with torch.no_grad():
        assert model(torch.zeros(1, 3, side, side)).shape == (1, 1000)
        with pytest.raises(RuntimeError):
            model(torch.zeros(1, 3, side - 1, side - 1))


def test_vgg16_takes_a_single_pixel():
    """2x2 pools in ceil mode never run out."""
    assert count("vgg16", input=(3, 1, 1), counter="dispatch").rows == count("vgg16", input=(3, 1, 1)).rows


def test_batch_norm_of_one_value_is_refused_as_in_torch():
    """In training batch norm needs more than one value per channel: at 32x32 and batch 1, inception5a has 1x1 left."""
    assert count("googlenet-torchvision", input=(3, 32, 32), batch=2, train=True, counter="dispatch").totals.macs > 0
    with pytest.raises(AnalyzerError, match=r"inception5a\.branch1\.bn"):
        count("googlenet-torchvision", input=(3, 32, 32), train=True, counter="dispatch")


@pytest.mark.parametrize("shape", [(0, 224, 224), (3, 0, 224), (3, 224, -1)])
def test_sizes_below_one_are_refused(shape):
    with pytest.raises(AnalyzerError, match=f"input {shape_text(shape)} with batch 1: every size"):
        walk(find("googlenet"), shape)


@pytest.mark.parametrize("batch", [0, -3])
def test_batches_below_one_are_refused(batch):
    with pytest.raises(AnalyzerError, match=f"with batch {batch}: every size"):
        walk(find("googlenet"), batch=batch)


@pytest.mark.parametrize("shape", [(), (3,), (3, 224), (3, 8, 8, 8)])
def test_inputs_of_another_rank_are_refused(shape):
    with pytest.raises(AnalyzerError, match=r"googlenet\.conv1\.conv .*expected \(batch, channels, height, width\)"):
        walk(find("googlenet"), shape)


# --- order, paths, roles, auxiliary heads ----------------------------------------------------------------------------
def test_rows_come_in_the_papers_order():
    seen = dict.fromkeys(step.path.partition(".")[0] for step in walk(find("googlenet"), mode="training"))
    assert list(seen) == list(TABLE)


def test_branches_of_different_sizes_are_named():
    rows = {"fork": Branches({"same": Conv(4, 3), "halved": Conv(4, 3, 2)})}
    with pytest.raises(AnalyzerError, match=r"small\.fork: cannot concatenate 1x4x8x8, 1x4x4x4; all but the channels"):
        walk(small(rows))


def test_the_trunk_ignores_auxiliary_heads():
    first, second = (Auxiliary({"flatten": Flatten(), "fc": Linear(width)}) for width in (2, 3))
    rows = {"first": Conv(4, 3), "aux1": first, "second": Conv(5, 3), "aux2": second, "third": Conv(6, 3)}
    inference, training = (walk(small(rows), mode=mode) for mode in ("inference", "training"))
    assert [step.path for step in inference] == ["first", "second", "third"]
    assert [step.path for step in training] == [
        "first", "aux1.flatten", "aux1.fc", "second", "aux2.flatten", "aux2.fc", "third",
    ]  # fmt: skip
    reads = {step.path: step.inputs for step in training}
    assert reads["aux1.flatten"] == reads["second"] == ((1, 4, 8, 8),)
    assert reads["aux2.flatten"] == reads["third"] == ((1, 5, 8, 8),)


def test_an_empty_role_leaves_its_segment_out():
    inner = Sequential({"0": Conv(4, 1), "1": ReLU()}, {"0": "reduce", "1": ""})
    steps = walk(Network("n", "t", "s", {"features": inner}, (3, 8, 8), {"features": ""}))
    assert [(step.path, step.role) for step in steps] == [("features.0", "reduce"), ("features.1", "")]
