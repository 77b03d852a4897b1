"""A claim with its verdict, and the comparison of a printed number with a counted number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias, get_args

from analyzer.core.frozen import Frozen
from analyzer.core.printable_results import Displayed
from analyzer.records.record import Record, restrict
from analyzer.records.record_json import envelope
from analyzer.records.rows import Totals

Verdict: TypeAlias = Literal["confirmed", "confirmed under a condition", "not reproduced", "not decidable by counting"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Match: TypeAlias = Literal["exact", "truncated", "differs"]

PAPER = "Szegedy et al. 2014"
NOTE = "study note of 2019-09-12"


class Claim(Displayed, Frozen):
    """A sentence from a text, and its verdict.

    `computed` is the counted result, `operands` the counted numbers behind it. `condition` explains the verdict; it is
    empty only for a plain "confirmed". `summary` is `computed` as a short text and `formula` its arithmetic; neither is
    part of the JSON.
    """

    id: str
    claim: str
    source: str
    operands: Mapping[str, int | float]
    computed: int | float | Sequence[Any] | Mapping[str, Any]
    verdict: Verdict
    condition: str
    summary: str
    formula: str = ""

    def _summary(self) -> str:
        return f"{self.id}: {self.verdict}"


class Claims(Displayed, tuple[Claim, ...]):
    """Several claims, shown as one table."""

    def _summary(self) -> str:
        return ", ".join(f"{claim.id}: {claim.verdict}" for claim in self)


class Printed(Frozen):
    """A number as a text prints it: 112.9M is `Printed("112.9", 10**6)`."""

    digits: str
    unit: int = 1

    @property
    def value(self) -> Fraction:
        return Fraction(self.digits) * self.unit

    @property
    def step(self) -> Fraction:
        """A unit in the last printed place: 100,000 for 112.9M."""
        return Fraction(self.unit, 10 ** len(self.digits.partition(".")[2]))

    def match(self, counted: float | Fraction) -> Match:
        """Compares the printed number with the counted one.

        exact: correctly rounded; halfway between two printed numbers, both are. truncated: the counted number with its
        further digits cut off. differs: neither.
        """
        counted = Fraction(counted)
        if 2 * abs(counted - self.value) <= self.step:
            return "exact"
        return "truncated" if counted // self.step * self.step == self.value else "differs"

    def is_exact(self, counted: float | Fraction) -> bool:
        return self.match(counted) == "exact"


def confirmed_if(condition: bool) -> Verdict:
    return "confirmed" if condition else "not reproduced"


def module_totals(record: Record, module: str) -> Totals:
    """The sums of one module of a record, by path or role; all zero if it has no such module."""
    return restrict(record, module).totals


def dump(claims: Iterable[Claim]) -> str:
    """The claims as JSON in the common envelope, with a final newline."""
    keys = [key for key in Claim.fields if key not in ("summary", "formula")]
    listed = [{key: getattr(claim, key) for key in keys} for claim in claims]
    return envelope("ok", claims=listed)
