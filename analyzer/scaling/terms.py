"""Products of named sizes, of which the derivation of a number is a sum."""

from __future__ import annotations

from math import prod

from analyzer.core.frozen import Frozen


class Factor(Frozen):
    """One size in a product."""

    name: str
    value: int


class Term(Frozen):
    """A product: `batch · out channels · … `. `name` says what it counts."""

    name: str
    factors: tuple[Factor, ...]

    @property
    def value(self) -> int:
        return prod(factor.value for factor in self.factors)

    @property
    def symbols(self) -> str:
        return " · ".join(factor.name for factor in self.factors)

    @property
    def numbers(self) -> str:
        return " · ".join(f"{factor.value:,}" for factor in self.factors)


def product(name: str, /, **factors: int) -> Term:
    """Spaces in the names of factors are written as `_`, unless they come from a dictionary."""
    return Term(name, tuple(Factor(key.replace("_", " "), value) for key, value in factors.items()))
