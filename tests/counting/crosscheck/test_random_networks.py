"""Random small network specs: the closed form and the counters that run them agree exactly, row by row.

Drawn: chains, concatenations within concatenations, groups, depthwise, strides beyond the kernel, padding, ceil mode,
batch norm, LRN, dropout, adaptive pools, linear heads, auxiliary exits; batches and sizes that are not multiples.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from analyzer.core.shapes import Shape
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.counting.crosscheck.verify import cross_check
from analyzer.counting.execution.built_in_network import BuiltNetwork
from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    Auxiliary,
    AvgPool,
    BatchNorm,
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
    ShapeError,
)
from analyzer.networks.walk import walk

ODD = st.sampled_from([1, 3, 5])


def divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]


@st.composite
def convolution(draw: st.DrawFn, shape: Shape) -> Node:
    groups = draw(st.sampled_from(divisors(shape[1])))
    out = groups * draw(st.integers(1, 3))
    padding = draw(st.none() | st.integers(0, 3))
    return Conv(out, draw(st.integers(1, 5)), draw(st.integers(1, 6)), padding, groups, draw(st.booleans()))


@st.composite
def pool(draw: st.DrawFn) -> Node:
    kind, kernel = draw(st.sampled_from([MaxPool, AvgPool])), draw(st.integers(1, 5))
    return kind(kernel, draw(st.integers(1, 6)), draw(st.integers(0, kernel // 2)), draw(st.booleans()))


@st.composite
def layer(draw: st.DrawFn, shape: Shape) -> Node:
    """A layer that takes the shape; a window that does not fit any more gives way to a ReLU."""
    kinds = {
        "conv": convolution(shape),
        "depthwise": st.builds(DepthwiseConv, ODD, st.integers(1, 3), st.integers(1, 2), st.booleans()),
        "pool": pool(),
        "adaptive": st.builds(AdaptiveAvgPool, st.integers(1, 4)),
        "norm": st.builds(BatchNorm, st.sampled_from([1e-5, 1e-3])),
        "lrn": st.builds(LRN, st.integers(1, 6)),
        "dropout": st.builds(Dropout, st.sampled_from([0.2, 0.5, 0.9])),
        "relu": st.just(ReLU()),
    }
    drawn = draw(kinds[draw(st.sampled_from([*kinds, "conv", "conv", "pool"]))])
    try:
        through(drawn, shape)
    except ShapeError:
        return ReLU()
    return drawn


def through(node: Node, shape: Shape) -> Shape:
    """The shape that a drawn node makes of one that it takes."""
    if isinstance(node, DepthwiseConv):
        return node.as_conv(shape).output_shape(shape)
    if isinstance(node, Branches):
        outputs = [through(part, shape) for part in node.children.values()]
        return (shape[0], sum(output[1] for output in outputs), *outputs[0][2:])
    if isinstance(node, Sequential):
        for part in node.children.values():
            shape = through(part, shape)
        return shape
    return node.output_shape(shape)


@st.composite
def chain(draw: st.DrawFn, shape: Shape, *, most: int = 4) -> Sequential:
    parts: dict[str, Node] = {}
    for index in range(draw(st.integers(1, most))):
        parts[f"l{index}"] = draw(layer(shape))
        shape = through(parts[f"l{index}"], shape)
    return Sequential(parts)


@st.composite
def branches(draw: st.DrawFn, shape: Shape, *, depth: int = 1) -> Branches:
    """All branches halve the image alike, or none does: odd kernels padded by half of them."""
    stride = draw(st.integers(1, 2))
    parts: dict[str, Node] = {}
    for index in range(draw(st.integers(1, 4))):
        kernel, name = draw(ODD), f"b{index}"
        groups = draw(st.sampled_from(divisors(shape[1])))
        kind = draw(st.sampled_from(["conv", "pool", "chain", "nested"]))
        conv = Conv(groups * draw(st.integers(1, 2)), kernel, stride, groups=groups)
        if kind == "conv":
            parts[name] = conv
        elif kind == "pool":
            parts[name] = draw(st.sampled_from([MaxPool, AvgPool]))(kernel, stride, kernel // 2, ceil=False)
        elif kind == "chain" or depth == 0:
            parts[name] = Sequential({"conv": conv, "norm": BatchNorm(), "relu": ReLU(), "drop": Dropout(0.5)})
        else:
            inner = draw(branches(conv.output_shape(shape), depth=depth - 1))
            stays = through(inner, conv.output_shape(shape))[2:] == conv.output_shape(shape)[2:]
            parts[name] = Sequential({"conv": conv, "inner": inner}) if stays else conv
    return Branches(parts)


@st.composite
def head(draw: st.DrawFn, shape: Shape) -> dict[str, Node]:
    parts: dict[str, Node] = {"flatten": Flatten()}
    for index in range(draw(st.integers(0, 2))):
        parts |= {f"fc{index}": Linear(draw(st.integers(1, 9)), draw(st.booleans())), f"fc{index}_relu": ReLU()}
    return {**parts, "drop": Dropout(0.5), "linear": Linear(draw(st.integers(1, 9)))}


@st.composite
def networks(draw: st.DrawFn) -> tuple[Network, int]:
    """A network, and a batch. Auxiliary exits come in pairs, as `Outputs` has them."""
    batch = draw(st.integers(2, 3))  # Batch norm cannot take statistics of a single value.
    sample = (draw(st.integers(1, 6)), draw(st.integers(5, 21)), draw(st.integers(5, 21)))
    shape: Shape = (batch, *sample)
    rows: dict[str, Node] = {}
    exits = draw(st.booleans())
    stages = draw(st.integers(2 if exits else 1, 4))
    for stage in range(stages):
        row: Any = draw(st.one_of(chain(shape), branches(shape), layer(shape)))
        rows[f"stage{stage}"] = row
        shape = through(row, shape)
        if exits and stage < 2:
            rows[f"aux{stage + 1}"] = Auxiliary(draw(head(shape)))
    if draw(st.booleans()):
        rows["global"] = AdaptiveAvgPool(1)
    return Network("drawn", "a random network", "hypothesis", {**rows, **draw(head(shape))}, sample), batch


NO_HEALTH_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("mode", ["inference", "training"])
@given(networks())
@settings(max_examples=100, suppress_health_check=NO_HEALTH_CHECKS)
def test_closed_form_and_dispatch_agree(mode, drawn):
    network, batch = drawn
    steps = walk(network, batch=batch, mode=mode)
    rows = count_steps(steps, mode).rows
    built = BuiltNetwork(network, steps, train=mode == "training")
    for device in ("meta", "cpu"):
        count = built.count(device)
        assert (count.rows, count.unknown_ops) == (rows, {})
    for op in {row.op for row in rows}:
        event(op)


@pytest.mark.parametrize("mode", ["inference", "training"])
@given(networks())
@settings(max_examples=20, suppress_health_check=NO_HEALTH_CHECKS)
def test_three_counters_agree(mode, drawn):
    network, batch = drawn
    steps = walk(network, batch=batch, mode=mode)
    agreement, _ = cross_check(BuiltNetwork(network, steps, train=mode == "training"), count_steps(steps, mode))
    assert agreement.differences == ()


def test_the_drawn_networks_cover_every_kind_of_layer():
    seen: set[str] = set()

    @given(networks())
    @settings(max_examples=100, suppress_health_check=NO_HEALTH_CHECKS)
    def look(drawn: tuple[Network, int]) -> None:
        network, batch = drawn
        for step in walk(network, batch=batch, mode="training"):
            seen.add(step.layer.op)
            if isinstance(step.layer, Conv):
                seen.update({"groups"} if step.layer.groups > 1 else ())
                seen.update({"stride beyond the kernel"} if step.layer.stride > step.layer.kernel else ())
                seen.update({"depthwise"} if 1 < step.layer.groups == step.inputs[0][1] else ())
            if isinstance(step.layer, MaxPool | AvgPool) and step.layer.ceil:
                size, kernel, stride = step.inputs[0][2] + 2 * step.layer.padding, step.layer.kernel, step.layer.stride
                seen.update({"partial window"} if (step.output[2] - 1) * stride + kernel > size else ())
            if step.path.startswith("aux"):
                seen.add("auxiliary")
            if step.layer.op == "cat" and step.path.count(".") > 1:
                seen.add("concatenation within a concatenation")

    look()
    ops = {
        kind.op for kind in (AdaptiveAvgPool, AvgPool, BatchNorm, Conv, Dropout, Flatten, Linear, LRN, MaxPool, ReLU)
    }
    wanted = {"cat", "groups", "depthwise", "stride beyond the kernel", "partial window", "auxiliary"}
    assert ops | wanted | {"concatenation within a concatenation"} <= seen
