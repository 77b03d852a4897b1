"""Attention on meta by the kernel that torch would choose on a CPU: the fused one saves no scores.

On meta torch itself always takes the unfused products. The choice depends on shapes, strides, the mask, dropout and the
backends that `torch.nn.attention.sdpa_kernel` allows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend
from torch.utils._python_dispatch import _disable_current_modes

from analyzer.models.zero_inputs import zeros

aten = torch.ops.aten
ATTENTION = aten.scaled_dot_product_attention.default


@contextmanager
def attention_as_on_a_cpu() -> Iterator[None]:
    """Under autograd, which decomposes attention before a dispatch mode gets it, wherever it is called."""
    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    library.impl("scaled_dot_product_attention", attention, "AutogradMeta")
    try:
        yield
    finally:
        library._destroy()


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
    """`scaled_dot_product_attention` of tensors on meta."""
    with torch._C.DisableTorchFunction():  # A mode may report another device of meta tensors.
        if not _is_fused([query, key, value, attn_mask], dropout_p, is_causal, enable_gqa):
            options: dict[str, Any] = {"scale": scale, "enable_gqa": enable_gqa}
            return ATTENTION.decompose(query, key, value, attn_mask, dropout_p, is_causal, **options)
        if attn_mask is not None and attn_mask.dtype is torch.bool:
            masked = torch.scalar_tensor(-torch.inf, dtype=query.dtype, device="meta")
            attn_mask = torch.where(attn_mask, 0.0, masked)
        fused = aten._scaled_dot_product_flash_attention_for_cpu
        return fused(query, key, value, dropout_p, is_causal, attn_mask=attn_mask, scale=scale)[0]


def _is_fused(operands: list[Tensor | None], dropout: float, is_causal: bool, grouped: bool) -> bool:
    """torch's own choice, which looks at the layouts of tensors on the CPU and not at their values."""
    with _disable_current_modes():
        on_cpu = [tensor if tensor is None else _on_cpu(tensor) for tensor in operands]
        choice: int = aten._fused_sdp_choice(*on_cpu, dropout, is_causal, enable_gqa=grouped)
    return choice == int(SDPBackend.FLASH_ATTENTION.value)


def _on_cpu(tensor: Tensor) -> Tensor:
    """A tensor of the same layout that takes no memory."""
    extent = 1 + sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
    storage = zeros(max(extent, 0), dtype=tensor.dtype)
    return storage.as_strided(tensor.shape, tensor.stride()).requires_grad_(tensor.requires_grad)
