"""Everything that one time check found, and what it exits with. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

from analyzer.core.frozen import Frozen
from analyzer.core.units import signed_percent
from analyzer.regression.paired.measure import Gathered, by_model, confirmed
from analyzer.regression.paired.sequential_test import (
    LEAST_PAIRS,
    Estimate,
    Rules,
    estimate,
    holm,
    outcome,
    smallest,
)
from analyzer.regression.verdict import Outcome, Verdict


class Timed(Frozen):
    """One model, base against head. `again` is the second time, where the first said "regressed"."""

    model: str
    outcome: Outcome
    first: Gathered
    again: Gathered | None = None
    reason: str = ""

    @property
    def shown(self) -> Gathered:
        """The pairs that the figures are of: both times where there are two, since both are of these two states."""
        return self.first if self.again is None else self.first.replace(pairs=self.first.pairs + self.again.pairs)

    @property
    def estimate(self) -> Estimate | None:
        """What decided: of the first time, and of any number of pairs."""
        if self.first.estimate is not None:
            return self.first.estimate
        return estimate(self.first.logs) if len(self.first.pairs) > 2 else None

    @property
    def wall(self) -> float | None:
        """The change in wall time, as a ratio less 1; shown, never judged."""
        pairs = self.first.pairs
        return math.expm1(estimate([one.wall for one in pairs]).centre) if len(pairs) > 2 else None

    def own_s(self, side: int) -> float | None:
        return median(one.own_s(side) for one in self.first.pairs) if self.first.pairs else None

    def wall_s(self, side: int) -> float | None:
        return median(one.wall_s(side) for one in self.first.pairs) if self.first.pairs else None


class Times(Frozen):
    """`base` and `head` as a person names them. A `self_test` is one state against itself, and judges nothing."""

    base: str
    head: str
    rules: Rules
    budget_s: float
    timed: tuple[Timed, ...]
    self_test: bool = False
    notes: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def metric(self) -> str:
        return "cpu_time" if self.device == "cpu" else "gpu_time"

    @property
    def failures(self) -> tuple[Timed, ...]:
        return () if self.self_test else tuple(one for one in self.timed if one.outcome == "regressed")

    @property
    def unmeasured(self) -> tuple[Timed, ...]:
        return tuple(one for one in self.timed if one.outcome == "incomparable")

    @property
    def unclear(self) -> tuple[Timed, ...]:
        return tuple(one for one in self.timed if one.outcome == "unclear")

    @property
    def status(self) -> str:
        """The envelope's word."""
        return "failed" if self.failures else "partial" if self.unmeasured else "ok"

    def floor(self, one: Timed) -> float | None:
        """The smallest growth of a model that its budget can show here, as a ratio less 1; None of too few pairs."""
        fit = int(self.budget_s / one.first.pair_s) if one.first.pairs else 0
        known = len(one.first.pairs) > 2 and fit >= LEAST_PAIRS
        return smallest(one.first.logs, fit, self.rules) if known else None


def exit_status(times: Times, *, strict: bool) -> int:
    """1 regressed, 3 a model could not be measured on both sides, 4 unclear under `strict`; improvements never fail."""
    if times.failures:
        return 1
    if times.unmeasured:
        return 3
    return 4 if strict and times.unclear and not times.self_test else 0


def suspected(found: Mapping[str, Gathered], rules: Rules) -> set[str]:
    """The models that Holm calls regressed, to be confirmed."""
    return holm(by_model(found, rules), rules.alpha)


def judged(model: str, first: Gathered, again: Gathered | None, rules: Rules, *, suspect: bool) -> Timed:
    """One model's word, with the reason where it is not the figures alone."""
    if first.failed:
        return Timed(model, "incomparable", first, reason=first.failed)
    now = first.estimate
    if now is None:
        few = f"{len(first.pairs)} pair{'s' if len(first.pairs) != 1 else ''}, {LEAST_PAIRS} are wanted"
        if first.lost:
            return Timed(model, "incomparable", first, reason=f"{first.lost[-1]}; {few}")
        return Timed(model, "unclear", first, reason=f"time was up after {few}; give more with --time-budget")
    if suspect and again is not None and not confirmed(again, rules):
        return Timed(model, "unclear", first, again, _not_confirmed(again))
    return Timed(model, outcome(now, rules, regressed=suspect), first, again)


def _not_confirmed(again: Gathered) -> str:
    if again.failed or (again.lost and not again.enough):
        return f"grew, and could not be measured again: {again.failed or again.lost[-1]}"
    if again.estimate is None:
        return f"grew, and only {len(again.pairs)} pairs of new parents fit in the time: not confirmed"
    return f"grew, and by new parents {signed_percent(again.estimate.centre)}: not confirmed"


def verdicts(times: Times) -> tuple[Verdict, ...]:
    """DESIGN's verdicts: own time a pass in seconds, `low` and `high` bounds of the ratio."""
    found, alpha = [], times.rules.alpha
    for one in times.timed:
        now = one.estimate
        bounds = (None, None) if now is None else (math.exp(now.low(alpha)), math.exp(now.high(alpha)))
        found.append(Verdict(one.model, "total", times.metric, one.own_s(0), one.own_s(1), one.outcome,
                             low=bounds[0], high=bounds[1]))  # fmt: skip
    return tuple(found)
