"""Frozen data without generated code.

A frozen `dataclass` compiles its methods when its module is imported: 0.6 to 1 ms each, and a whole
`analyze --variant googlenet` with some thirty of them would spend a quarter of its time there. Here the methods are
written once and shared. Type checkers see a frozen dataclass (PEP 681).
"""

from __future__ import annotations

from inspect import get_annotations
from typing import Any, ClassVar, NoReturn, Self, dataclass_transform


@dataclass_transform(frozen_default=True)
class Frozen:
    """Subclass it with annotated fields, defaults as usual. Equal by type and value; never changed, only replaced."""

    fields: ClassVar[tuple[str, ...]] = ()
    names: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        own = get_annotations(cls)
        new = (name for name, kind in own.items() if not str(kind).startswith("ClassVar"))
        cls.fields = tuple(dict.fromkeys((*cls.fields, *new)))
        cls.names = frozenset(cls.fields)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not args and kwargs.keys() == self.names:  # All by name, as a counter makes its rows: nothing to work out.
            self.__dict__.update(kwargs)
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
                if not hasattr(type(self), name):
                    raise TypeError(f"{type(self).__name__} misses a value for {name!r}")
                values[name] = getattr(type(self), name)
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
        """A copy with those fields changed."""
        return type(self)(**{**self.__dict__, **changes})
