"""The words a network's table is written in: leaf layers, and the nodes that join them.

A `Network` is a table: one row a named part, in the paper's order. A row is a leaf `Layer` or a node of parts.
A leaf knows the shape it makes (`output_shape`); it knows nothing of counting and nothing of torch.
Shapes are `(batch, channels, height, width)` or `(batch, features)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd, prod
from typing import ClassVar, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape, shape_text


class Misfit(ValueError):
    """A layer cannot take the shape that reaches it; `walk` adds the network and the path."""


def _windows(size: int, kernel: int, stride: int, padding: int, *, ceil: bool) -> int:
    """How many windows fit along one axis.

    In ceil mode, as in Caffe, a last partial window counts if it starts inside the image or its left padding.
    """
    span = size + 2 * padding - kernel
    windows = (-(-span // stride) if ceil else span // stride) + 1
    if ceil and (windows - 1) * stride >= size + padding:
        windows -= 1
    return windows


def _image(shape: Shape) -> Shape:
    if len(shape) != 4:
        raise Misfit(f"wants (batch, channels, height, width), got {shape_text(shape)}")
    return shape


def _slide(shape: Shape, kernel: int, stride: int, padding: int, *, ceil: bool = False) -> Shape:
    """The height and width a sliding window leaves of a 4-d shape."""
    if len(shape) != 4:
        raise Misfit(f"wants (batch, channels, height, width), got {shape_text(shape)}")
    height, width = (_windows(size, kernel, stride, padding, ceil=ceil) for size in shape[2:])
    if height < 1 or width < 1:
        raise Misfit(f"ran out of pixels: a {kernel}x{kernel} window on {shape[2]}x{shape[3]}")
    return height, width


class Conv(Frozen):
    """A 2-d convolution to `out` channels. `padding=None` is half the kernel: at stride 1 the size stays."""

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
        height, width = _slide(shape, self.kernel, self.stride, self.pad)
        if shape[1] % self.groups or self.out % self.groups:
            raise Misfit(
                f"groups={self.groups} does not divide both the {shape[1]} inputs and the {self.out} outputs; "
                f"use a divisor of {gcd(shape[1], self.out)}"
            )
        return (shape[0], self.out, height, width)


class DepthwiseConv(Frozen):
    """One group a channel, each making `multiplier` channels: a `Conv` as soon as its input is known."""

    kernel: int
    stride: int = 1
    multiplier: int = 1
    bias: bool = True

    keys: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    def over(self, shape: Shape) -> Conv:
        channels = shape[1]
        return Conv(channels * self.multiplier, self.kernel, self.stride, groups=channels, bias=self.bias)


class Linear(Frozen):
    """A fully connected layer to `out` features; its input width is whatever arrives."""

    out: int
    bias: bool = True

    op: ClassVar[str] = "linear"
    keys: ClassVar[tuple[str, ...]] = ("out",)

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 2:
            raise Misfit(f"wants (batch, features), got {shape_text(shape)}; flatten it first")
        return (shape[0], self.out)


class Pool(Frozen):
    """A window of `kernel` x `kernel` every `stride`; ceil mode and no padding, as Caffe pools."""

    kernel: int
    stride: int
    padding: int = 0
    ceil: bool = True

    keys: ClassVar[tuple[str, ...]] = ("kernel", "stride")

    def output_shape(self, shape: Shape) -> Shape:
        if 2 * self.padding > self.kernel:
            raise Misfit(f"padding {self.padding} is more than half the kernel {self.kernel}")
        return (*shape[:2], *_slide(shape, self.kernel, self.stride, self.padding, ceil=self.ceil))


class MaxPool(Pool):
    op: ClassVar[str] = "max_pool2d"


class AvgPool(Pool):
    op: ClassVar[str] = "avg_pool2d"


class AdaptiveAvgPool(Frozen):
    """Averages to `size` x `size` whatever arrives; 1 is global average pooling."""

    size: int = 1

    op: ClassVar[str] = "adaptive_avg_pool2d"
    keys: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, shape: Shape) -> Shape:
        if len(shape) != 4:
            raise Misfit(f"wants (batch, channels, height, width), got {shape_text(shape)}")
        return (*shape[:2], self.size, self.size)


class _SameShape:
    """A layer that leaves the shape alone."""

    keys: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, shape: Shape) -> Shape:
        return shape


class ReLU(_SameShape, Frozen):
    op: ClassVar[str] = "relu"


class BatchNorm(_SameShape, Frozen):
    eps: float = 1e-5

    op: ClassVar[str] = "batch_norm"

    def output_shape(self, shape: Shape) -> Shape:
        return _image(shape)


class LRN(_SameShape, Frozen):
    """Local response normalisation over `size` neighbouring channels; Caffe's defaults."""

    size: int = 5
    alpha: float = 1e-4
    beta: float = 0.75

    op: ClassVar[str] = "local_response_norm"

    def output_shape(self, shape: Shape) -> Shape:
        return _image(shape)


class Dropout(_SameShape, Frozen):
    """Drops a share `p` in training; the identity at inference."""

    p: float

    op: ClassVar[str] = "dropout"


class Flatten(Frozen):
    op: ClassVar[str] = "flatten"
    keys: ClassVar[tuple[str, ...]] = ()

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], prod(shape[1:]))


Layer: TypeAlias = Conv | Linear | MaxPool | AvgPool | AdaptiveAvgPool | ReLU | BatchNorm | LRN | Dropout | Flatten


class Sequence(Frozen):
    """Parts run one after the other. `roles` renames a part in the canonical path; "" leaves its segment out."""

    parts: Mapping[str, Node]
    roles: Mapping[str, str] = {}


class Branches(Sequence):
    """Parts that all read the same input; their outputs are concatenated along the channels."""


class Auxiliary(Sequence):
    """A side exit that reads the trunk's input at this row and hands nothing on; it exists in training only."""


class Block(Frozen):
    """A row with numbers of its own that stands for a tree of parts: an inception module."""

    keys: ClassVar[tuple[str, ...]] = ()

    def tree(self) -> Sequence:
        raise NotImplementedError


Node: TypeAlias = Layer | DepthwiseConv | Sequence | Block


class Network(Frozen):
    """A network as a table. `input` is (channels, height, width): shapes leave the batch out."""

    name: str
    title: str
    source: str
    rows: Mapping[str, Node]
    input: Shape = (3, 224, 224)
    roles: Mapping[str, str] = {}

    @property
    def trunk(self) -> Sequence:
        return Sequence(self.rows, self.roles)
