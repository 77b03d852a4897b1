"""What single operators make of meta tensors: a rule an operator, NotImplemented where a rule is not sure.

Products and windows first, then norms and pointwise functions. Which operator has which rule stands in `shapes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, TypeAlias

import torch
from torch import Tensor

from analyzer.counting.shape_rules.attention import META, laid_out_like

Sizes: TypeAlias = int | Sequence[int]


def _each(value: Sizes, axes: int) -> Sequence[int]:
    """One number for all axes, or one an axis."""
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) * axes if len(value) == 1 else value


def _made(source: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or source.dtype, device=META)


def convolution(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sizes,
    padding: Sizes,
    dilation: Sizes,
    transposed: bool,
    output_padding: Sizes,
    groups: int,
) -> Any:
    return NotImplemented if transposed else conv(source, weight, bias, stride, padding, dilation, groups)


def conv(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes | str = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    axes, filters = weight.dim() - 2, weight.shape[0]
    if source.dim() != axes + 2 or source.shape[1] != weight.shape[1] * groups or filters % groups:
        return NotImplemented
    if bias is not None and bias.shape != (filters,):
        return NotImplemented
    sizes, kernel = source.shape[2:], weight.shape[2:]
    if padding == "same":
        return _made(source, (source.shape[0], weight.shape[0], *sizes))
    pads = (0,) * axes if isinstance(padding, str) else _each(padding, axes)
    spans = zip(sizes, kernel, _each(stride, axes), pads, _each(dilation, axes), strict=True)
    made = [(size + 2 * pad - reach * (width - 1) - 1) // step + 1 for size, width, step, pad, reach in spans]
    return _made(source, (source.shape[0], weight.shape[0], *made)) if min(made) > 0 else NotImplemented


def pool(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil: bool = False, axes: int = 2
) -> Any:
    """The shape of a window pass; in ceil mode the last window must start inside the image or its left padding."""
    made: list[int] = []
    if source.dim() not in (axes + 1, axes + 2):
        return NotImplemented
    spans = zip(
        source.shape[-axes:], _each(kernel, axes), _each(stride or kernel, axes), _each(padding, axes), strict=True
    )
    for size, width, step, pad in spans:
        reach = size + 2 * pad - width + (step - 1 if ceil else 0)
        count = reach // step + 1
        made.append(count - 1 if ceil and (count - 1) * step >= size + pad else count)
        if 2 * pad > width:
            return NotImplemented
    return _made(source, (*source.shape[:-axes], *made)) if min(made) > 0 else NotImplemented


def max_pool(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, dilation: Sizes = 1, ceil: bool = False
) -> Any:
    return pool(source, kernel, stride, padding, ceil) if set(_each(dilation, 2)) == {1} else NotImplemented


def max_pool_with_indices(source: Tensor, *settings: Any) -> Any:
    output = max_pool(source, *settings)
    return output if output is NotImplemented else (output, _made(source, output.shape, torch.int64))


def avg_pool(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil: bool = False, *rest: Any
) -> Any:
    return pool(source, kernel, stride, padding, ceil) if rest[1:] in ((), (None,)) else NotImplemented


def avg_pool3d(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil: bool = False, *rest: Any
) -> Any:
    return pool(source, kernel, stride, padding, ceil, axes=3) if rest[1:] in ((), (None,)) else NotImplemented


def adaptive_avg_pool(source: Tensor, size: Sizes) -> Any:
    return _made(source, (*source.shape[:-2], *_each(size, 2)))


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    shape = list(first.shape)
    if not -len(shape) <= dim < len(shape):
        return NotImplemented
    dim %= len(shape)
    for tensor in tensors[1:]:
        other = list(tensor.shape)
        same = other[:dim] + other[dim + 1 :] == shape[:dim] + shape[dim + 1 :]
        if len(other) != len(shape) or not same:
            return NotImplemented
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return _made(first, shape)


def linear(source: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if weight.dim() != 2 or source.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    return _made(source, (*source.shape[:-1], weight.shape[0]))


def matmul(left: Tensor, right: Tensor) -> Any:
    if left.dim() != right.dim() or left.dim() < 2 or left.shape[:-2] != right.shape[:-2]:
        return NotImplemented
    return _made(left, (*left.shape[:-1], right.shape[-1])) if left.shape[-1] == right.shape[-2] else NotImplemented


def addmm(bias: Tensor, left: Tensor, right: Tensor) -> Any:
    made = (left.shape[0], right.shape[1])
    return _made(left, made) if left.shape[1] == right.shape[0] and bias.shape == made[1:] else NotImplemented


def grouped_matmul(
    left: Tensor, right: Tensor, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Any:
    """A product a group; torch's own rule wants half precision, which its kernels do not."""
    if left.shape[-1] != right.shape[-2]:
        return NotImplemented
    groups = (offs.shape[0],) if offs is not None and left.dim() == right.dim() == 2 else ()
    rows = left.shape[:-1] if right.dim() == 3 else left.shape[-2:-1]
    return _made(left, (*groups, *rows, right.shape[-1]), out_dtype)


