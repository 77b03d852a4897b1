"""Saves and restores the state of a model's modules: attributes, containers in them, and objects such as a cache."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from operator import is_
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor, nn

from analyzer.counting.dispatch.tensors import slot_names
from analyzer.counting.execution.randomness import is_generator

CONTAINERS = (dict, list, set, deque)
PLAIN_CONTAINERS = frozenset({*CONTAINERS, OrderedDict})  # Most values are of these classes.
IMMUTABLE = frozenset(
    {
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        type,
        type(None),
        torch.dtype,
        torch.device,
        torch.Size,
        FunctionType,
        BuiltinFunctionType,
        MethodType,
    }
)
# Attributes of these packages' objects are not saved: a logger, thread or graph refers to much outside the model.
OPAQUE = frozenset({*sys.stdlib_module_names, "torch", "numpy"}) - {"__main__"}
_BUILT_IN = (OrderedDict, defaultdict, dict, list, set, deque, tuple, frozenset)
_MISSING = object()


class Attributes:
    """The contents of the given dicts, and of every container, object and closure in them.

    Copies are plain, since copying a subclass may run code. Empty containers are listed separately because most
    containers are empty: every module has a dozen dicts of hooks.
    """

    def __init__(self, dicts: Iterable[dict[str, Any]]) -> None:
        self.contents: list[tuple[Any, Any]] = []
        self.empty: list[Any] = []
        self.slots: list[tuple[Any, dict[str, Any]]] = []
        self.tensors: list[Tensor] = []
        self.generators: list[Any] = []  # Of random numbers.
        self.arrays: list[Any] = []  # Of NumPy.
        pending: list[Any] = list(dicts)
        seen: set[int] = set()
        add, add_empty = pending.append, self.empty.append  # Called for every attribute of every module.
        while pending:
            container = pending.pop()
            if id(container) in seen:
                continue
            seen.add(id(container))
            if isinstance(container, tuple):
                values: Iterable[Any] = container
            elif isinstance(container, dict):
                before: Any = dict(container)
                self.contents.append((container, before))
                values = before.values()
            else:
                values = before = set(container) if isinstance(container, set) else list(container)
                self.contents.append((container, before))
            for value in values:
                kind = type(value)
                if kind in PLAIN_CONTAINERS:
                    if value:
                        add(value)
                    else:
                        add_empty(value)
                elif kind in IMMUTABLE:
                    if kind is FunctionType and value.__closure__:
                        add(closure_values(value))
                elif kind is nn.Parameter or isinstance(value, Tensor):
                    self.tensors.append(value)
                elif isinstance(value, nn.Module):
                    add(vars(value))
                elif isinstance(value, CONTAINERS):
                    add(value) if len(value) else add_empty(value)
                elif isinstance(value, tuple):
                    if not IMMUTABLE.issuperset(map(type, value)):
                        add(value)
                else:
                    self._add_object(value, kind, pending)

    def _add_object(self, value: Any, kind: type, pending: list[Any]) -> None:
        """Queues the object's attributes for a later visit."""
        if is_generator(value):
            self.generators.append(value)
        elif isinstance(value, ndarray):
            self.arrays.append(value)
        if has_attributes(kind):
            if type(attributes := getattr(value, "__dict__", None)) is dict:
                pending.append(attributes)
            if slots := slot_values(value):
                self.slots.append((value, slots))
                pending.append(tuple(slots.values()))

    def restore(self) -> None:
        for container in filter(None, self.empty):
            built_in_class(container).clear(container)
        for container, before in filter(differs, self.contents):
            base = built_in_class(container)
            base.clear(container)
            (base.extend if isinstance(container, list | deque) else base.update)(container, before)
        for value, slots in self.slots:
            for name, before in slots.items():
                if getattr(value, name, _MISSING) is not before:
                    object.__setattr__(value, name, before)


def slot_values(value: Any) -> dict[str, Any]:
    """The values in an object's `__slots__`."""
    kind: type = type(value)
    slots = {name: getattr(value, name, _MISSING) for name in slot_names(kind)}
    return {name: slot for name, slot in slots.items() if slot is not _MISSING}


def closure_values(function: FunctionType) -> tuple[Any, ...]:
    """The values of the variables of outer functions that a function uses."""
    values = []
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # An empty cell, of a variable without a value yet.
            values.append(cell.cell_contents)
    return tuple(values)


@lru_cache(maxsize=4096)
def has_attributes(kind: type) -> bool:
    """Whether the attributes of a class's objects are saved: true for classes of users and libraries."""
    if issubclass(kind, SimpleNamespace):
        return True
    return kind.__module__.partition(".")[0] not in OPAQUE and not issubclass(kind, type | ModuleType | Enum)


def built_in_class(value: Any) -> Any:
    """The built-in class of a container, or `object`: the methods of a subclass may run code or raise."""
    return next(kind for kind in (*_BUILT_IN, object) if isinstance(value, kind))


def differs(pair: tuple[Any, Any]) -> bool:
    """Whether a container differs from its former contents, by identity: `==` on tensors does not return one bool."""
    container, before = pair
    if len(container) != len(before):
        return True
    if type(before) is set:
        return bool(container != before)
    if type(before) is dict and not all(map(is_, container.values(), before.values())):
        return True
    return not all(map(is_, container, before))
