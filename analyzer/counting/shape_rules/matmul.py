"""Shape rules of linear layers, matrix products and embeddings; NotImplemented if not applicable."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from analyzer.counting.shape_rules.layouts import fits, fresh


def linear(source: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if weight.dim() != 2 or source.shape[-1] != weight.shape[1] or not fits(bias, weight.shape[0]):
        return NotImplemented
    return fresh(source, (*source.shape[:-1], weight.shape[0]))


def matmul(left: Tensor, right: Tensor) -> Any:
    if left.dim() != right.dim() or left.dim() < 2 or left.shape[:-2] != right.shape[:-2]:
        return NotImplemented
    return fresh(left, (*left.shape[:-1], right.shape[-1])) if left.shape[-1] == right.shape[-2] else NotImplemented


def mm(left: Tensor, right: Tensor) -> Any:
    return matmul(left, right) if left.dim() == 2 else NotImplemented


def bmm(left: Tensor, right: Tensor) -> Any:
    return matmul(left, right) if left.dim() == 3 else NotImplemented


def addmm(bias: Tensor, left: Tensor, right: Tensor) -> Any:
    if left.dim() != 2 or right.dim() != 2 or left.shape[1] != right.shape[0] or bias.shape != (right.shape[1],):
        return NotImplemented
    return fresh(left, (left.shape[0], right.shape[1]))


def grouped_matmul(
    left: Tensor, right: Tensor, offs: Tensor | None = None, bias: Tensor | None = None, out_dtype: Any = None
) -> Any:
    """A product per group; torch's meta kernel requires half precision, its CPU kernel does not."""
    if left.dtype is not right.dtype or left.shape[-1] != right.shape[-2] or not {left.dim(), right.dim()} <= {2, 3}:
        return NotImplemented
    if left.dim() == right.dim() == 3 and left.shape[0] != right.shape[0]:
        return NotImplemented
    groups = (offs.shape[0],) if offs is not None and left.dim() == right.dim() == 2 else ()
    rows = left.shape[:-1] if right.dim() == 3 else left.shape[-2:-1]
    return fresh(left, (*groups, *rows, right.shape[-1]), out_dtype)


def embedding(
    weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False
) -> Any:
    if indices.dtype not in (torch.int64, torch.int32) or weight.dim() != 2:
        return NotImplemented
    return fresh(weight, (*indices.shape, weight.shape[1]))
