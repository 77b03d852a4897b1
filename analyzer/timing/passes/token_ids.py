"""Random token ids. With equal ids one row of an embedding would be read again and again, from the nearest cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

LOOKUPS = (functional.embedding, functional.embedding_bag)  # Both take ids and the table first.


class _Lookups(TorchFunctionMode):
    """The smallest number of rows of an embedding that each tensor indexes, by the tensor's storage."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, int] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LOOKUPS:
            named = {**dict(zip(("input", "weight"), args, strict=False)), **(kwargs or {})}
            ids, weight = named.get("input"), named.get("weight")
            if isinstance(ids, Tensor) and isinstance(weight, Tensor):
                if func is functional.embedding_bag and ids.is_floating_point():
                    ids, weight = weight, ids  # Its old order of arguments.
                key = ids.untyped_storage().data_ptr()
                self.rows[key] = min(self.rows.get(key, weight.shape[0]), weight.shape[0])
        return func(*args, **(kwargs or {}))


def draw_ids(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], ranges: Mapping[int | str, int]
) -> tuple[list[Any], dict[str, Any]]:
    """The arguments with random ids in place of integers that are all equal: uniform below the given range, else below
    the rows of the embedding that they index. Other integers, such as the user's own ids, stay as they are."""
    args, kwargs = list(args), dict(kwargs)
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs.items())
    equal = [tensor for tensor in pytree.tree_leaves(given) if isinstance(tensor, Tensor) and _is_constant(tensor)]
    if not equal:
        return args, kwargs
    limits = {id(given[name]): below for name, below in ranges.items() if name in given}
    if any(id(tensor) not in limits for tensor in equal):
        lookups = _Lookups()
        with torch.no_grad(), lookups:
            model(*args, **kwargs)
        for tensor in equal:
            rows = lookups.rows.get(tensor.untyped_storage().data_ptr())
            if rows and id(tensor) not in limits:
                limits[id(tensor)] = rows

    def draw(tensor: Tensor) -> Tensor:
        below = limits.get(id(tensor))
        if below is None or not any(tensor is other for other in equal):
            return tensor
        return torch.randint(0, below, tensor.shape, device=tensor.device).to(tensor.dtype)

    drawn: tuple[list[Any], dict[str, Any]] = pytree.tree_map_only(Tensor, draw, (args, kwargs))
    return drawn


def _is_constant(tensor: Tensor) -> bool:
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool or tensor.numel() < 2:
        return False
    return bool((tensor == tensor.flatten()[0]).all())
