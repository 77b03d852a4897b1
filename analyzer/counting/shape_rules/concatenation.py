"""Shape rules of concatenation, stacking and padding; NotImplemented if not applicable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from analyzer.counting.shape_rules.layouts import fresh


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    shape = list(tensors[0].shape)
    if not -len(shape) <= dim < len(shape):
        return NotImplemented
    dim %= len(shape)
    for tensor in tensors[1:]:
        other = list(tensor.shape)
        if len(other) != len(shape) or other[:dim] + other[dim + 1 :] != shape[:dim] + shape[dim + 1 :]:
            return NotImplemented
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return fresh(tensors[0], shape)


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    shape, axes = tensors[0].shape, tensors[0].dim() + 1
    if not -axes <= dim < axes or any(tensor.shape != shape for tensor in tensors):
        return NotImplemented
    dim %= axes
    return fresh(tensors[0], (*shape[:dim], len(tensors), *shape[dim:]))


def constant_pad(source: Tensor, pad: Sequence[int], value: float = 0.0) -> Any:
    """`pad` runs from the last axis to the first, a pair per axis."""
    shape = list(source.shape)
    if len(pad) > 2 * len(shape) or not any(pad):  # Without padding the result is a copy in the same layout.
        return NotImplemented
    for axis, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), start=1):
        shape[-axis] += before + after
    return fresh(source, shape) if min(shape) > 0 else NotImplemented
