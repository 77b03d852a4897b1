"""Where a model runs to be counted: on meta, where nothing is allocated or computed, or on real tensors.

A place is a context manager around one pass. It yields the function that moves a tensor there, or None where the
model's own tensors stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor

from analyzer.counting.dispatch.tensors import is_fake

Move: TypeAlias = Callable[[Tensor], Tensor]

REAL = "real tensors"


@contextmanager
def _meta() -> Iterator[Move]:
    """Autocast changes no type on meta, so the counted bytes would be wrong: it raises RuntimeError instead."""
    autocast: Any = torch.autocast
    enter = autocast.__enter__

    def refuse(context: Any) -> Any:
        if context._enabled:
            raise RuntimeError("autocast has no effect on meta")
        return enter(context)

    if torch._C._is_any_autocast_enabled():
        raise RuntimeError("autocast has no effect on meta")
    autocast.__enter__ = refuse
    try:
        yield to_meta
    finally:
        autocast.__enter__ = enter


@contextmanager
def _meta_by_default() -> Iterator[Move]:
    """For a model that makes tensors on the default device, as by `torch.arange(n)`."""
    with torch.device("meta"), _meta() as move:
        yield move


@contextmanager
def _real() -> Iterator[None]:
    yield None


PLACES: dict[str, Callable[[], AbstractContextManager[Move | None]]] = {
    "meta": _meta,
    "meta, also by default": _meta_by_default,
    REAL: _real,
}
META_PLACES = [place for place in PLACES if place != REAL]


def to_meta(tensor: Tensor) -> Tensor:
    """A meta tensor of the same shape and strides, a leaf, so that no gradient is copied back to where the data is."""
    if is_fake(tensor):  # `to("meta")` would give another fake tensor.
        shape, strides = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        moved = torch.empty_strided(shape, strides, dtype=tensor.dtype, device="meta")
    elif tensor.layout not in (torch.strided, torch.jagged):
        raise RuntimeError("a sparse tensor on meta has no number of values")
    else:
        moved = tensor.detach().to("meta")
    return moved.requires_grad_(tensor.requires_grad)
