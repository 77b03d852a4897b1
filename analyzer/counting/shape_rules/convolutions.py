"""Shape rules of convolutions and pools; NotImplemented if not applicable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from analyzer.counting.shape_rules.channels_last import convolution_format
from analyzer.counting.shape_rules.layouts import META, fits, fresh

Sizes: TypeAlias = int | Sequence[int]


def _per_axis(value: Sizes, axes: int, least: int) -> Sequence[int]:
    """One number for all axes, or one per axis. RuntimeError below `least`, which torch's meta kernels accept."""
    sizes = (value,) * axes if isinstance(value, int) else tuple(value) * axes if len(value) == 1 else tuple(value)
    if min(sizes) < least:
        raise RuntimeError(f"window size, stride or dilation {sizes} must be at least {least}")
    return sizes


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
    sizes = [value if isinstance(value, int | str) else tuple(value) for value in (stride, padding, dilation)]
    shape = _output_shape(source.shape, weight.shape, None if bias is None else bias.shape, *sizes, groups)
    if shape is None:
        return NotImplemented
    memory_format = convolution_format(source, weight)
    if memory_format is not None:
        return torch.empty(shape, dtype=source.dtype, device=META, memory_format=memory_format)
    return fresh(source, shape) if source.is_contiguous() and weight.is_contiguous() else NotImplemented


