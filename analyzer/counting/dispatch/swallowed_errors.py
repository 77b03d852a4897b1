"""Detects models that catch the error of reading a value from a meta or fake tensor and then take another path.

The error is recorded where torch raises it, and raised again when the pass has ended: such a count would be wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import fake_tensor

from analyzer.counting.dispatch.patched_functions import Replacement, Replacements
from analyzer.counting.dispatch.tensors import is_fake

READERS = "item tolist numpy __bool__ __int__ __float__ __complex__ __index__ __array__ cpu".split()
# Words in torch's errors of other types, such as "Tensor.item() cannot be called on meta tensors".
WORDS = ("meta", "Meta", "fake", "Fake", "expected device", "same device")
FAKE = (
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedFakeTensorException,
    fake_tensor.UnsupportedOperatorException,
)


class _SwallowedErrors:
    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.first: BaseException | None = None


@contextmanager
def raise_swallowed_errors() -> Iterator[None]:
    """Raises the first error of this kind in the block at its end, where the block has handled it."""
    errors = _SwallowedErrors()
    _replacements.add(errors)
    try:
        yield
    finally:
        _replacements.remove(errors)
    if errors.first is not None:
        raise errors.first


def record(error: BaseException, *, refused: bool = False) -> None:
    """Called with any error of an operator, and with `refused` for a value that a tensor does not have."""
    if not _replacements.active:
        return
    if not refused and not isinstance(error, FAKE) and not any(word in str(error) for word in WORDS):
        return
    thread = threading.get_ident()
    mine = [errors for errors in _replacements.active if errors.thread == thread]
    for errors in mine or _replacements.active:  # A thread of the model's own.
        errors.first = errors.first or error


def check_index(args: Any) -> None:
    """Raises RuntimeError if meta tensors index a real tensor: torch would return uninitialized memory."""
    if not args[0].is_meta and any(index is not None and index.is_meta for index in args[1]):
        raise RuntimeError("a CPU tensor is indexed with meta tensors, which have no values")


def _recorded(method: Any) -> Any:
    @wraps(method)
    def read(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(tensor, *args, **kwargs)
        except Exception as error:
            record(error, refused=isinstance(tensor, Tensor) and (tensor.is_meta or is_fake(tensor)))
            raise

    return read


def _all_replacements() -> Iterator[Replacement]:
    for name in READERS:
        yield Tensor, name, _recorded
    yield torch, "equal", _recorded


_replacements = Replacements(_all_replacements)
