"""A claim and its verdict, and when a printed figure counts as met."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal, TypeAlias, get_args

from analyzer.core.frozen import Frozen
from analyzer.records.envelope import SCHEMA_VERSION
from analyzer.records.record import Record, Totals, restrict

Verdict: TypeAlias = Literal["confirmed", "confirmed under a condition", "not reproduced", "not decidable by counting"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
Match: TypeAlias = Literal["exact", "truncated", "differs"]

PAPER = "Szegedy et al. 2014"
NOTE = "study note of 2019-09-12"


class Claim(Frozen):
    """One sentence that others wrote, and what counting says of it.

    `operands` are the numbers that went in, `computed` what came out; both are counted anew whenever the claim is
    asked for. `condition` is what the verdict hangs on: empty only where a plain "confirmed" says all. `figure` is
    `computed` in a word, for the eye and not part of the JSON.
    """

    id: str
    claim: str
    source: str
    operands: Mapping[str, int | float]
    computed: int | float | Sequence[Any] | Mapping[str, Any]
    verdict: Verdict
    condition: str
    figure: str


class Printed(Frozen):
    """A figure as a text prints it: 112.9M is `Printed("112.9", 10**6)`."""

    digits: str
    unit: int = 1

    @property
    def value(self) -> Fraction:
        return Fraction(self.digits) * self.unit

    @property
    def step(self) -> Fraction:
        """One in the last printed place: 112.9M steps by 100,000."""
        return Fraction(self.unit, 10 ** len(self.digits.partition(".")[2]))

    def match(self, counted: float | Fraction) -> Match:
        """How the printed figure stands to the counted one.

        exact: no figure of the printed precision is nearer; halfway between two, both are. truncated: the counted
        figure with its further digits cut off. differs: neither.
        """
        counted = Fraction(counted)
        if 2 * abs(counted - self.value) <= self.step:
            return "exact"
        return "truncated" if counted // self.step * self.step == self.value else "differs"

    def met(self, counted: float | Fraction) -> bool:
        """Whether a text may print this for the counted figure."""
        return self.match(counted) == "exact"


def confirmed_if(holds: bool) -> Verdict:
    return "confirmed" if holds else "not reproduced"


def part(record: Record, module: str) -> Totals:
    """The sums of one module of a record, by path or role; all zero where it has no such module."""
    return restrict(record, module).totals


def dump(claims: Iterable[Claim]) -> str:
    """The claims in the envelope that every result has, as text with a final newline."""
    keys = [key for key in Claim.fields if key != "figure"]
    listed = [{key: getattr(claim, key) for key in keys} for claim in claims]
    return (
        json.dumps({"schema_version": SCHEMA_VERSION, "status": "ok", "claims": listed}, ensure_ascii=False, indent=1)
        + "\n"
    )
