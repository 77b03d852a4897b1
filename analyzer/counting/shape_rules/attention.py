"""Shape rules of attention and recurrent operators on meta: shapes, and the layouts that torch's CPU kernels give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

META = torch.device("meta")  # As a text it would be parsed at every call.


def laid_out_like(source: Tensor) -> Tensor:
    """A fresh meta tensor with the source's order of axes and no gaps, as pointwise kernels make it."""
    if source.is_contiguous():
        return torch.empty(source.shape, dtype=source.dtype, device=META)
    strides, span = [0] * source.dim(), 1
    inner_first = sorted(range(source.dim()), key=lambda axis: (source.stride(axis), -axis))
    for axis in inner_first:
        strides[axis], span = span, span * max(source.shape[axis], 1)
    return torch.empty_strided(source.shape, strides, dtype=source.dtype, device=META)


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
    """The fused kernel lays its output out as its query is; the others in order."""
    fused = query.dim() == 4 and query.shape[-1] == value.shape[-1] and not dropout_p
    if fused:
        return laid_out_like(query)
    return torch.empty((*query.shape[:-1], value.shape[-1]), dtype=query.dtype, device=META)


def flex_attention(query: Tensor, key: Tensor, value: Tensor, *rest: Any) -> Any:
    """The output, and two statistics of each row of scores in single precision."""
    rows = query.shape[:-1]
    output = laid_out_like(query) if query.shape[-1] == value.shape[-1] else query.new_empty((*rows, value.shape[-1]))
    return output, query.new_empty(rows, dtype=torch.float32), query.new_empty(rows, dtype=torch.float32)


def multi_head(query: Tensor, key: Tensor, value: Tensor, width: int, heads: int, *rest: Any) -> Any:
    """The output, and the attention's weights where they are asked for."""
    weights, averaged = [*rest[5:7], True, True][:2]
    scores = (query.shape[0], query.shape[1], key.shape[1])
    shape: Sequence[int] = (0,) if not weights else scores if averaged else (scores[0], heads, *scores[1:])
    return query.new_empty(query.shape), query.new_empty(shape)


def encoder_layer(source: Tensor, *settings: Any) -> Any:
    return torch.empty(source.shape, dtype=source.dtype, device=META)


def recurrent(source: Tensor, states: Any, *rest: Any) -> Any:
    """Outputs of the last layer at every step, and the final states; `lstm` has two states, the others one.

    Only the padded call: packed batches come from operators that need real tensors.
    """
    if len(rest) < 6 or not isinstance(rest[1], bool):
        return NotImplemented
    hidden = states[0] if isinstance(states, list | tuple) else states
    both_ways = rest[5]
    output = source.new_empty((*source.shape[:-1], hidden.shape[-1] * (2 if both_ways else 1)))
    finals = [state.new_empty(state.shape) for state in (states if isinstance(states, list | tuple) else [states])]
    return (output, *finals)
