"""Runs a model completely: consumes the generators and awaits the coroutines that forward returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from torch import nn

from analyzer.core.errors import AnalyzerError

MAX_ITEMS = 10_000


def run_model(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """The model's output, with a list in place of every iterator in it, and the result of every coroutine.

    Raises AnalyzerError for an iterator of more than 10,000 items, and for a coroutine where an event loop runs.
    """
    return _run(model(*args, **(kwargs or {})))


def _run(output: Any) -> Any:
    kind = type(output)
    if kind in (list, tuple):
        return kind(map(_run, output))
    if kind is dict:
        return {name: _run(value) for name, value in output.items()}
    if isinstance(output, Iterator):
        return _run(_limited(list(islice(output, MAX_ITEMS + 1))))
    if isinstance(output, AsyncIterator):
        return _run(_await(_collect(output)))
    if isinstance(output, Awaitable):
        return _run(_await(_result(output)))
    return output


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
