"""The elements of a network spec: leaf layers and the nodes that combine them.

A `Network` is a table with one named row per module, in the paper's order. A row is a leaf `Layer` or a node with
children. A leaf computes its output shape (`output_shape`), and nothing of counting or torch.
Shapes are `(batch, channels, height, width)` or `(batch, features)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod
from typing import ClassVar, TypeAlias, get_args

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape, shape_text


class ShapeError(ValueError):
    """A layer cannot take its input shape; `walk` adds the network and the path."""


class _Leaf(Frozen):
    """A layer. By default its output has the shape of its input, and an override can change none of its numbers."""

    keys: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, shape: Shape) -> Shape:
        return shape


def _window_count(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    """The number of windows along one axis.

    In ceil mode, as in Caffe, a partial last window counts if it starts inside the image or its left padding.
    """
    span = size + 2 * padding - kernel
    windows = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (windows - 1) * stride >= size + padding:
        windows -= 1
    return windows


def _require_4d(shape: Shape) -> Shape:
    if len(shape) != 4:
        raise ShapeError(f"expected (batch, channels, height, width), got {shape_text(shape)}")
    return shape


def _windowed(shape: Shape, kernel: int, stride: int, padding: int, *, ceil: bool = False) -> Shape:
    """Height and width after a sliding window over a 4-d shape."""
    _require_4d(shape)
    height, width = (_window_count(size, kernel, stride, padding, ceil=ceil) for size in shape[2:])
    if height < 1 or width < 1:
        raise ShapeError(f"a {kernel}x{kernel} window does not fit {shape[2]}x{shape[3]}")
    return height, width


class Conv(_Leaf):
    """A 2-d convolution to `out` channels. `padding=None` is half the kernel, which keeps the size at stride 1."""

    out: int
    kernel: int
    stride: int = 1
    padding: int | None = None
    groups: int = 1
    bias: bool = True

    op: ClassVar[str] = "conv2d"
    keys: ClassVar[tuple[str, ...]] = ("out", "kernel", "stride", "groups")

    @property
    def pad(self) -> int:
        return self.kernel // 2 if self.padding is None else self.padding

    def output_shape(self, shape: Shape) -> Shape:
        height, width = _windowed(shape, self.kernel, self.stride, self.pad)
        if shape[1] % self.groups or self.out % self.groups:
            raise ShapeError(
                f"groups={self.groups} does not divide both the {shape[1]} inputs and the {self.out} outputs; "
                f"use a divisor of {gcd(shape[1], self.out)}"
            )
        return (shape[0], self.out, height, width)


class DepthwiseConv(Frozen):
    """One group per input channel with `multiplier` outputs each. `as_conv` gives the `Conv` for an input shape."""

    kernel: int
    stride: int = 1
    multiplier: int = 1
    bias: bool = True

    keys: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    def as_conv(self, shape: Shape) -> Conv:
        channels = shape[1]
        return Conv(channels * self.multiplier, self.kernel, self.stride, groups=channels, bias=self.bias)


class Linear(_Leaf):
    """A fully connected layer to `out` features; its input width is that of the input shape."""

    out: int
    bias: bool = True

    op: ClassVar[str] = "linear"
    keys: ClassVar[tuple[str, ...]] = ("out",)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise ShapeError(f"expected (batch, features), got {shape_text(shape)}; flatten it first")
        return (shape[0], self.out)


class Pool(_Leaf):
    """A window of `kernel` x `kernel` every `stride`. Ceil mode without padding is the default, as in Caffe."""

    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = True

    keys: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    def output_shape(self, shape: Shape) -> Shape:
        if 2 * self.padding > self.kernel:
            raise ShapeError(f"padding {self.padding} is more than half the kernel {self.kernel}")
        return (*shape[:2], *_windowed(shape, self.kernel, self.stride, self.padding, ceil=self.ceil))


class MaxPool(Pool):
    op: ClassVar[str] = "max_pool2d"


class AvgPool(Pool):
    op: ClassVar[str] = "avg_pool2d"


class AdaptiveAvgPool(_Leaf):
    """Averages any image to `size` x `size`; 1 is global average pooling."""

    size: int = 1

    op: ClassVar[str] = "adaptive_avg_pool2d"

    def output_shape(self, shape: Shape) -> Shape:
        return (*_require_4d(shape)[:2], self.size, self.size)


class ReLU(_Leaf):
    op: ClassVar[str] = "relu"


class BatchNorm(_Leaf):
    eps: float = 1e-5

    op: ClassVar[str] = "batch_norm"

    def output_shape(self, shape: Shape) -> Shape:
        return _require_4d(shape)


class LRN(_Leaf):
    """Local response normalization over `size` neighboring channels; Caffe's defaults."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75

    op: ClassVar[str] = "local_response_norm"

    def output_shape(self, shape: Shape) -> Shape:
        return _require_4d(shape)


class Dropout(_Leaf):
    """Drops a share `p` of the elements in training; the identity at inference."""

    p: float

    op: ClassVar[str] = "dropout"


class Flatten(_Leaf):
    op: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], prod(shape[1:]))


Layer: TypeAlias = Conv | Linear | MaxPool | AvgPool | AdaptiveAvgPool | ReLU | BatchNorm | LRN | Dropout | Flatten
LAYERS: tuple[type[Layer], ...] = get_args(Layer)  # The closed form has a formula for each.


class Sequential(Frozen):
    """Children in a chain. `roles` renames a child in the canonical path; "" leaves its segment out."""

    children: Mapping[str, Node]
    roles: Mapping[str, str] = {}


class Branches(Sequential):
    """Children in parallel on the same input; their outputs are concatenated along the channels."""


class Auxiliary(Sequential):
    """An auxiliary classifier on the trunk's activation at this row. The trunk ignores its output; training only."""


class Block(Frozen):
    """A row of numbers, such as an inception module, that `expand` turns into a node."""

    keys: ClassVar[tuple[str, ...]] = ()

    def expand(self) -> Sequential:
        raise NotImplementedError


Node: TypeAlias = Layer | DepthwiseConv | Sequential | Block


class Network(Frozen):
    """A network spec: its rows by name. `input` is (channels, height, width), without the batch."""

    name: str
    title: str
    source: str
    rows: Mapping[str, Node]
    input: Shape = (3, 224, 224)
    roles: Mapping[str, str] = {}

    @property
    def trunk(self) -> Sequential:
        return Sequential(self.rows, self.roles)
