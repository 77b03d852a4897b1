"""The input and the output of an operator's formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

from analyzer.core.shapes import Shape


class Work(NamedTuple):
    """MACs and FLOPs of one call; FLOPs include twice the MACs."""

    macs: int = 0
    flops: int = 0


class Call(NamedTuple):
    """One operator call: a shape in place of every tensor (in lists too), everything else as it was passed."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Shape, ...]

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        """An argument by position, or by the name that the operator's schema gives it."""
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)


Formula: TypeAlias = Callable[[Call], Work]


def products(macs: int, operations: int = 0) -> Work:
    """MACs, and other operations such as a bias's additions."""
    return Work(macs, 2 * macs + operations)


def named(formula: Formula, names: str, namespace: str = "aten") -> dict[str, Formula]:
    """One formula under several names, given separated by spaces."""
    return {f"{namespace}::{name}": formula for name in names.split()}
