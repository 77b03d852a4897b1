"""Shape rules of norms, softmax, reductions and pointwise functions; NotImplemented where a rule does not apply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from analyzer.counting.shape_rules.layouts import (
    broadcast,
    fits,
    fresh,
    is_number,
    laid_out_like,
    row_major,
    writes_once,
)
from analyzer.counting.shape_rules.refused_arguments import check_axis


def _channels_fit(source: Tensor, *parameters: Tensor | None) -> bool:
    """Whether the source has channels and every parameter is absent or has a value per channel."""
    return source.dim() >= 2 and source.numel() > 0 and all(fits(tensor, source.shape[1]) for tensor in parameters)


def batch_norm(
    source: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    *settings: Any,
) -> Any:
    """Batch or instance norm; without batch statistics, `training`, both running statistics are needed."""
    if not _channels_fit(source, weight, bias, running_mean, running_var):
        return NotImplemented
    if (running_mean is None) != (running_var is None) or (running_mean is None and not training):
        return NotImplemented
    return fresh(source, source.shape)


def native_batch_norm(
    source: Tensor, weight: Any, bias: Any, running_mean: Any, running_var: Any, training: bool, *settings: Any
) -> Any:
    """The output, and the batch's mean and inverse deviation, which are empty outside training."""
    output = batch_norm(source, weight, bias, running_mean, running_var, training)
    if output is NotImplemented:
        return output
    saved = (source.shape[1],) if training else (0,)
    return output, fresh(source, saved), fresh(source, saved)


def group_norm(
    source: Tensor,
    groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn: bool = True,
) -> Any:
    if groups < 1 or not _channels_fit(source, weight, bias) or source.shape[1] % groups:
        return NotImplemented
    return fresh(source, source.shape)


def layer_norm(
    source: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn: bool = True,
) -> Any:
    shape = tuple(normalized_shape)
    if not shape or not source.numel() or source.shape[-len(shape) :] != shape:
        return NotImplemented
    return fresh(source, source.shape) if fits(weight, *shape) and fits(bias, *shape) else NotImplemented


def rms_norm(
    source: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Any:
    """Before torch 2.9 the output has the strides of the source, later it is row-major."""
    return layer_norm(source, normalized_shape, weight) if source.is_contiguous() else NotImplemented


def softmax(source: Tensor, dim: int, dtype: torch.dtype | None = None) -> Any:
    check_axis(source, dim)
    return fresh(source, source.shape, dtype) if source.is_floating_point() else NotImplemented


def native_softmax(source: Tensor, dim: int, half_to_float: bool) -> Any:
    return NotImplemented if half_to_float else softmax(source, dim)


def mean(source: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False) -> Any:
    """Mean or sum over the given dimensions of a floating-point tensor."""
    axes = source.dim()
    if not dims or not source.is_floating_point() or not all(-axes <= dim < axes for dim in dims):
        return NotImplemented
    reduced = {dim % axes for dim in dims}
    if len(reduced) < len(dims):
        return NotImplemented
    return fresh(source, [1 if d in reduced else n for d, n in enumerate(source.shape) if keepdim or d not in reduced])


def empty_like(source: Tensor, **settings: Any) -> Any:
    defaults: dict[str, tuple[Any, ...]] = {
        "dtype": (None, source.dtype),
        "device": (None, source.device),
        "memory_format": (None, torch.preserve_format),
    }
    if any(value not in defaults.get(name, (None, False)) for name, value in settings.items()):
        return NotImplemented
    return laid_out_like(source)


def dropout(source: Tensor, p: float, train: bool) -> Any:
    if not 0 <= p <= 1:
        return NotImplemented
    if train and p:
        _refuse_complex(source)
    return unary(source) if train and p else source


def _refuse_complex(source: Tensor) -> None:
    """torch draws no Bernoulli numbers of a complex type, but its meta kernel does."""
    if source.is_complex():
        raise RuntimeError("dropout is not implemented for complex numbers")


def dropout_in_place(source: Tensor, p: float, train: bool) -> Any:
    if train and p:
        _refuse_complex(source)
    return in_place(source) if 0 <= p <= 1 else NotImplemented


def bernoulli_in_place(source: Tensor, p: float = 0.5, generator: None = None) -> Any:
    _refuse_complex(source)
    return in_place(source) if is_number(p) and 0 <= p <= 1 else NotImplemented


def unary(source: Tensor, *settings: Any, **named: Any) -> Any:
    """A pointwise function of a floating tensor keeps its layout."""
    return laid_out_like(source) if _is_pointwise(source, settings, named) else NotImplemented


def clamp(source: Tensor, *limits: Any, **named: Any) -> Any:
    return unary(source, *limits, **named) if limits or named else NotImplemented  # torch raises without a limit.


def unary_in_place(source: Tensor, *settings: Any, **named: Any) -> Any:
    return in_place(source) if _is_pointwise(source, settings, named) else NotImplemented


def _is_pointwise(source: Tensor, settings: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Whether the source is floating-point and the settings are numbers or gelu's approximation."""
    if settings or named:
        values = (*settings, *named.values())
        if not all(value is None or is_number(value) or value in ("none", "tanh") for value in values):
            return False
        if settings and all(value is None for value in values):  # clamp(None, None) raises in torch.
            return False
    return source.is_floating_point()


def binary(left: Any, right: Any, *, alpha: Any = 1, rounding_mode: str | None = None) -> Any:
    """Two floating tensors of one type, or a tensor and a number; broadcast only where both are contiguous."""
    if not is_number(alpha) or rounding_mode not in (None, "floor", "trunc"):
        return NotImplemented
    if not isinstance(left, Tensor) or not left.is_floating_point():
        return NotImplemented
    if not isinstance(right, Tensor):
        return laid_out_like(left) if is_number(right) else NotImplemented
    if left.shape == right.shape and left.stride() == right.stride():
        return laid_out_like(left)
    contiguous = left.is_contiguous() and right.is_contiguous()
    if left.shape == right.shape and (contiguous or (row_major(left) and row_major(right))):
        return fresh(left, left.shape)
    shape = broadcast(left.shape, right.shape)
    return fresh(left, shape) if shape and contiguous else NotImplemented


def gradient(upstream: Tensor, saved: Tensor, *settings: Any, approximate: str = "none") -> Any:
    """Two tensors of one shape and one layout, which the result keeps, or in row-major order. Settings are numbers."""
    if (
        not all(isinstance(value, int | float) for value in settings)
        or approximate not in ("none", "tanh")
        or not upstream.is_floating_point()
    ):
        return NotImplemented
    if upstream.shape != saved.shape:
        return NotImplemented
    if upstream.stride() == saved.stride():
        return laid_out_like(upstream)
    return fresh(upstream, upstream.shape) if row_major(upstream) and row_major(saved) else NotImplemented


def binary_in_place(left: Tensor, right: Any, *, alpha: Any = 1, rounding_mode: str | None = None) -> Any:
    """Applies only if the result has the size of the tensor that is written to."""
    if not is_number(alpha) or rounding_mode not in (None, "floor", "trunc"):
        return NotImplemented
    if isinstance(right, Tensor):
        return in_place(left) if broadcast(left.shape, right.shape) == list(left.shape) else NotImplemented
    return in_place(left) if is_number(right) else NotImplemented


def in_place(source: Tensor) -> Any:
    """RuntimeError for an expanded tensor, to which torch's meta kernels write."""
    if not writes_once(source):
        raise RuntimeError("more than one element of the written-to tensor refers to a single memory location")
    return source if source.is_floating_point() else NotImplemented
