"""Shape rules: what the commonest operators make of meta tensors, without torch's own Python kernels for them.

On meta the first convolution imports sympy and the first concatenation torch._dynamo, 1.2 s together, and a warm pass
spends most of its time in reference kernels. A rule answers only for plain contiguous meta tensors and otherwise
declines, so that torch answers. Tests hold every rule against torch's own kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Rule: TypeAlias = Callable[..., Any]


def _pair(value: Any) -> tuple[int, int]:
    return (value[0], value[-1]) if isinstance(value, Sequence) else (value, value)


def _like(source: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    return torch.empty(shape, dtype=dtype or source.dtype, device="meta")


def convolution(
    source: Tensor,
    weight: Tensor,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    sizes, kernel = source.shape[2:], weight.shape[2:]
    if transposed or not len(sizes) == len(kernel) == len(stride) or source.shape[1] != weight.shape[1] * groups:
        return NotImplemented
    made = [
        (size + 2 * pad - reach * (width - 1) - 1) // step + 1
        for size, width, step, pad, reach in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ]
    return _like(source, (source.shape[0], weight.shape[0], *made)) if min(made) > 0 else NotImplemented


def pool(source: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False) -> Any:
    """The shape of a 2-d window pass; in ceil mode the last window must start inside the image or its left padding."""
    made = []
    for size, width, step, pad in zip(
        source.shape[-2:], _pair(kernel), _pair(stride or kernel), _pair(padding), strict=True
    ):
        reach = size + 2 * pad - width + (step - 1 if ceil else 0)
        count = reach // step + 1
        made.append(count - 1 if ceil and (count - 1) * step >= size + pad else count)
    return _like(source, (*source.shape[:-2], *made)) if min(made) > 0 else NotImplemented


def max_pool(
    source: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
) -> Any:
    if _pair(dilation) != (1, 1):
        return NotImplemented
    output = pool(source, kernel, stride, padding, ceil)
    return output if output is NotImplemented else (output, _like(source, output.shape, torch.int64))


def avg_pool(source: Tensor, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False, *rest: Any) -> Any:
    return pool(source, kernel, stride, padding, ceil)


def cat(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    first = tensors[0]
    shape = list(first.shape)
    dim %= len(shape)
    for tensor in tensors[1:]:
        other = list(tensor.shape)
        if len(other) != len(shape) or other[:dim] + other[dim + 1 :] != shape[:dim] + shape[dim + 1 :]:
            return NotImplemented
    shape[dim] = sum(tensor.shape[dim] for tensor in tensors)
    return _like(first, shape)


def addmm(bias: Tensor, left: Tensor, right: Tensor) -> Any:
    return _like(left, (left.shape[0], right.shape[1])) if left.shape[1] == right.shape[0] else NotImplemented


def in_place(source: Tensor, *rest: Any) -> Any:
    return source


def unary(source: Tensor) -> Any:
    return _like(source, source.shape)


def binary(left: Tensor, right: Any) -> Any:
    """Equal shapes and types, or a plain number beside a floating tensor."""
    if isinstance(right, Tensor):
        return _like(left, left.shape) if (right.shape, right.dtype) == (left.shape, left.dtype) else NotImplemented
    return _like(left, left.shape) if left.is_floating_point() and isinstance(right, float) else NotImplemented


def constant_pad(source: Tensor, pad: Sequence[int], value: float = 0.0) -> Any:
    """`pad` runs from the last axis forwards, a pair an axis."""
    shape = list(source.shape)
    for axis, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True), start=1):
        shape[-axis] += before + after
    return _like(source, shape) if min(shape) > 0 else NotImplemented


def avg_pool3d(source: Tensor, kernel: Sequence[int], stride: Sequence[int] = (), *rest: Any) -> Any:
    """Unpadded and not in ceil mode: what local response normalisation calls."""
    if (
        source.dim() < 4
        or len(kernel) != 3
        or any(map(any_of, rest[:2]))
        or rest[2:] not in ((), (True,), (True, None))
    ):
        return NotImplemented
    steps = stride or kernel
    made = [(size - width) // step + 1 for size, width, step in zip(source.shape[-3:], kernel, steps, strict=True)]
    return _like(source, (*source.shape[:-3], *made)) if min(made) > 0 else NotImplemented


def any_of(value: Any) -> bool:
    return any(value) if isinstance(value, Sequence) else bool(value)


def mean(source: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False) -> Any:
    if not dims or not source.is_floating_point():
        return NotImplemented
    reduced = {dim % source.dim() for dim in dims}
    shape = [1 if dim in reduced else size for dim, size in enumerate(source.shape) if keepdim or dim not in reduced]
    return _like(source, shape)


def empty_like(source: Tensor, **settings: Any) -> Any:
    return _like(source, source.shape) if settings.get("dtype") in (None, source.dtype) else NotImplemented


def native_batch_norm(
    source: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, *rest: Any
) -> Any:
    """The output, and the batch's mean and inverse deviation, empty unless they were taken."""
    saved = (source.shape[1],) if training else (0,)
    return _like(source, source.shape), _like(source, saved), _like(source, saved)


RULES: dict[str, Rule] = {
    "aten::convolution": convolution,
    "aten::max_pool2d_with_indices": max_pool,
    "aten::avg_pool2d": avg_pool,
    "aten::cat": cat,
    "aten::addmm": addmm,
    "aten::avg_pool3d": avg_pool3d,
    "aten::bernoulli_": in_place,
    "aten::constant_pad_nd": constant_pad,
    "aten::div_": in_place,
    "aten::empty_like": empty_like,
    "aten::mean": mean,
    "aten::native_batch_norm": native_batch_norm,
    "aten::relu_": in_place,
    "aten::relu": unary,
    "aten::mul": binary,
    "aten::add": binary,
    "aten::div": binary,
    "aten::pow": binary,
}


def infer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator's result on meta by rule, or NotImplemented where no rule is sure of it."""
    rule = RULES.get(name)
    if rule is None or (kwargs and rule is not empty_like) or not args or not all(map(_plain, args)):
        return NotImplemented
    return rule(*args, **kwargs)


def _plain(argument: Any) -> bool:
    if isinstance(argument, list | tuple):
        return all(map(_plain, argument))
    if not isinstance(argument, Tensor):
        return True
    return (
        type(argument) in (Tensor, torch.nn.Parameter)
        and argument.device.type == "meta"
        and (argument.is_contiguous() or argument.dim() == 2)
    )
