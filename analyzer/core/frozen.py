"""Immutable data classes without generated code.

`@dataclass(frozen=True)` compiles its methods on import, 0.6 to 1 ms per class. A run of `analyze --variant googlenet`
has about thirty such classes, a quarter of its time. Here all classes share the same methods. Type checkers treat a
subclass as a frozen dataclass (PEP 681).
"""

from __future__ import annotations

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
        named = {**self.defaults, **kwargs}
        if not args and named.keys() == self.names:  # The fast path: counters pass fields by name.
            self.__dict__.update(named)
            return
        if len(args) > len(self.fields):
            raise TypeError(f"{type(self).__name__} takes {len(self.fields)} values, got {len(args)}")
        values = dict(zip(self.fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in self.fields or name in values:
                raise TypeError(f"{type(self).__name__} got an unexpected or repeated value {name!r}")
            values[name] = value
        for name in self.fields[len(args) :]:
            if name not in values:
                if name not in self.defaults:
                    raise TypeError(f"{type(self).__name__}() is missing the field {name!r}")
                values[name] = self.defaults[name]
        self.__dict__.update(values)

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
