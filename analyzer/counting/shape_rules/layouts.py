"""Fresh meta tensors in the layouts that torch's CPU kernels give, and the checks that all shape rules share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest

import torch
from torch import Tensor

META = torch.device("meta")  # A device given as text would be parsed at every call.
# torch's own getter: during a pass the attribute of a tensor may be replaced by a slower one.
is_meta = torch._C.TensorBase.is_meta.__get__  # type: ignore[attr-defined]


def fresh(source: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous meta tensor of that shape, with the source's type unless another is given."""
    if not shape:
        return torch.empty((), dtype=dtype or source.dtype, device=META)
    # torch parses a `torch.Size` in 2 µs, and its numbers one by one in a third of that.
    return torch.empty(*shape, dtype=dtype or source.dtype, device=META)


def laid_out_like(source: Tensor) -> Tensor:
    """A meta tensor with the source's order of axes and no gaps, as pointwise kernels make it."""
    if source.is_contiguous():
        return fresh(source, source.shape)
    strides, span = [0] * source.dim(), 1
    for axis in _innermost_first(source.shape, source.stride()):
        strides[axis], span = span, span * max(source.shape[axis], 1)
    return torch.empty_strided(source.shape, strides, dtype=source.dtype, device=META)


def _innermost_first(shape: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Axes by stride as torch sorts them (`infer_dense_strides`): an expanded axis, of stride 0, stays where it is."""
    order = list(reversed(range(len(shape))))
    for place in range(1, len(order)):
        for other in reversed(range(place)):
            inner, outer = order[other], order[place]
            if 0 in (strides[inner], strides[outer]):
                continue
            if (strides[inner], shape[inner]) > (strides[outer], shape[outer]):
                order[other], order[place] = outer, inner
                place = other
            elif strides[inner] < strides[outer]:
                break
    return order


def row_major(tensor: Tensor) -> bool:
    """Whether strides fall from the first axis to the last, as in a slice of a contiguous tensor along an axis."""
    strides = tensor.stride()
    return all(a > b for a, b in pairwise(strides)) and (not strides or strides[-1] > 0)


def broadcast(left: Sequence[int], right: Sequence[int]) -> list[int] | None:
    """The broadcast of two shapes, or None if they do not fit."""
    pairs = list(zip_longest(reversed(left), reversed(right), fillvalue=1))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return None
    return [max(a, b) if 0 not in (a, b) else 0 for a, b in reversed(pairs)]


def fits(tensor: Tensor | None, *shape: int) -> bool:
    """Whether an optional tensor is absent or has exactly that shape."""
    return tensor is None or tensor.shape == shape


def is_number(value: object) -> bool:
    """Whether a scalar leaves a floating tensor's type as it is and is accepted by every pointwise operator."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def writes_once(tensor: Tensor) -> bool:
    """Whether no two elements share memory, as torch requires for output tensors."""
    return tensor.is_contiguous() or all(
        step or size <= 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True)
    )
