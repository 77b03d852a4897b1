"""Closed form: the costs of every operator from the network spec and the inferred shapes, without torch.

Conventions (docs/conventions.md): a MAC is a multiply-add, bias not counted, padding counts as data; FLOPs are twice
the MACs plus all other operations; bytes are the least memory traffic of an operator alone at 4 bytes per element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape
from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Conv,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    ReLU,
)
from analyzer.networks.walk import Concat, Mode, Step
from analyzer.records.rows import Count, Row

FLOAT32_BYTES = 4


class Cost(Frozen):
    """The result of a layer's formula; `read` and `written` are elements, not bytes."""

    weights: int = 0
    biases: int = 0
    macs: int = 0
    flops: int = 0
    activations: int = 0
    read: int = 0
    written: int = 0


def count_steps(steps: Sequence[Step], mode: Mode = "inference") -> Count:
    """The closed-form count of a walked network: one row per step. Raises AnalyzerError for a layer without formula."""
    return Count("closed_form", tuple(_row(step, mode) for step in steps))


def conv_macs(output: Shape, in_channels: int, kernel: int, groups: int) -> int:
    """Each output element is a dot product over kernel² · in_channels / groups inputs."""
    return prod(output) * kernel**2 * in_channels // groups


def linear_macs(output: Shape, in_features: int) -> int:
    """Each output element is a dot product over all input features."""
    return prod(output) * in_features


def _conv(layer: Conv, source: Shape, output: Shape, mode: Mode) -> Cost:
    macs = conv_macs(output, source[1], layer.kernel, layer.groups)
    weights = layer.out * (source[1] // layer.groups) * layer.kernel**2
    return _weighted(source, output, macs, weights, layer.out if layer.bias else 0)


def _linear(layer: Linear, source: Shape, output: Shape, mode: Mode) -> Cost:
    macs = linear_macs(output, source[1])
    return _weighted(source, output, macs, layer.out * source[1], layer.out if layer.bias else 0)


def _weighted(source: Shape, output: Shape, macs: int, weights: int, biases: int) -> Cost:
    """A layer of multiply-adds: the bias is one addition per output element, and every parameter is read once."""
    elements = prod(output)
    flops = 2 * macs + (elements if biases else 0)
    return Cost(weights, biases, macs, flops, elements, prod(source) + weights + biases, elements)


def _batch_norm(layer: BatchNorm, source: Shape, output: Shape, mode: Mode) -> Cost:
    """Scale and shift: 2 per element; in training 6 with the statistics. Running statistics are 2 per channel."""
    elements, channels = prod(source), source[1]
    if mode == "training":
        read, written = elements + 4 * channels, elements + 2 * channels
        return Cost(channels, channels, flops=6 * elements, read=read, written=written)
    return Cost(channels, channels, flops=2 * elements, read=elements + 4 * channels, written=elements)


def _relu(layer: ReLU, source: Shape, output: Shape, mode: Mode) -> Cost:
    return Cost(flops=prod(output), read=prod(source), written=prod(output))


def _window(layer: MaxPool | AvgPool, source: Shape, output: Shape, mode: Mode) -> Cost:
    """The window's size per output element, also for a last window that ceil mode leaves partly outside."""
    return Cost(flops=prod(output) * layer.kernel**2, read=prod(source), written=prod(output))


def _adaptive(layer: AdaptiveAvgPool, source: Shape, output: Shape, mode: Mode) -> Cost:
    return Cost(flops=prod(source), read=prod(source), written=prod(output))


def _lrn(layer: LRN, source: Shape, output: Shape, mode: Mode) -> Cost:
    """n squares and n - 1 additions, then scale, add, power and divide: 2n + 3 per element."""
    return Cost(flops=prod(output) * (2 * layer.size + 3), read=prod(source), written=prod(output))


def _dropout(layer: Dropout, source: Shape, output: Shape, mode: Mode) -> Cost:
    """Mask and scale in training; the identity at inference."""
    if mode == "inference" or not layer.p:
        return Cost()
    return Cost(flops=2 * prod(output), read=prod(source), written=prod(output))


def _flatten(layer: Flatten, source: Shape, output: Shape, mode: Mode) -> Cost:
    return Cost()  # A view: no memory traffic.


FORMULAS: dict[type[Layer], Callable[[Any, Shape, Shape, Mode], Cost]] = {
    Conv: _conv,
    Linear: _linear,
    BatchNorm: _batch_norm,
    ReLU: _relu,
    MaxPool: _window,
    AvgPool: _window,
    AdaptiveAvgPool: _adaptive,
    LRN: _lrn,
    Dropout: _dropout,
    Flatten: _flatten,
}


@lru_cache(maxsize=4096)
def _row(step: Step, mode: Mode) -> Row:
    """The row of a step. Variants of a network share most steps, so a sweep computes each row once."""
    if isinstance(step.layer, Concat):
        elements = prod(step.output)
        cost = Cost(read=elements, written=elements)
    elif formula := FORMULAS.get(type(step.layer)):
        cost = formula(step.layer, step.inputs[0], step.output, mode)
    else:
        raise AnalyzerError(
            f"no formula for {type(step.layer).__name__} at {one_line(step.path)}; use layers of analyzer.networks.spec"
        )
    return Row(
        path=step.path,
        role=step.role,
        op=step.layer.op,
        call=1,
        inputs=step.inputs,
        outputs=(step.output,),
        params=cost.weights + cost.biases,
        weights=cost.weights,
        biases=cost.biases,
        macs=cost.macs,
        flops=cost.flops,
        activations=cost.activations,
        bytes_read=FLOAT32_BYTES * cost.read,
        bytes_written=FLOAT32_BYTES * cost.written,
        # The gradients of weight and input each cost as much as the forward pass.
        backward_macs=cost.macs * (2 if step.input_requires_grad else 1) if mode == "training" else None,
        **_window_fields(step.layer),
        sources=step.sources,
    )


def _window_fields(layer: Layer | Concat) -> dict[str, Any]:
    if isinstance(layer, Conv):
        return {**_square(layer.kernel, layer.stride, layer.pad), "groups": layer.groups}
    return _square(layer.kernel, layer.stride, layer.padding) if isinstance(layer, MaxPool | AvgPool) else {}


def _square(kernel: int, stride: int, padding: int) -> dict[str, tuple[int, int]]:
    return {"kernel": (kernel, kernel), "stride": (stride, stride), "padding": (padding, padding)}
