"""Attention over jagged nested tensors, sequence by sequence, so that every score is counted and no padding.

torch runs it by a kernel for packed sequences, or on a CPU by one for strided nested tensors, whose shapes the
dispatcher does not see.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nested._internal.nested_tensor import NestedTensor, nested_view_from_values_offsets_lengths
from torch.nn.functional import scaled_dot_product_attention


@contextmanager
def attention_by_sequence() -> Iterator[None]:
    """Within the block, attention over jagged (batch, heads, length, width) without a mask runs by sequence."""
    jagged: Any = NestedTensor
    function = vars(jagged)["__torch_function__"]

    def call(kind: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is scaled_dot_product_attention:
            result = _attend(*args, **(kwargs or {}))
            if result is not None:
                return result
        return function.__get__(None, kind)(func, types, args, kwargs or {})

    jagged.__torch_function__ = classmethod(call)
    try:
        yield
    finally:
        jagged.__torch_function__ = function


def _attend(query: Any, key: Any, value: Any, attn_mask: Tensor | None = None, *args: Any, **kwargs: Any) -> Any:
    """None for operands that have no sequences, or a mask."""
    attention: Any = scaled_dot_product_attention
    as_jagged: Any = nested_view_from_values_offsets_lengths
    operands = query, key, value
    if attn_mask is not None or not all(isinstance(operand, NestedTensor) for operand in operands):
        return None
    if any(operand._ragged_idx != 2 or operand.dim() != 4 or operand.lengths() is not None for operand in operands):
        return None
    results = [
        attention(*sequences, None, *args, **kwargs)
        for sequences in zip(*(operand.unbind() for operand in operands), strict=True)
    ]
    # Jagged tensors keep their sequences along the first axis of their values.
    values = torch.cat(results, dim=-2).transpose(0, 1)
    return as_jagged(values, query.offsets(), None).transpose(1, 2)
