"""Every layer of the Caffe reference networks against our rows: shapes, settings, parameters, multiply-adds, windows.

The reference files were made independently from the prototxt files. Layers and their order must be equal.
"""

from __future__ import annotations

import re
from math import prod
from operator import itemgetter
from typing import Any

import pytest

from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks import find
from analyzer.networks.spec import AdaptiveAvgPool, AvgPool, Conv, Dropout, MaxPool
from analyzer.networks.walk import Step, walk
from analyzer.records.rows import Row

TYPES = {
    "conv2d": "Convolution",
    "relu": "ReLU",
    "max_pool2d": "Pooling",
    "avg_pool2d": "Pooling",
    "adaptive_avg_pool2d": "Pooling",
    "local_response_norm": "LRN",
    "cat": "Concat",
    "dropout": "Dropout",
    "linear": "InnerProduct",
}
NOT_COUNTED = {"Input", "Data", "Softmax", "SoftmaxWithLoss"}  # Our networks start at the image and end at logits.
SINGLE_TOWER = {
    "name": "alexnet-torchvision", "by": "role", "without": frozenset({"adaptive_avg_pool2d", "dropout"}),
}  # fmt: skip
FLAT = {"InnerProduct", "Dropout"}  # Caffe flattens silently: only the number of elements can be compared.

# --- Caffe's names of GoogLeNet's layers → our paths ---------------------------------------------------------------
# `inception_3a/3x3_reduce` is a branch of module `inception_3a`; a ReLU (`relu_3x3_reduce`) stands beside the
# convolution it is named after; the layers outside the modules have a name for a name.
BRANCHES = {
    "1x1": "branch_1x1.conv",
    "3x3_reduce": "branch_3x3.reduce.conv",
    "3x3": "branch_3x3.conv",
    "5x5_reduce": "branch_5x5.reduce.conv",
    "5x5": "branch_5x5.conv",
    "pool": "branch_pool.pool",
    "pool_proj": "branch_pool.project.conv",
}
HEAD = {
    "ave_pool": "pool",
    "conv": "conv.conv",
    "relu_conv": "conv.relu",
    "fc": "fc",
    "relu_fc": "relu",
    "drop_fc": "dropout",
    "classifier": "linear",
}
OUTSIDE = {
    "conv1/7x7_s2": "conv1.conv",
    "conv1/relu_7x7": "conv1.relu",
    "pool1/norm1": "norm1",
    "conv2/3x3_reduce": "conv2_reduce.conv",
    "conv2/relu_3x3_reduce": "conv2_reduce.relu",
    "conv2/3x3": "conv2.conv",
    "conv2/relu_3x3": "conv2.relu",
    "conv2/norm2": "norm2",
    "pool5/drop_7x7_s1": "dropout",
    "loss3/classifier": "linear",
}


def googlenet_path(layer: dict[str, Any]) -> str:
    name = layer["name"]
    if name in OUTSIDE:
        return OUTSIDE[name]
    group, _, part = name.partition("/")
    if group.startswith("pool"):
        return group  # `pool3/3x3_s2` → `pool3`
    if group in ("loss1", "loss2"):
        return f"aux{group[-1]}.{HEAD[part]}"
    if part == "output":
        return group
    relu = part.removeprefix("relu_")
    branch = BRANCHES[relu]
    return f"{group}.{branch if relu == part else re.sub('conv$', 'relu', branch)}"


def single_tower_role(layer: dict[str, Any]) -> str:
    """`conv2/5x5_s1` → `conv2`; a ReLU by what it reads, for the file calls three of them `conv1/relu`."""
    if layer["type"] == "ReLU":
        return f"relu{layer['bottoms'][0].partition('/')[0][-1]}"
    return layer["name"].partition("/")[0]


# --- One layer's facts, from either side -----------------------------------------------------------------------------
def caffe_facts(layer: dict[str, Any]) -> dict[str, Any]:
    """The facts of one layer in the reference."""
    kind = layer["type"]
    read = layer["in_shape"] if isinstance(layer["in_shape"][0], list) else [layer["in_shape"]]
    facts = {
        "type": kind,
        "in_shape": _comparable(kind, read),
        "out_shape": _comparable(kind, [layer["out_shape"]]),
        **{key: layer[key] for key in ("weights", "biases", "macs")},
    }
    wanted = {
        "Convolution": ("kernel", "stride", "pad", "groups"),
        "Pooling": ("pool", "kernel", "stride", "pad", "pool_window_ops"),
        "Dropout": ("dropout_ratio",),
    }
    return facts | {key: layer[key] for key in wanted.get(kind, ())}


