"""Concatenations on meta whose inputs get one gradient, however many concatenations they are in.

In a dense block of n layers an output is in up to n concatenations, and torch slices and adds n² / 2 gradients. None is
a product, and a count needs only that a gradient reaches each input. Memory is tracked as torch runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

CONCATENATIONS = frozenset({torch.cat, torch.concat, torch.concatenate, torch.stack})
MIN_INPUTS = 16


def has_many_inputs(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether a call is `cat(tensors, dim)` or `stack(tensors, dim)` of many tensors on meta that need gradients."""
    if not args or len(args) > 2 or not isinstance(args[0], list | tuple) or len(args[0]) < MIN_INPUTS:
        return False
    if kwargs.keys() - {"dim"} or not torch.is_grad_enabled():
        return False
    with torch._C.DisableTorchFunction():  # A mode may report another device of meta tensors.
        return all(type(tensor) is Tensor and tensor.is_meta for tensor in args[0])


def concatenate(reached: set[int], func: Any, tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """The concatenation by `func`. `reached`: the ids of tensors that have got a gradient in this pass."""
    result: Tensor = _Concatenation.apply(reached, func, dim, *tensors)  # type: ignore[no-untyped-call]
    return result


class _Concatenation(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, reached: set[int], func: Any, dim: int, *tensors: Tensor) -> Tensor:
        # Kept alive, so that no other tensor gets the id of an input.
        context.reached, context.tensors = reached, tensors
        result: Tensor = func(tensors, dim)
        return result

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Any:
        results: list[Tensor | None] = []
        for tensor, needed in zip(context.tensors, context.needs_input_grad[3:], strict=True):
            new = needed and id(tensor) not in context.reached
            results.append(gradients[0].new_empty(tensor.shape) if new else None)
            if new:
                context.reached.add(id(tensor))
        return None, None, None, *results
