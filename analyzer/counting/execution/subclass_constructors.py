"""Lets a model construct tensors of its own classes, such as torch's `CausalBias`, while dispatch modes run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from analyzer.counting.dispatch.patched_functions import Replacement, Replacements


@contextmanager
def subclasses_constructed() -> Iterator[None]:
    """Within the block `Subclass(sizes)` and `Subclass(data)` pass no dispatch mode.

    `Tensor.__new__` gives its result the class of the subclass, which torch refuses for a tensor that a mode returned.
    """
    _replacements.add(None)
    try:
        yield
    finally:
        _replacements.remove(None)


def _new(new: Any) -> Any:
    def construct(kind: Any, *args: Any, **kwargs: Any) -> Any:
        if args and isinstance(args[0], Tensor):
            return new(kind, *args, **kwargs)
        with _disable_current_modes():
            return new(kind, *args, **kwargs)

    return construct


def _subclasses(kind: Any) -> Iterator[Replacement]:
    """Those with torch's constructor. `Tensor` keeps its own, which torch._dynamo reads when it is imported."""
    for subclass in kind.__subclasses__():
        if subclass.__new__ is _TENSOR_NEW:
            yield subclass, "__new__", _new
        else:
            yield from _subclasses(subclass)


_TENSOR_NEW = Tensor.__new__
_replacements = Replacements(lambda: list(_subclasses(Tensor)))
