"""Rules that only raise, for arguments that torch's CPU kernels refuse and its meta kernels accept."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from analyzer.counting.shape_rules.layouts import is_number

MAX_CATEGORIES = 1 << 24  # Of torch.multinomial, whose kernel counts in float32.


def uniform(source: Tensor, low: Any = 0.0, high: Any = 1.0, **named: Any) -> Any:
    if is_number(low) and is_number(high) and low > high:
        raise RuntimeError(f"uniform_ needs a range, but {low} is above {high}")
    return NotImplemented


def multinomial(source: Tensor, count: int, replacement: bool = False, **named: Any) -> Any:
    categories = source.shape[-1]
    if count < 1 or (not replacement and count > categories) or categories > MAX_CATEGORIES:
        raise RuntimeError(f"multinomial cannot draw {count} of {categories} categories")
    return NotImplemented


def index_add(source: Tensor, dim: int, index: Tensor, added: Tensor, **named: Any) -> Any:
    if added.dim() and source.dim():
        axis = dim % source.dim()
        wanted, given = list(source.shape), list(added.shape)
        if wanted[:axis] + wanted[axis + 1 :] != given[:axis] + given[axis + 1 :]:
            raise RuntimeError(f"index_add needs {wanted} outside of axis {axis}, but the source is {given}")
    return NotImplemented


def scatter(source: Tensor, dim: int, index: Tensor, added: Any, *settings: Any, **named: Any) -> Any:
    """torch 2.7 accepts an index of more or fewer axes than the source on meta."""
    if isinstance(added, Tensor) and index.numel() and max(index.dim(), 1) != max(added.dim(), 1):
        raise RuntimeError(f"scatter needs an index of {added.dim()} axes, as its source, not of {index.dim()}")
    return NotImplemented


def check_axis(source: Tensor, dim: int) -> None:
    """RuntimeError for an axis that the tensor does not have."""
    axes = max(source.dim(), 1)
    if not -axes <= dim < axes:
        raise RuntimeError(f"dimension out of range: {dim} for a tensor of {source.dim()} axes")


def sort(source: Tensor, dim: int = -1, *settings: Any, **named: Any) -> Any:
    check_axis(source, dim)
    return NotImplemented


def slice_scatter(source: Tensor, part: Tensor, dim: int = 0, *settings: Any, **named: Any) -> Any:
    check_axis(source, dim)
    return NotImplemented


def weight_norm(direction: Tensor, length: Tensor, dim: int = 0) -> Any:
    if dim not in (0, direction.dim() - 1):
        raise RuntimeError(f"weight norm needs the first or the last axis, not axis {dim} of {direction.dim()}")
    return NotImplemented


def bucketize(source: Any, boundaries: Tensor, **named: Any) -> Any:
    if boundaries.dim() != 1:
        raise RuntimeError(f"bucketize needs boundaries of 1 axis, not of {boundaries.dim()}")
    return NotImplemented
