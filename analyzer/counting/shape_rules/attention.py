"""Shape rules of attention and recurrent operators on meta: shapes, and the layouts that torch's CPU kernels give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.shape_rules.layouts import broadcast, fits, fresh, laid_out_like

# Since torch 2.9 the fused kernel of a CPU takes fewer heads of keys than of queries, and flex attention returns two
# statistics. The attribute is as old.
_FUSES_GROUPS = hasattr(TorchDispatchMode, "supports_higher_order_operators")


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """softmax(Q · Kᵀ) · V over (..., heads, length, width), where batches and heads broadcast.

    Raises RuntimeError for a mask larger than the scores, which torch's meta kernels accept and its CPU kernels do not.
    The fused kernel returns a tensor with the memory layout of the query; the others a contiguous tensor.
    """
    operands = (query, key, value)
    if any(tensor.dtype is not query.dtype or tensor.dim() != query.dim() for tensor in operands) or query.dim() < 2:
        return NotImplemented
    if not query.is_floating_point() or not all(tensor.numel() for tensor in operands) or not 0 <= dropout_p <= 1:
        return NotImplemented
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        return NotImplemented
    if enable_gqa and not _FUSES_GROUPS:
        return NotImplemented
    batches = _batches(query, key, value, grouped=enable_gqa)
    if batches is None:
        return NotImplemented
    scores = [*batches, query.shape[-2], key.shape[-2]]
    if attn_mask is not None:
        if is_causal or attn_mask.dtype not in (torch.bool, query.dtype):
            return NotImplemented
        if broadcast(attn_mask.shape, scores) != scores:
            raise RuntimeError(f"a mask of shape {tuple(attn_mask.shape)} does not fit scores of shape {tuple(scores)}")
    inner_contiguous = all(tensor.stride(-1) == 1 for tensor in operands)
    fused = query.dim() == 4 and query.shape[-1] == value.shape[-1] and not dropout_p and inner_contiguous
    if fused and (enable_gqa or all(list(tensor.shape[:-2]) == batches for tensor in operands)):
        return laid_out_like(query)
    return fresh(query, (*batches, query.shape[-2], value.shape[-1]))


def _batches(query: Tensor, key: Tensor, value: Tensor, *, grouped: bool) -> list[int] | None:
    """All axes before length and width, broadcast; with grouped keys several query heads share one head of keys."""
    shapes = [list(tensor.shape[:-2]) for tensor in (query, key, value)]
    if grouped:
        heads = [shape[-1] for shape in shapes if shape]
        if len(heads) < 3 or heads[1] != heads[2] or heads[0] % heads[1]:
            return None
        shapes = [[*shape[:-1], heads[0]] for shape in shapes]
    joined = broadcast(shapes[0], shapes[1])
    return None if joined is None else broadcast(joined, shapes[2])


def flex_attention(query: Tensor, key: Tensor, value: Tensor, *settings: Any) -> Any:
    """The output, and two statistics for each row of scores in single precision, one before torch 2.9."""
    rows = query.shape[:-1]
    output = laid_out_like(query) if query.shape[-1] == value.shape[-1] else query.new_empty((*rows, value.shape[-1]))
    statistics = 2 if _FUSES_GROUPS else 1
    return output, *(query.new_empty(rows, dtype=torch.float32) for _ in range(statistics))


def multi_head(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    width: int,
    heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    mask: Tensor | None = None,
    need_weights: bool = True,
    average_attn_weights: bool = True,
    mask_type: int | None = None,
) -> Any:
    """The output and the attention weights. torch's kernel handles self-attention, and a mask by its type."""
    if mask is not None or not need_weights or not _projections_fit(query, width, heads, qkv_weight, qkv_bias):
        return NotImplemented
    if not fits(out_weight, width, width) or not fits(out_bias, width):
        return NotImplemented
    if key.shape != query.shape or value.shape != query.shape:
        return NotImplemented
    batch, length = query.shape[:2]
    shape: Sequence[int] = (batch, length, length) if average_attn_weights else (batch, heads, length, length)
    return query.new_empty(query.shape), query.new_empty(shape)


def _projections_fit(source: Tensor, width: int, heads: int, weight: Tensor, bias: Tensor) -> bool:
    divides = source.dim() == 3 and source.shape[-1] == width and heads > 0 and width % heads == 0
    return divides and source.numel() > 0 and fits(weight, 3 * width, width) and fits(bias, 3 * width)


def encoder_layer(
    source: Tensor,
    width: int,
    heads: int,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    use_gelu: bool,
    norm_first: bool,
    eps: float,
    norm1_weight: Tensor,
    norm1_bias: Tensor,
    norm2_weight: Tensor,
    norm2_bias: Tensor,
    up_weight: Tensor,
    up_bias: Tensor,
    down_weight: Tensor,
    down_bias: Tensor,
    mask: Tensor | None = None,
    mask_type: int | None = None,
) -> Any:
    if mask is not None or not _projections_fit(source, width, heads, qkv_weight, qkv_bias):
        return NotImplemented
    vectors = (out_bias, norm1_weight, norm1_bias, norm2_weight, norm2_bias, down_bias)
    hidden = up_weight.shape[0]
    matrices = fits(out_weight, width, width) and fits(up_weight, hidden, width) and fits(down_weight, width, hidden)
    if not matrices or not fits(up_bias, hidden) or not all(fits(vector, width) for vector in vectors):
        return NotImplemented
    return fresh(source, source.shape)


def recurrent(gates: int) -> Any:
    """The rule of `lstm`, `gru` or `rnn_*`, whose matrices have `gates` rows per hidden unit."""

    def rule(
        source: Tensor,
        states: Any,
        weights: Sequence[Tensor],
        biased: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool,
    ) -> Any:
        """Outputs of the last layer at every step, and the final states; `lstm` has two states, the others one.

        Packed batches, whose second argument is a tensor of sizes, never reach meta: they come from operators that
        need values.
        """
        if not isinstance(biased, bool) or source.dim() != 3 or not source.numel():
            return NotImplemented
        first = list(states) if isinstance(states, list | tuple) else [states]
        if len(first) != (2 if gates == 4 else 1) or not 0 <= dropout <= 1:
            return NotImplemented
        rows, batch = layers * (1 + bidirectional), source.shape[0 if batch_first else 1]
        hidden, output = first[-1].shape[-1], first[0].shape[-1]
        if not fits(first[0], rows, batch, output) or not fits(first[-1], rows, batch, hidden):
            return NotImplemented
        shapes = []
        for row in range(rows):
            width = source.shape[-1] if row < 1 + bidirectional else output * (1 + bidirectional)
            shapes += [(gates * hidden, width), (gates * hidden, output)] + [(gates * hidden,)] * (2 * biased)
            shapes += [(output, hidden)] if output != hidden else []
        if [tuple(weight.shape) for weight in weights] != shapes:
            return NotImplemented
        steps = source.shape[1 if batch_first else 0]
        result = source.new_empty((steps, batch, output * (1 + bidirectional)))
        return (result.transpose(0, 1) if batch_first else result, *(state.new_empty(state.shape) for state in first))

    return rule
