"""The result of a time check. Pure."""

from __future__ import annotations

import math
from statistics import median
from typing import Any, ClassVar

from analyzer.core.errors import CannotMeasure
from analyzer.core.units import relative_change
from analyzer.regression.outcome import TOTAL, Change, CheckResult, ModelCheck, Outcome
from analyzer.regression.paired.changed_modules import ModuleTime
from analyzer.regression.paired.collect_pairs import PairSample, is_confirmed
from analyzer.regression.paired.one_pair import BASE, HEAD
from analyzer.regression.paired.sequential_test import (
    MIN_PAIRS,
    Estimate,
    Rules,
    final_outcome,
    is_significant_alone,
    minimum_detectable_change,
    trimmed_mean,
)


class TimeCheck(ModelCheck):
    """One model, base compared with head. `confirmation` is the second sample, if the first showed a regression.

    `counts` compares the counts of a model that regressed, if both sides can be counted, and `modules` are those whose
    own time changed.
    """

    sample: PairSample = PairSample()
    confirmation: PairSample | None = None
    counts: ModelCheck | None = None
    modules: tuple[ModuleTime, ...] = ()

    @property
    def estimate(self) -> Estimate | None:
        """The estimate that decided; without enough pairs for a decision, that of three pairs or more."""
        return _estimate(self.sample)

    @property
    def wall_change(self) -> float | None:
        """The change in wall time as a ratio minus 1; shown, not tested."""
        pairs = self.sample.pairs
        return math.expm1(trimmed_mean([pair.wall_log_ratio for pair in pairs]).mean) if len(pairs) > 2 else None


class TimeResult(CheckResult):
    """`base` and `head` as shown to the user. A `self_test` compares one state with itself and never fails."""

    title: ClassVar[str] = "Time check"
    suite: ClassVar[str] = "analyze check, time"
    action: ClassVar[str] = "timed"

    checks: tuple[TimeCheck, ...] = ()
    base: str = ""
    head: str = ""
    rules: Rules = Rules()
    budget_s: float = 60.0
    self_test: bool = False
    notes: tuple[str, ...] = ()
    device: str = "cpu"

    @property
    def inconclusive(self) -> bool:
        return super().inconclusive and not self.self_test

    def fails(self, change: Change) -> bool:
        return super().fails(change) and not self.self_test

    def pairs_in_budget(self, check: TimeCheck) -> int:
        """At least the pairs measured: the last one may exceed the budget by half its duration."""
        measured = len(check.sample.pairs)
        return max(measured, int(self.budget_s / check.sample.seconds_per_pair)) if measured else 0

    def minimum_detectable_change(self, check: TimeCheck) -> float | None:
        """The smallest growth that the budget can detect here, as a ratio minus 1; None for too few pairs."""
        pairs = self.pairs_in_budget(check)
        if len(check.sample.pairs) < MIN_PAIRS:
            return None
        return minimum_detectable_change(check.sample.log_ratios, pairs, self.rules)

    def json_fields(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "head": self.head,
            "self_test": self.self_test,
            "device": self.device,
            "notes": list(self.notes),
            "rules": dict(vars(self.rules)),
            "times": [self._check_to_json(check) for check in self.checks],
            "records": [],
        }

    def _check_to_json(self, check: TimeCheck) -> dict[str, Any]:
        return {
            "model": check.model,
            "outcome": check.outcome,
            "reason": check.reason or None,
            "device_s": {"base": median_s(check.sample, BASE), "head": median_s(check.sample, HEAD)},
            "wall_s": {
                "base": median_s(check.sample, BASE, wall=True),
                "head": median_s(check.sample, HEAD, wall=True),
            },
            "wall_ratio": None if check.wall_change is None else 1 + check.wall_change,
            "minimum_detectable_change": self.minimum_detectable_change(check),
            "pairs": _sample_to_json(check.sample),
            "confirmation": _sample_to_json(check.confirmation) if check.confirmation else None,
            "counts": _counts_to_json(check.counts) if check.counts else None,
            "modules": [dict(vars(module)) for module in check.modules],
        }


