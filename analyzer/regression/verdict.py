"""What a gate says of one figure, and the words it says it in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen

Outcome: TypeAlias = Literal["regressed", "improved", "unchanged", "unclear", "incomparable"]
# Of several outcomes the first of these stands for all. Counts are never unclear; times are.
PRECEDENCE: tuple[Outcome, ...] = ("regressed", "incomparable", "unclear", "improved", "unchanged")

Figure: TypeAlias = int | float | None


class Verdict(Frozen):
    """One figure before and after. `path` is `total` for the whole model, and else a layer's, with its `op` and `call`.

    An `op` without a `call` is a kind of operator, counted by its `calls` or, where it has no formula, `unknown_ops`.
    A side that does not exist is None, never 0. `low` and `high` bound the ratio where it was measured, and are None
    where it was counted. `budget` is the limit that `after` was held against in place of a baseline.
    """

    model: str
    path: str
    metric: str
    before: Figure
    after: Figure
    outcome: Outcome
    mode: str = "inference"
    op: str = ""
    call: int = 0
    low: float | None = None
    high: float | None = None
    budget: Figure = None

    @property
    def ratio(self) -> float | None:
        """After ÷ before; None where either is missing or before is 0."""
        return None if self.after is None or not self.before else self.after / self.before

    @property
    def differs(self) -> bool:
        """Whether there are two figures and they are not the same; a budget has one."""
        return self.budget is None and self.before != self.after


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome that stands for all: regressed before everything else, unchanged if there is none."""
    return min(outcomes, key=PRECEDENCE.index, default="unchanged")
