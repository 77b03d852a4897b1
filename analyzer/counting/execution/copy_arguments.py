"""Copies a model's arguments, so that a pass leaves the caller's objects as they were."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import islice
from types import FunctionType, GeneratorType
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.run_to_the_end import MAX_ITEMS
from analyzer.counting.dispatch.tensors import tensors_inside
from analyzer.counting.execution.module_state import built_in_class, slot_values
from analyzer.counting.execution.move_to_meta_or_fake import Move


def copy_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], change: Move) -> tuple[list[Any], dict[str, Any]]:
    """Deep copies in which every tensor, including those inside objects, is replaced by `change(tensor)`.

    An object that cannot be copied, such as a cache with a lock, is copied attribute by attribute. Objects without
    attributes, such as locks or generators, and the contents of closures are passed unchanged.
    """
    copies = _Copies()
    for leaf in pytree.tree_leaves((list(args), dict(kwargs)), is_leaf=lambda value: isinstance(value, PackedSequence)):
        if isinstance(leaf, PackedSequence):  # Batch sizes must be on the CPU, wherever the data is.
            copies.memo |= {id(tensor): tensor for tensor in leaf[1:]}
    with _TensorCopies(change):
        return [copies.of(value) for value in args], {name: copies.of(value) for name, value in kwargs.items()}


class Items:
    """The items of a generator, which each pass gets as a new iterator."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items


def with_items(value: Any) -> Any:
    """The arguments, with `Items` in place of the generators in them: a pass would leave none for the next pass."""
    if not any(isinstance(leaf, GENERATORS) for leaf in pytree.tree_leaves(value)):
        return value

    def read(leaf: Any) -> Any:
        if not isinstance(leaf, GENERATORS):
            return leaf
        items = list(islice(leaf, MAX_ITEMS + 1))
        if len(items) > MAX_ITEMS:
            raise AnalyzerError(f"an argument yields more than {MAX_ITEMS:,} items; limit them")
        return Items(items)

    return pytree.tree_map(read, value)


GENERATORS = (GeneratorType, map, filter, zip, enumerate)


def clone(tensor: Tensor) -> Tensor:
    """A copy, since a pass may write to its input."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


class _Copies:
    """Copies of objects, one of each."""

    def __init__(self) -> None:
        self.memo: dict[int, Any] = {}
        self.attempts: list[dict[int, Any]] = []  # `deepcopy` stores id(memo) in the memo: keep it alive.

    def of(self, value: Any) -> Any:
        if isinstance(value, Items):
            return iter(self.of(value.items))
        attempt = dict(self.memo)
        self.attempts.append(attempt)
        try:
            copied = copy.deepcopy(value, attempt)
        except Exception:  # The memo of a copy that failed has half-filled containers.
            if isinstance(value, Tensor):
                raise
            return self._by_parts(value)
        # Both lists are kept: the values of a nested tensor are made by the call, and a dead tensor's id is used again.
        given, new = tensors_inside(value), tensors_inside(copied)
        if not set(map(id, given)).isdisjoint(map(id, new)):
            return self._by_parts(value)  # An object in it gives itself as its copy.
        self.memo = attempt
        return copied

    def _by_parts(self, value: Any) -> Any:
        kind = type(value)
        base = built_in_class(value)
        if isinstance(value, tuple | frozenset):
            return base.__new__(kind, map(self.of, value))
        if not _can_be_made(value):
            return value
        self.memo[id(value)] = new = base.__new__(kind)
        if isinstance(value, dict):
            base.update(new, {name: self.of(item) for name, item in value.items()})
        elif base is not object:
            (set.update if base is set else base.extend)(new, map(self.of, value))
        for name, attribute in getattr(value, "__dict__", {}).items():
            new.__dict__[name] = self.of(attribute)
        for name, slot in slot_values(value).items():
            object.__setattr__(new, name, self.of(slot))
        return new


def _can_be_made(value: Any) -> bool:
    """Whether the value is a container, or an object of a class in Python with attributes."""
    kind: Any = type(value)
    if built_in_class(value) is not object:
        return True
    in_python = kind.__new__ is object.__new__ or isinstance(kind.__new__, FunctionType)
    return in_python and not isinstance(value, Enum) and (hasattr(value, "__dict__") or bool(slot_values(value)))


class _TensorCopies(TorchFunctionMode):
    """Makes `copy.deepcopy` replace tensors by `change(tensor)`."""

    def __init__(self, change: Move) -> None:
        super().__init__()
        self.change = change

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ or func is Tensor.clone:  # A Parameter copies itself by cloning its data.
            return self.change(args[0])
        return func(*args, **(kwargs or {}))