def _counts_to_json(counts: ModelCheck) -> list[dict[str, Any]]:
    """The totals and layers that differ."""
    keys = ("path", "metric", "op", "call", "before", "after")
    return [{key: getattr(change, key) for key in keys} for change in counts.changes if change.differs]


def check_times(
    model: str,
    device: str,
    sample: PairSample,
    confirmation: PairSample | None,
    rules: Rules,
    *,
    suspected: bool,
    level: float | None = None,
) -> TimeCheck:
    """One model's outcome, with the reason if it does not follow from the bounds alone.

    `suspected` is Holm's decision over all models at `level`, that of the lower bound; a suspected regression counts
    only if a confirmation supports it.
    """
    outcome, reason = _decide(sample, confirmation, rules, suspected=suspected)
    estimate = _estimate(sample)
    low = high = ratio = None
    if estimate:
        bounds = estimate.lower_bound(level or rules.alpha), estimate.mean, estimate.upper_bound(rules.alpha)
        low, ratio, high = map(math.exp, bounds)
    change = Change(
        model, TOTAL, device_metric(device), median_s(sample, BASE), median_s(sample, HEAD), outcome,
        low=low, high=high, paired_ratio=ratio,
    )  # fmt: skip
    missing = bool(sample.missing)
    error = CannotMeasure(reason) if outcome == "incomparable" and not missing else None
    return TimeCheck(
        model, (change,), reason=reason, error=error, missing=missing, sample=sample, confirmation=confirmation
    )


def device_metric(device: str) -> str:
    return "cpu_time" if device == "cpu" else "gpu_time"


def median_s(sample: PairSample, side: int, *, wall: bool = False) -> float | None:
    """The median over pairs of a side's device time or wall time of a pass, in seconds."""
    return median(pair.wall_s(side) if wall else pair.device_s(side) for pair in sample.pairs) if sample.pairs else None


def _estimate(sample: PairSample) -> Estimate | None:
    return sample.estimate or (trimmed_mean(sample.log_ratios) if len(sample.pairs) > 2 else None)


def _decide(
    sample: PairSample, confirmation: PairSample | None, rules: Rules, *, suspected: bool
) -> tuple[Outcome, str]:
    if sample.failure:
        return "incomparable", sample.failure
    if sample.estimate is None:
        count = len(sample.pairs)
        shortage = f"{count} pair{'s' if count != 1 else ''}, {MIN_PAIRS} are needed"
        if sample.lost:
            return "incomparable", f"{sample.lost[-1]}; {shortage}"
        return "inconclusive", f"the time budget allowed {shortage}; use --time-budget auto"
    if suspected and confirmation is not None and not is_confirmed(confirmation, rules):
        return "inconclusive", _unconfirmed(confirmation)
    outcome = final_outcome(sample.estimate, rules, regressed=suspected)
    if outcome == "inconclusive" and is_significant_alone(sample.estimate, rules):
        return outcome, f"growth would be significant for this model alone, but not among {rules.models} models"
    return outcome, ""


def _unconfirmed(confirmation: PairSample) -> str:
    if confirmation.failure or (confirmation.lost and not confirmation.sufficient):
        return f"growth could not be measured again: {confirmation.failure or confirmation.lost[-1]}"
    if confirmation.estimate is None:
        return f"growth not confirmed: only {len(confirmation.pairs)} pairs of new processes fit in the time budget"
    ratio = math.exp(confirmation.estimate.mean)
    return f"growth not confirmed: {relative_change(1, ratio, fewer='less')} with new processes"


def _sample_to_json(sample: PairSample) -> dict[str, Any]:
    return {
        "seconds": sample.seconds,
        "lost": list(sample.lost),
        "log_ratios": sample.log_ratios,
        "wall_log_ratios": [pair.wall_log_ratio for pair in sample.pairs],
        "generations": [pair.generation for pair in sample.pairs],
    }
