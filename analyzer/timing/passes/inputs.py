"""Inputs of a pass: standard normal numbers and random token ids, the same in every pass or drawn anew for each.

With equal ids one row of an embedding would be read again and again, from the nearest cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from analyzer.core.frozen import Frozen

LOOKUPS = (functional.embedding, functional.embedding_bag)  # Both take ids and the table first.
Arguments: TypeAlias = tuple[list[Any], dict[str, Any]]


class Table(Frozen):
    """An embedding: bytes of its table, and of the rows that one pass reads if all are different."""

    table_bytes: int
    read_bytes: int


class Drawn(Frozen):
    """`draw` makes new arguments of the same shapes. `call_s` are the seconds of the call that found the tables."""

    args: list[Any]
    kwargs: dict[str, Any]
    draw: Callable[[], Arguments]
    tables: tuple[Table, ...] = ()
    call_s: float | None = None


class InputPool:
    """The arguments of the next pass. `refill` draws those of the next sample, outside of its time."""

    def __init__(self, args: list[Any], kwargs: dict[str, Any], draw: Callable[[], Arguments]) -> None:
        self.draw = draw
        self.pool = [(args, kwargs)]

    def refill(self, passes: int) -> None:
        self.pool = [self.draw() for _ in range(passes)]

    def next(self) -> Arguments:
        return self.pool.pop() if len(self.pool) > 1 else self.pool[0]


class _Lookups(TorchFunctionMode):
    """The smallest number of rows of an embedding that each tensor indexes, by the tensor's storage; all tables."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, int] = {}
        self.tables: list[Table] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in LOOKUPS:
            named = {**dict(zip(("input", "weight"), args, strict=False)), **(kwargs or {})}
            ids, weight = named.get("input"), named.get("weight")
            if isinstance(ids, Tensor) and isinstance(weight, Tensor):
                if func is functional.embedding_bag and ids.is_floating_point():
                    ids, weight = weight, ids  # Its old order of arguments.
                key = ids.untyped_storage().data_ptr()
                self.rows[key] = min(self.rows.get(key, weight.shape[0]), weight.shape[0])
                row_bytes = weight[0].numel() * weight.element_size() if len(weight) else 0
                self.tables.append(Table(len(weight) * row_bytes, min(ids.numel(), len(weight)) * row_bytes))
        return func(*args, **(kwargs or {}))


def draw_inputs(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], ranges: Mapping[int | str, int]
) -> Drawn:
    """The arguments with random ids in place of integers that are all equal: uniform below the given range, else below
    the rows of the embedding that they index. Other integers, such as the user's own ids, stay as they are."""
    args, kwargs = list(args), dict(kwargs)
    given: dict[int | str, Any] = dict(enumerate(args))
    given.update(kwargs.items())
    equal = [tensor for tensor in pytree.tree_leaves(given) if isinstance(tensor, Tensor) and _is_constant(tensor)]
    limits = {id(given[name]): below for name, below in ranges.items() if name in given}
    lookups, call_s = _Lookups(), None
    if equal:
        with torch.no_grad(), lookups:
            start = time.perf_counter()
            model(*args, **kwargs)
            call_s = time.perf_counter() - start
        for tensor in equal:
            if rows := lookups.rows.get(tensor.untyped_storage().data_ptr()):
                limits.setdefault(id(tensor), rows)
    drawn = [tensor for tensor in equal if id(tensor) in limits]

    def draw_ids(tensor: Tensor) -> Tensor:
        if not any(tensor is other for other in drawn):
            return tensor
        return torch.randint(0, limits[id(tensor)], tensor.shape, device=tensor.device).to(tensor.dtype)

    def draw_anew(tensor: Tensor) -> Tensor:
        return torch.randn_like(tensor) if tensor.is_floating_point() else draw_ids(tensor)

    def draw() -> Arguments:
        anew: Arguments = pytree.tree_map_only(Tensor, draw_anew, (args, kwargs))
        return anew

    first_args, first_kwargs = pytree.tree_map_only(Tensor, draw_ids, (args, kwargs)) if drawn else (args, kwargs)
    return Drawn(first_args, first_kwargs, draw, tuple(lookups.tables), call_s)


def _is_constant(tensor: Tensor) -> bool:
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool or tensor.numel() < 2:
        return False
    return bool((tensor == tensor.flatten()[0]).all())
