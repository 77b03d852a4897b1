"""Converts a model and its arguments to another floating-point dtype, to measure the memory of training in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.counting.execution.copy_arguments import copy_arguments
from analyzer.counting.execution.restore import tensor_stores


def cast(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], dtype: str
) -> tuple[list[Any], dict[str, Any]]:
    """Replaces the floating tensors that the model's modules hold, tied ones by one; returns arguments of the type."""
    target: torch.dtype = getattr(torch, dtype)
    replaced: dict[int, Tensor] = {}
    originals: list[Tensor] = []  # Kept, so that no new tensor gets the id of an old one.

    def change(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point() or tensor.dtype is target:
            return tensor
        return tensor.detach().to(target).requires_grad_(tensor.requires_grad)

    for module in model.modules():
        for store in tensor_stores(module):
            for name, value in store.items():
                if isinstance(value, Tensor):
                    if id(value) not in replaced:
                        changed = change(value)
                        if isinstance(value, nn.Parameter) and changed is not value:
                            changed = nn.Parameter(changed.detach(), value.requires_grad)
                        replaced[id(value)] = changed
                        originals.append(value)
                    store[name] = replaced[id(value)]
    return copy_arguments(args, kwargs, change)
