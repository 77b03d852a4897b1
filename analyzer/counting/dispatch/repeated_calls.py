"""Remembers the result and the work of operator calls on meta tensors, which later calls with equal operands reuse.

Networks repeat blocks, and a process may count a model more than once. A shape rule and a formula depend only on the
shapes, strides and types of the operands and on the other arguments, so that these are the key of a call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn import Parameter

from analyzer.counting.dispatch.row_producers import Window
from analyzer.counting.operators.call import Work
from analyzer.counting.operators.classify import Operator
from analyzer.counting.shape_rules.layouts import META, is_meta

Key: TypeAlias = tuple[Any, ...]
MAX_CALLS = 1 << 14  # Then all are forgotten: a call takes about a kilobyte.
_STRIDED = torch.strided
_INTEGERS = frozenset({int})
_PLAIN = frozenset(
    {int, float, bool, str, type(None), complex, torch.dtype, torch.device, torch.layout, torch.memory_format}
)


class RepeatedCall(NamedTuple):
    """What an operator returned, without the tensor, and its work.

    `shape` is None if it returned its first operand, changed in place; `strides` is None for a contiguous result.
    """

    operator: Operator  # Kept alive, since the key has its id.
    shape: tuple[int, ...] | None
    strides: tuple[int, ...] | None
    dtype: torch.dtype
    work: Work
    window: Window

    def result(self, args: tuple[Any, ...]) -> Tensor:
        """The first operand, or a new meta tensor like that of the first call."""
        if self.shape is None:
            first: Tensor = args[0]
            return first
        if self.strides is None:
            return torch.empty(self.shape, dtype=self.dtype, device=META)
        return torch.empty_strided(self.shape, self.strides, dtype=self.dtype, device=META)


_calls: dict[Key, RepeatedCall] = {}


def key_of(known: Operator, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Key | None:
    """The key of a call whose tensors are all ordinary meta tensors; None for any other call.

    `classify.lookup` makes a new object once a formula has been registered.
    """
    key: list[Any] = [id(known)]
    if not _extend(key, args) or (kwargs and not _extend(key, (part for item in kwargs.items() for part in item))):
        return None
    return tuple(key)


def _extend(key: list[Any], arguments: Iterable[Any]) -> bool:
    for argument in arguments:
        kind = type(argument)
        if kind is Tensor or kind is Parameter:
            if not is_meta(argument) or argument.layout is not _STRIDED or argument.is_nested:
                return False
            key += (argument.shape, argument.stride(), argument.dtype)
        elif kind in _PLAIN:
            key += (kind, argument)  # 1, 1.0 and True are equal.
        elif kind is list or kind is tuple:
            if _INTEGERS.issuperset(map(type, argument)):
                key.append(tuple(argument))
                continue
            key += (kind, len(argument))
            if not _extend(key, argument):
                return False
        else:
            return False
    return True


def find(key: Key | None) -> RepeatedCall | None:
    return None if key is None else _calls.get(key)


def remember(key: Key, known: Operator, args: tuple[Any, ...], result: Any, work: Work, window: Window) -> None:
    """Remembers a call whose result a shape rule made, unless it returned another operand or several tensors."""
    in_place = known.mutable and result is args[0]
    if not in_place and (type(result) is not Tensor or any(result is argument for argument in args)):
        return
    if len(_calls) >= MAX_CALLS:
        _calls.clear()
    strides = None if result.is_contiguous() else result.stride()
    shape = None if in_place else tuple(result.shape)
    _calls[key] = RepeatedCall(known, shape, strides, result.dtype, work, window)
