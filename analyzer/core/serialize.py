"""`Frozen` data to JSON values and back, by the annotations of its fields.

Annotations are evaluated on the first read, not on import, because start-up must stay fast. A value of the wrong type
raises TypeError: JSON from a file that was edited must not reach a computation.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from functools import cache
from inspect import get_annotations
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from analyzer.core.frozen import Frozen

Data = TypeVar("Data", bound=Frozen)
Reader = Callable[[Any], Any]
PLAIN = (int, str, float, bool)
MAX_COUNT = 10**30  # Larger than any count; a sum of such integers still converts to a float.


def to_json(value: Any) -> Any:
    """Dicts, lists, numbers and texts that `json.dumps` takes. Fields that are None are left out."""
    if type(value) in PLAIN:  # Most values; the tests below are slow.
        return value
    if isinstance(value, Frozen):
        return {name: to_json(item) for name in value.fields if (item := vars(value)[name]) is not None}
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value


def from_json(kind: type[Data], data: Any) -> Data:
    """The instance of `kind` that `to_json` wrote. Raises TypeError for a missing, unknown or mistyped field."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__} is a {type(data).__name__}")
    values = {}
    key: Any = kind  # mypy considers a class that defines __eq__ unhashable.
    for name, value in data.items():
        if name not in kind.names:
            raise TypeError(f"{kind.__name__} has no field {name!r}")
        try:
            values[name] = _field_reader(key, name)(value)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
    return kind(**values)


@cache
def _field_reader(kind: type[Frozen], name: str) -> Reader:
    """The reader of one field. Fields are resolved one by one: some annotations name types of TYPE_CHECKING blocks."""
    owner = next(base for base in kind.__mro__ if name in get_annotations(base))
    return _reader(eval(get_annotations(owner)[name], vars(sys.modules[owner.__module__])))


@cache
def _reader(kind: Any) -> Reader:
    """Converts a JSON value to `kind`, or raises TypeError."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is Any:
        return _any
    if origin is Literal:
        return lambda value: value if value in args and type(value) is str else _refuse(value, kind)
    if origin in (types.UnionType, Union):
        return _union_reader(kind, [_reader(arg) for arg in args if arg is not type(None)])
    if origin in (tuple, list):
        item = _reader(args[0])
        return lambda value: origin(map(item, value)) if isinstance(value, list) else _refuse(value, kind)
    if origin is Mapping:
        key, item = map(_reader, args)
        return lambda value: (
            {key(name): item(entry) for name, entry in value.items()}
            if isinstance(value, dict)
            else _refuse(value, kind)
        )
    if issubclass(kind, Frozen):
        return lambda value: from_json(kind, value)
    if kind is float:  # JSON writes 1.0 as 1 in some programs.
        return lambda value: float(value) if type(value) is float or _is_count(value) else _refuse(value, kind)
    if kind is int:
        return lambda value: value if _is_count(value) else _refuse(value, kind)
    return lambda value: value if type(value) is kind else _refuse(value, kind)


def _union_reader(kind: Any, readers: list[Reader]) -> Reader:
    """Tries the types in order; if only one type other than None is allowed, raises that type's more precise error."""

    def read(value: Any) -> Any:
        if value is None and type(None) in get_args(kind):
            return None
        for reader in readers[:-1]:
            try:
                return reader(value)
            except TypeError:
                continue
        return readers[-1](value)

    return read


def _any(value: Any) -> Any:
    """A value without a fixed type: only its integers are limited."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if type(value) is int and not _is_count(value):
        _refuse(value, int)
    for part in parts:
        _any(part)
    return value


def _is_count(value: Any) -> bool:
    return type(value) is int and abs(value) < MAX_COUNT


def _refuse(value: Any, kind: Any) -> Any:
    raise TypeError(f"{value!r:.60} is not {getattr(kind, '__name__', kind)}")