def our_facts(step: Step, row: Row) -> dict[str, Any]:
    """The same facts of one step. A global pool is, in Caffe, a pool with a kernel as large as its input."""
    kind, layer = TYPES[row.op], step.layer
    facts: dict[str, Any] = {
        "type": kind,
        "in_shape": _comparable(kind, [list(shape[1:]) for shape in row.inputs]),
        "out_shape": _comparable(kind, [list(row.outputs[0][1:])]),
        **{key: getattr(row, key) for key in ("weights", "biases", "macs")},
    }
    if isinstance(layer, Conv):
        facts |= _window(layer.kernel, layer.stride, layer.pad) | {"groups": layer.groups}
    elif isinstance(layer, MaxPool | AvgPool):
        facts |= _window(layer.kernel, layer.stride, layer.padding)
        facts |= {"pool": "MAX" if isinstance(layer, MaxPool) else "AVE", "pool_window_ops": row.flops}
    elif isinstance(layer, AdaptiveAvgPool):
        assert layer.size == 1
        facts |= _window(step.inputs[0][2], 1, 0) | {"pool": "AVE", "pool_window_ops": row.flops}
    elif isinstance(layer, Dropout):
        facts |= {"dropout_ratio": layer.p}
    return facts


def _window(kernel: int, stride: int, pad: int) -> dict[str, list[int]]:
    return {"kernel": [kernel] * 2, "stride": [stride] * 2, "pad": [pad] * 2}


def _comparable(kind: str, shapes: list[list[int]]) -> list[Any]:
    return [prod(shape) for shape in shapes] if kind in FLAT else shapes


def counted_layers(
    name: str, *, by: str = "path", train: bool = False, without: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """The facts of a network by path or role, in execution order, without operators that are not layers in Caffe."""
    mode = "training" if train else "inference"
    steps = walk(find(name), mode=mode)
    rows = count_steps(steps, mode).rows
    return {
        getattr(row, by): our_facts(step, row)
        for step, row in zip(steps, rows, strict=True)
        if row.op not in {"flatten", *without}
    }


def caffe_layers(net: dict[str, Any], named: Any) -> dict[str, Any]:
    return {named(layer): caffe_facts(layer) for layer in net["layers"] if layer["type"] not in NOT_COUNTED}


# --- the networks ----------------------------------------------------------------------------------------------------
NETWORKS = [
    # The file, our name of its layer, our network, its layers without those that we do not count, and with weights.
    ("googlenet_caffe", googlenet_path, {"name": "googlenet"}, 143 - 2, 58),
    ("googlenet_caffe_train", googlenet_path, {"name": "googlenet", "train": True}, 159 - 1 - 3, 58 + 2 * 3),
    ("alexnet_caffe", itemgetter("name"), {"name": "alexnet"}, 24 - 2, 8),
    ("alexnet_single_tower", single_tower_role, SINGLE_TOWER, 19 - 1, 8),
]


@pytest.mark.parametrize(("net", "named", "ours", "layers", "with_weights"), NETWORKS)
def test_every_layer_is_caffes(reference, net, named, ours, layers, with_weights):
    expected, counted = caffe_layers(reference(net), named), counted_layers(**ours)
    assert len(expected) == layers
    assert sum(facts["weights"] > 0 for facts in expected.values()) == with_weights
    assert counted == expected
    assert list(counted) == list(expected)


def test_a_wrong_layer_would_be_seen(reference):
    """One number of one layer changed: the comparison finds that layer and no other."""
    expected = caffe_layers(reference("googlenet_caffe"), googlenet_path)
    steps = walk(find("googlenet"))
    rows = count_steps(steps).rows
    for key in ("weights", "biases", "macs"):
        wrong = {
            row.path: our_facts(step, row.replace(**{key: getattr(row, key) + 1}) if step.path == "conv1.conv" else row)
            for step, row in zip(steps, rows, strict=True)
            if row.op != "flatten"
        }
        assert [path for path in expected if wrong[path] != expected[path]] == ["conv1.conv"]
