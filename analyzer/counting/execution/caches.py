"""Restores the caches that a pass fills outside the model: in classes, modules of Python and `functools.lru_cache`.

A table in such a cache would be missing in the next count, and a tensor on meta would break the next run of the model.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from analyzer.counting.dispatch.tensors import tensors_inside
from analyzer.counting.execution.attributes import OPAQUE, differs
from analyzer.counting.execution.randomness import is_generator

MAX_SIZE = 10_000  # Of a container; larger containers are not caches of tensors.


@contextmanager
def restore_caches(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Restores variables and containers that hold new tensors after the block. Clears `lru_cache`s that hold tensors.

    The namespaces are those of the modules' classes, and of the files in which these are written.
    """
    namespaces = [(space, dict(vars(space))) for space in _namespaces(modules)]
    contents = [
        (value, dict(value) if isinstance(value, dict) else list(value))
        for _, variables in namespaces
        for value in variables.values()
        if isinstance(value, dict | list) and len(value) <= MAX_SIZE
    ]
    _clear(namespaces)
    try:
        yield
    finally:
        for space, before in namespaces:
            for name, value in list(vars(space).items()) if differs((vars(space), before)) else ():
                if value is not before.get(name) and tensors_inside(value):
                    setattr(space, name, before[name]) if name in before else delattr(space, name)
        for container, former in filter(differs, contents):
            old = set(map(id, _values(former)))
            if any(id(value) not in old and tensors_inside(value) for value in _values(container)):
                container.clear()
                (container.update if isinstance(container, dict) else container.extend)(former)
        _clear(namespaces)


def generators_in_files(modules: Sequence[nn.Module]) -> list[Any]:
    """The random generators in variables of the same namespaces."""
    return [value for space in _namespaces(modules) for value in vars(space).values() if is_generator(value)]


def _namespaces(modules: Sequence[nn.Module]) -> list[Any]:
    kinds = {base for kind in set(map(type, modules)) for base in kind.__mro__}
    own = [kind for kind in kinds if kind.__module__.partition(".")[0] not in OPAQUE]
    files = {kind.__module__: sys.modules.get(kind.__module__) for kind in own}
    return [*own, *(file for file in files.values() if file is not None)]


def _values(container: Any) -> Any:
    return container.values() if isinstance(container, dict) else container


def _clear(namespaces: list[tuple[Any, dict[str, Any]]]) -> None:
    for _, variables in namespaces:
        for value in variables.values():
            # The garbage collector finds the results, which the cache does not show.
            if isinstance(value, functools._lru_cache_wrapper) and tensors_inside(gc.get_referents(value)):
                value.cache_clear()
