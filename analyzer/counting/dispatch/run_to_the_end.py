"""Runs a model completely: consumes the iterables and awaits the coroutines that forward returns."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import FunctionType, MethodType
from typing import Any

from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError
from analyzer.worker.run_task import exit_if_forked, is_worker

MAX_ITEMS = 10_000


def run_model(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """The model's output, with a list in place of every iterable without a length, and the result of every coroutine.

    Also in the attributes of objects, where iterators are run.

    Raises AnalyzerError for an iterator of more than 10,000 items, and for a coroutine where an event loop runs.
    In a worker, a copy of the process that the model forked ends here: it would make the other passes too, and fork
    again in each.
    """
    process = os.getpid()
    try:
        return _run(model(*args, **(kwargs or {})), set())
    finally:
        if is_worker():
            exit_if_forked(process)


def _run(output: Any, seen: set[int]) -> Any:
    kind: Any = type(output)
    if isinstance(output, tuple) and hasattr(kind, "_make"):  # A named tuple.
        return kind._make(_run(item, seen) for item in output)
    if kind in (list, tuple):
        return kind(_run(item, seen) for item in output)
    if isinstance(output, dict):
        values = {name: _run(value, seen) for name, value in output.items()}
        if kind is dict:
            return values
        dict.update(output, values)  # Keeps the attributes of a subclass.
        return output
    if dataclasses.is_dataclass(output) and not isinstance(output, type):
        if id(output) not in seen:  # A node may refer to its parent.
            seen.add(id(output))
            for field in dataclasses.fields(output):
                object.__setattr__(output, field.name, _run(getattr(output, field.name, None), seen))
        return output
    if isinstance(output, Iterable) and not (hasattr(output, "__len__") or isinstance(output, nn.Module)):
        return _run(_limited(list(islice(output, MAX_ITEMS + 1))), seen)
    if isinstance(output, AsyncIterator):
        return _run(_await(_collect(output)), seen)
    if isinstance(output, Awaitable):
        return _run(_await(_result(output)), seen)
    attributes = None if isinstance(output, Tensor | nn.Module | Callable) else getattr(output, "__dict__", None)
    if attributes and id(output) not in seen:
        seen.add(id(output))
        for name, value in list(attributes.items()):
            if isinstance(value, Iterator | AsyncIterator | Awaitable | list | tuple | dict):
                attributes[name] = _run(value, seen)
    return output


def any_function(output: Any) -> bool:
    """Whether a function or module is returned, alone or in a list, tuple or dict: its work comes after the pass."""
    if isinstance(output, list | tuple):
        return any(map(any_function, output))
    if isinstance(output, dict):
        return any(map(any_function, output.values()))
    return isinstance(output, FunctionType | MethodType | partial | nn.Module)


async def _collect(iterator: AsyncIterator[Any]) -> list[Any]:
    items: list[Any] = []
    async for item in iterator:
        items.append(item)
        if len(items) > MAX_ITEMS:
            break
    return _limited(items)


async def _result(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def _await(coroutine: Any) -> Any:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    coroutine.close()
    raise AnalyzerError("the forward pass is a coroutine and an event loop is running; count it outside the loop")


def _limited(items: list[Any]) -> list[Any]:
    if len(items) > MAX_ITEMS:
        raise AnalyzerError(f"the forward pass yields more than {MAX_ITEMS:,} items; limit them")
    return items