@lru_cache(maxsize=4096)
def _output_shape(
    source: torch.Size,
    weight: torch.Size,
    bias: torch.Size | None,
    stride: Sizes,
    padding: Sizes | str,
    dilation: Sizes,
    groups: int,
) -> tuple[int, ...] | None:
    """The shape of a convolution's result; None where the rule does not apply."""
    axes, filters = len(weight) - 2, weight[0]
    steps, dilations = _per_axis(stride, axes, 1), _per_axis(dilation, axes, 1)
    pads = (0,) * axes if isinstance(padding, str) else _per_axis(padding, axes, 0)
    if axes < 1 or len(source) != axes + 2 or groups < 1 or 0 in source or 0 in weight:
        return None
    if source[1] != weight[1] * groups or filters % groups or bias not in (None, (filters,)):
        return None
    if padding == "same":
        # torch raises for a stride here, since no padding makes a strided output as large as its input.
        same = set(steps) == {1} and len(steps) == len(dilations) == axes
        return (source[0], filters, *source[2:]) if same else None
    if isinstance(padding, str) and padding != "valid":
        return None
    spans = zip(source[2:], weight[2:], steps, pads, dilations, strict=True)
    output = [(size + 2 * pad - reach * (width - 1) - 1) // step + 1 for size, width, step, pad, reach in spans]
    return (source[0], filters, *output) if min(output) > 0 else None


def conv_transpose(
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    output_padding: Sizes = 0,
    groups: int = 1,
    dilation: Sizes = 1,
) -> Any:
    """Answers for channels-last operands. RuntimeError for groups and an output padding that torch's meta kernels
    accept."""
    axes = weight.dim() - 2
    steps, dilations, extra = (
        _per_axis(value, axes, least) for value, least in ((stride, 1), (dilation, 1), (output_padding, 0))
    )
    if groups < 1 or weight.shape[0] % groups:
        raise RuntimeError(f"groups={groups} does not divide {weight.shape[0]} input channels")
    if any(more >= max(step, reach) for more, step, reach in zip(extra, steps, dilations, strict=True)):
        raise RuntimeError(f"output padding {tuple(extra)} must be smaller than the stride or the dilation")
    memory_format = convolution_format(source, weight)
    if memory_format is None:
        return NotImplemented
    operator = getattr(torch, f"conv_transpose{axes}d")
    result = operator(source, weight, bias, stride, padding, output_padding, groups, dilation)
    return result.contiguous(memory_format=memory_format)


def convolution_backward(
    gradient: Tensor,
    source: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    mask: Sequence[bool],
) -> Any:
    """The gradients of source, weight and bias that the mask asks for."""
    whole, part = (gradient, source) if transposed else (source, gradient)
    result = conv(whole, weight, None, stride, padding, dilation, groups)
    if result is NotImplemented or result.shape != part.shape:
        return NotImplemented
    if transposed and not _is_transposed_shape(part, weight, whole, stride, padding, dilation, output_padding):
        return NotImplemented
    shapes = (source.shape, weight.shape, bias_sizes or weight.shape[:1])
    return tuple(fresh(gradient, shape) if asked else None for shape, asked in zip(shapes, mask, strict=True))


def _is_transposed_shape(
    source: Tensor,
    weight: Tensor,
    result: Tensor,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    output_padding: Sequence[int],
) -> bool:
    """Whether a transposed convolution has a result of this size; with a stride, several sizes convolve to `source`."""
    axes = weight.dim() - 2
    steps, pads, dilations, extra = (_per_axis(value, axes, 0) for value in (stride, padding, dilation, output_padding))
    spans = zip(source.shape[2:], weight.shape[2:], steps, pads, dilations, extra, strict=True)
    expected = [
        (size - 1) * step - 2 * pad + reach * (width - 1) + more + 1 for size, width, step, pad, reach, more in spans
    ]
    return list(result.shape[2:]) == expected


def pool(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, ceil: bool = False, axes: int = 2
) -> Any:
    """The size of a pool's output. In ceil mode the last window must start inside the image or its left padding."""
    if source.dim() not in (axes + 1, axes + 2) or 0 in source.shape:
        return NotImplemented
    kernels, strides, pads = (
        _per_axis(value, axes, least) for value, least in ((kernel, 1), (stride or kernel, 1), (padding, 0))
    )
    output: list[int] = []
    for size, width, step, pad in zip(source.shape[-axes:], kernels, strides, pads, strict=True):
        reach = size + 2 * pad - width + (step - 1 if ceil else 0)
        count = reach // step + 1
        output.append(count - 1 if ceil and (count - 1) * step >= size + pad else count)
        if 2 * pad > width:
            return NotImplemented
    return fresh(source, (*source.shape[:-axes], *output)) if min(output) > 0 else NotImplemented


def max_pool(
    source: Tensor, kernel: Sizes, stride: Sizes = (), padding: Sizes = 0, dilation: Sizes = 1, ceil: bool = False
) -> Any:
    dilated = set(_per_axis(dilation, 2, 1)) != {1} or len(_per_axis(dilation, 2, 1)) != 2
    return NotImplemented if dilated else pool(source, kernel, stride, padding, ceil)


def max_pool_with_indices(source: Tensor, *settings: Any) -> Any:
    output = max_pool(source, *settings)
    return output if output is NotImplemented else (output, fresh(source, output.shape, torch.int64))


def avg_pool(axes: int) -> Any:
    def rule(
        source: Tensor,
        kernel: Sizes,
        stride: Sizes = (),
        padding: Sizes = 0,
        ceil: bool = False,
        count_include_pad: bool = True,
        divisor: int | None = None,
    ) -> Any:
        if divisor is not None:
            if divisor == 0:  # torch 2.7 accepts it on meta.
                raise RuntimeError("a pool's divisor must not be zero")
            return NotImplemented
        if axes == 3:  # torch's CPU kernel of volumes has no half precision and needs a window inside the image.
            fits_in = all(size >= width for size, width in zip(source.shape[-3:], _per_axis(kernel, 3, 1), strict=True))
            if source.dtype not in (torch.float32, torch.float64) or not fits_in:
                return NotImplemented
        return pool(source, kernel, stride, padding, ceil, axes)

    return rule


def backward_of(pool_rule: Any) -> Callable[..., Any]:
    """The gradient of a pool's source, of the gradient of its output; the last setting of a maximum is its indices."""

    def rule(gradient: Tensor, source: Tensor, *settings: Any) -> Any:
        indices = settings[-1] if isinstance(settings[-1], Tensor) else None
        result = pool_rule(source, *(settings if indices is None else settings[:-1]))
        fits_in = result is not NotImplemented and result.shape == gradient.shape and fits(indices, *gradient.shape)
        return fresh(source, source.shape) if fits_in and gradient.dtype is source.dtype else NotImplemented

    return rule


max_pool_backward = backward_of(max_pool)


def adaptive_avg_pool_backward(gradient: Tensor, source: Tensor) -> Any:
    result = adaptive_avg_pool(source, gradient.shape[-2:])
    fits_in = result is not NotImplemented and result.shape == gradient.shape and gradient.dtype is source.dtype
    return fresh(source, source.shape) if fits_in else NotImplemented


def upsample(
    source: Tensor, size: Sequence[int] | None, *settings: Any, scale_factors: Sequence[float] | None = None
) -> Any:
    """Declines. RuntimeError for factors that leave no pixel, which torch's meta kernels accept."""
    factors = scale_factors or next((value for value in settings if isinstance(value, list | tuple)), ())
    if size is None and any(int(length * factor) < 1 for length, factor in zip(source.shape[2:], factors, strict=True)):
        raise RuntimeError(f"scale factors {tuple(factors)} leave no pixel of {tuple(source.shape[2:])}")
    return NotImplemented


def adaptive_avg_pool(source: Tensor, size: Sizes) -> Any:
    if source.dim() not in (3, 4) or 0 in source.shape or not source.is_floating_point():
        return NotImplemented
    height, width = _per_axis(size, 2, 0)
    return fresh(source, (*source.shape[:-2], height, width))
