"""The KV cache of a language model of transformers: which argument it is, and how many bytes it has.

Keys and values of attention grow with the text; the states of a scan do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from analyzer.core.errors import AnalyzerError
from analyzer.models.values_on_meta import known_values

# Names of the same argument over releases and families.
CACHES = ("past_key_values", "cache", "cache_params", "state")
SCALE_BYTES = 2 * 2  # A scale and a zero point, of 16 bits each.


def cache_after(model: Any, batch: int, length: int) -> Any:
    """The cache after a prompt of that length, on meta tensors."""
    ids = torch.zeros(batch, length, dtype=torch.int64)
    with torch.no_grad(), known_values({"input_ids": ids}) as moved:
        output = model(**moved, use_cache=True)
    cache = next((value for name in CACHES if (value := getattr(output, name, None)) is not None), None)
    if cache is None:
        raise AnalyzerError(f"{type(model).__name__} returns no cache: it generates no text token by token")
    return cache


def _stored(cache: Any) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in _tensors(cache, set()) if tensor.ndim > 1}.values())


def which_grow(after_one: Any, after_two: Any) -> list[bool]:
    """Which tensors of a cache grow with the text, from the caches after one and two tokens."""
    before, after = _stored(after_one), _stored(after_two)
    return [small.shape != large.shape for small, large in zip(before, after, strict=True)]


def stored_bytes(cache: Any, grows: Sequence[bool] = (), bits: int | None = None, group: int | None = None) -> int:
    """Bytes of a cache, its keys and values stored with so many bits each.

    With `group`, as many numbers of a head share a scale and a zero point; a vector of fewer has its own.
    """
    tensors = _stored(cache)
    sizes = zip(tensors, grows or [False] * len(tensors), strict=True)
    return sum(
        -(-tensor.numel() * bits // 8) + (_groups(tensor, group) * SCALE_BYTES if group else 0)
        if bits and grown
        else tensor.numel() * tensor.element_size()
        for tensor, grown in sizes
    )


def bytes_per_token(after_one: int, after_two: int, batch: int) -> int:
    """What each further token of a sequence adds, from the bytes of the caches of a batch after one and two tokens."""
    return (after_two - after_one) // batch


def _groups(tensor: Tensor, size: int) -> int:
    return prod(tensor.shape[:-1]) * -(-tensor.shape[-1] // size)


def _tensors(value: Any, seen: set[int]) -> Iterator[Tensor]:
    """Every tensor in a cache: in its containers and in the attributes of its layers."""
    if isinstance(value, Tensor):
        yield value
        return
    if id(value) in seen or isinstance(value, str | bytes | int | float | type(None) | torch.device | torch.dtype):
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        children = list(value.values())
    elif isinstance(value, list | tuple):
        children = list(value)
    else:
        children = list(getattr(value, "__dict__", {}).values())
    for child in children:
        yield from _tensors(child, seen)
