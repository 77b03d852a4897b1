"""Immutable data classes without generated code.

`@dataclass(frozen=True)` compiles its methods on import, 0.6 to 1 ms per class. A run of `analyze --variant googlenet`
has about thirty such classes, a quarter of its time. Here all classes share the same methods. Type checkers treat a
subclass as a frozen dataclass (PEP 681).
"""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations
from typing import Any, ClassVar, NoReturn, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class Frozen:
    """Base class: annotate the fields, with defaults as usual. Instances are equal by type and value."""

    fields: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[frozenset[str]] = frozenset()
    defaults: ClassVar[dict[str, Any]] = {}

    def __init_subclass__(cls) -> None:
        annotations = get_annotations(cls)
        added = (name for name, kind in annotations.items() if not str(kind).startswith("ClassVar"))
        cls.fields = tuple(dict.fromkeys((*cls.fields, *added)))
        cls.names = frozenset(cls.fields)
        cls.defaults = {name: getattr(cls, name) for name in cls.fields if hasattr(cls, name)}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args and tuple(kwargs) == self.fields:  # Of every row; comparing names as sets takes twice the time.
            self.__dict__.update(kwargs)
            return
        given = dict(zip(self.fields, args, strict=False))
        values = {**self.defaults, **given, **kwargs}
        # Of equal length: no field is given twice, and no value is left over.
        if values.keys() != self.names or len(given) != len(args) or not given.keys().isdisjoint(kwargs):
            raise self._wrong(args, kwargs)
        self.__dict__.update(values)

    def _wrong(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> TypeError:
        """Why the arguments do not fit the fields."""
        name = type(self).__name__
        if len(args) > len(self.fields):
            return TypeError(f"{name} takes {len(self.fields)} values, got {len(args)}")
        for key in kwargs:
            if key not in self.fields[len(args) :]:
                return TypeError(f"{name} got an unexpected or repeated value {key!r}")
        given = {*self.fields[: len(args)], *kwargs, *self.defaults}
        missing = next(field for field in self.fields if field not in given)
        return TypeError(f"{name}() is missing the field {missing!r}")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen; replace() makes a changed copy")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} is frozen")

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self), *(self.__dict__[name] for name in self.fields)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={self.__dict__[name]!r}' for name in self.fields)})"

    def replace(self, **changes: Any) -> Self:
        """A copy with the given fields changed."""
        return type(self)(**{**self.__dict__, **changes})