def constant_pad(source: Tensor, pad: Sequence[int], value: float = 0.0) -> Any:
    """`pad` runs from the last axis forwards, a pair an axis."""
    shape = list(source.shape)
    if len(pad) > 2 * len(shape):
        return NotImplemented
    for axis, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), start=1):
        shape[-axis] += before + after
    return _made(source, shape) if min(shape) > 0 else NotImplemented


def mean(source: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False) -> Any:
    axes = source.dim()
    if not dims or not source.is_floating_point() or not all(-axes <= dim < axes for dim in dims):
        return NotImplemented
    reduced = {dim % axes for dim in dims}
    if len(reduced) < len(dims):
        return NotImplemented
    return _made(source, [1 if d in reduced else n for d, n in enumerate(source.shape) if keepdim or d not in reduced])


def native_batch_norm(
    source: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, *rest: Any
) -> Any:
    """The output, and the batch's mean and inverse deviation, empty unless they were taken."""
    saved = (source.shape[1],) if training else (0,)
    return _made(source, source.shape), _made(source, saved), _made(source, saved)


def same_shape(source: Tensor, *settings: Any) -> Any:
    """A norm or a softmax: a fresh contiguous tensor of the input's shape."""
    return _made(source, source.shape)


def softmax(source: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    return _made(source, source.shape, dtype)


def empty_like(source: Tensor, **settings: Any) -> Any:
    plain: dict[str, tuple[Any, ...]] = {
        "dtype": (None, source.dtype),
        "device": (None, source.device),
        "memory_format": (None, torch.preserve_format),
    }
    if any(value not in plain.get(name, (None, False)) for name, value in settings.items()):
        return NotImplemented
    return laid_out_like(source)


def dropout(source: Tensor, p: float, train: bool) -> Any:
    return unary(source) if train and p else source


def embedding(weight: Tensor, indices: Tensor, *settings: Any) -> Any:
    if indices.dtype not in (torch.int64, torch.int32):
        return NotImplemented
    return _made(weight, (*indices.shape, weight.shape[-1]))


def in_place(source: Tensor, *rest: Any, **settings: Any) -> Any:
    """Where what is written is at least as large as what it is computed with."""
    if not source.is_floating_point():
        return NotImplemented
    others = [value for value in rest if isinstance(value, Tensor)]
    return (
        source if all(_joined(source.shape, other.shape) == list(source.shape) for other in others) else NotImplemented
    )


def unary(source: Tensor, *settings: Any, **named: Any) -> Any:
    """A pointwise function of one floating tensor keeps its layout."""
    if not source.is_floating_point() or any(isinstance(value, Tensor) for value in settings):
        return NotImplemented
    return laid_out_like(source)


def binary(left: Any, right: Any, **settings: Any) -> Any:
    """Two floating tensors of one type, or one and a number; broadcast only where both are contiguous."""
    if not isinstance(right, Tensor):
        return unary(left) if isinstance(left, Tensor) and isinstance(right, int | float) else NotImplemented
    if not isinstance(left, Tensor) or not left.is_floating_point():
        return NotImplemented
    if left.shape == right.shape and left.stride() == right.stride():
        return unary(left)
    shape = _joined(left.shape, right.shape)
    contiguous = left.is_contiguous() and right.is_contiguous()
    return _made(left, shape) if shape and contiguous else NotImplemented


def _joined(left: Sequence[int], right: Sequence[int]) -> list[int] | None:
    """The broadcast of two shapes, or None if they do not fit."""
    pairs = list(zip_longest(reversed(left), reversed(right), fillvalue=1))
    if any(a != b and 1 not in (a, b) for a, b in pairs):
        return None
    return [max(a, b) if 0 not in (a, b) else 0 for a, b in reversed(pairs)]
