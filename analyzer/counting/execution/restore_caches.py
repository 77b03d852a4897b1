"""Restores the caches that a pass fills outside the model: in classes, modules of Python and `functools.lru_cache`.

A table in such a cache would be missing in the next count, and a tensor on meta would break the next run of the model.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

from torch import nn

from analyzer.counting.dispatch.tensors import tensors_inside
from analyzer.counting.execution.module_state import (
    IMMUTABLE,
    OPAQUE,
    closure_values,
    differs,
    has_attributes,
    slot_values,
)

MAX_SIZE = 10_000  # Of a container; larger containers are not caches of tensors.
MAX_INSIDE, MAX_DEPTH = 1000, 3  # Of containers and objects that are searched for generators and arrays.


@contextmanager
def restore_caches(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Restores variables and containers that hold new tensors after the block. Clears `lru_cache`s that hold tensors.

    The namespaces are those of the modules' classes, and of the files in which these are written.
    """
    variables_of = [(space, dict(vars(space))) for space in namespaces(modules)]
    contents = [
        (value, dict(value) if isinstance(value, dict) else list(value))
        for _, variables in variables_of
        for value in variables.values()
        if isinstance(value, dict | list) and len(value) <= MAX_SIZE
    ]
    _clear(variables_of)
    try:
        yield
    finally:
        for space, before in variables_of:
            for name, value in list(vars(space).items()) if differs((vars(space), before)) else ():
                if value is not before.get(name) and tensors_inside(value):
                    setattr(space, name, before[name]) if name in before else delattr(space, name)
        for container, former in filter(differs, contents):
            old = set(map(id, _values(former)))
            if any(id(value) not in old and tensors_inside(value) for value in _values(container)):
                container.clear()
                (container.update if isinstance(container, dict) else container.extend)(former)
        _clear(variables_of)


def variables_in_files(modules: Sequence[nn.Module], wanted: Callable[[Any], bool]) -> list[Any]:
    """The values of one kind in variables of the same namespaces, and in containers, objects and closures there."""
    values: list[Any] = []
    seen: set[int] = set()
    for space in namespaces(modules):
        _add(list(vars(space).values()), wanted, values, seen, MAX_DEPTH)
    return values


def _add(items: Any, wanted: Callable[[Any], bool], values: list[Any], seen: set[int], depth: int) -> None:
    """Adds the values of one kind; at most `depth` containers, objects or closures inside each other."""
    for value in items:
        kind = type(value)
        if kind is FunctionType:
            inner: Any = closure_values(value) if value.__closure__ else ()
        elif kind in IMMUTABLE or isinstance(value, nn.Module | type | ModuleType):
            continue
        elif wanted(value):
            values.append(value)
            continue
        elif isinstance(value, dict | list | tuple | set):
            inner = value.values() if isinstance(value, dict) else value
        elif has_attributes(kind):  # type: ignore[arg-type]
            inner = [*getattr(value, "__dict__", {}).values(), *slot_values(value).values()]
        else:
            continue
        if depth and inner and len(inner) <= MAX_INSIDE and id(value) not in seen:
            seen.add(id(value))
            _add(inner, wanted, values, seen, depth - 1)


def namespaces(modules: Sequence[nn.Module]) -> list[Any]:
    """The classes of the modules and the Python modules in which they are written; not those of torch."""
    kinds = {base for kind in set(map(type, modules)) for base in kind.__mro__}
    own = [kind for kind in kinds if kind.__module__.partition(".")[0] not in OPAQUE]
    files = {kind.__module__: sys.modules.get(kind.__module__) for kind in own}
    return [*own, *(file for file in files.values() if file is not None)]


def _values(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _clear(variables_of: list[tuple[Any, dict[str, Any]]]) -> None:
    for _, variables in variables_of:
        for value in variables.values():
            # The garbage collector finds the results, which the cache does not show.
            if isinstance(value, functools._lru_cache_wrapper) and tensors_inside(gc.get_referents(value)):
                value.cache_clear()
