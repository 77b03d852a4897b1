"""Closed form: every figure of a row from the table's numbers and the walk's shapes. No torch.

Conventions (docs/conventions.md): a MAC is a multiply-add, bias not counted, padding counts as data; FLOPs are twice
the MACs plus what is not a multiply-add; bytes are the least traffic of an operator alone at 4 bytes an element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

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
from analyzer.records.record import Count, Row

FLOAT32_BYTES = 4


class Figures(Frozen):
    """What a layer's formula says: elements, multiply-adds and operations, not yet bytes."""

    weights: int = 0
    biases: int = 0
    macs: int = 0
    flops: int = 0
    activations: int = 0
    read: int = 0
    written: int = 0


def count(steps: Sequence[Step], mode: Mode = "inference") -> Count:
    """The closed-form count of a walked network: one row a step."""
    return Count("closed_form", tuple(_row(step, mode) for step in steps))


def conv_macs(output: Shape, in_channels: int, kernel: int, groups: int) -> int:
    """Each output element is a dot product over kernel² · in_channels / groups inputs."""
    return prod(output) * kernel**2 * in_channels // groups


def linear_macs(output: Shape, in_features: int) -> int:
    """Each output element is a dot product over all input features."""
    return prod(output) * in_features


def _conv(layer: Conv, source: Shape, output: Shape, mode: Mode) -> Figures:
    macs = conv_macs(output, source[1], layer.kernel, layer.groups)
    weights = layer.out * (source[1] // layer.groups) * layer.kernel**2
    return _weighted(source, output, macs, weights, layer.out if layer.bias else 0)


def _linear(layer: Linear, source: Shape, output: Shape, mode: Mode) -> Figures:
    macs = linear_macs(output, source[1])
    return _weighted(source, output, macs, layer.out * source[1], layer.out if layer.bias else 0)


def _weighted(source: Shape, output: Shape, macs: int, weights: int, biases: int) -> Figures:
    """A layer of multiply-adds: the bias is one addition an output element, and every parameter is read once."""
    made = prod(output)
    flops = 2 * macs + (made if biases else 0)
    return Figures(weights, biases, macs, flops, made, prod(source) + weights + biases, made)


def _batch_norm(layer: BatchNorm, source: Shape, output: Shape, mode: Mode) -> Figures:
    """Scale and shift, 2 an element; in training also the statistics, 6 in all. Running statistics are 2 a channel."""
    elements, channels = prod(source), source[1]
    if mode == "training":
        read, written = elements + 4 * channels, elements + 2 * channels
        return Figures(channels, channels, flops=6 * elements, read=read, written=written)
    return Figures(channels, channels, flops=2 * elements, read=elements + 4 * channels, written=elements)


def _relu(layer: ReLU, source: Shape, output: Shape, mode: Mode) -> Figures:
    return Figures(flops=prod(output), read=prod(source), written=prod(output))


def _window(layer: MaxPool | AvgPool, source: Shape, output: Shape, mode: Mode) -> Figures:
    """The window's size an output element, also where ceil mode leaves the last window partly outside."""
    return Figures(flops=prod(output) * layer.kernel**2, read=prod(source), written=prod(output))


def _adaptive(layer: AdaptiveAvgPool, source: Shape, output: Shape, mode: Mode) -> Figures:
    return Figures(flops=prod(source), read=prod(source), written=prod(output))


def _lrn(layer: LRN, source: Shape, output: Shape, mode: Mode) -> Figures:
    """n squares and n - 1 additions, then scale, add, power and divide: 2n + 3 an element."""
    return Figures(flops=prod(output) * (2 * layer.size + 3), read=prod(source), written=prod(output))


def _dropout(layer: Dropout, source: Shape, output: Shape, mode: Mode) -> Figures:
    """Mask and scale in training; at inference nothing runs."""
    if mode == "inference" or not layer.p:
        return Figures()
    return Figures(flops=2 * prod(output), read=prod(source), written=prod(output))


def _flatten(layer: Flatten, source: Shape, output: Shape, mode: Mode) -> Figures:
    return Figures()  # A view: nothing moves.


FORMULAS: dict[type[Layer], Callable[[Any, Shape, Shape, Mode], Figures]] = {
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


def _row(step: Step, mode: Mode) -> Row:
    if isinstance(step.layer, Concat):
        copied = prod(step.output)
        figures = Figures(read=copied, written=copied)
    else:
        figures = FORMULAS[type(step.layer)](step.layer, step.inputs[0], step.output, mode)
    return Row(
        path=step.path,
        role=step.role,
        op=step.layer.op,
        call=1,
        inputs=step.inputs,
        outputs=(step.output,),
        params=figures.weights + figures.biases,
        weights=figures.weights,
        biases=figures.biases,
        macs=figures.macs,
        flops=figures.flops,
        activations=figures.activations,
        bytes_read=FLOAT32_BYTES * figures.read,
        bytes_written=FLOAT32_BYTES * figures.written,
        # The gradient of the weights costs one forward, that of the input another, where anything upstream learns.
        backward_macs=figures.macs * (2 if step.learned else 1) if mode == "training" else None,
    )
