"""Compares two runs of pytest-benchmark that have raw samples. Pure.

The runs are not paired: their difference includes changes of the machine's speed between them. With several benchmarks
that part can be estimated, since a change to the code leaves most of them alone: what they share is the machine's, and
their spread is the noise. With few benchmarks the usual difference between two runs of the same code is assumed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, ClassVar

from analyzer.regression.benchmarks.sample_times import BenchmarkTime, estimate_time
from analyzer.regression.outcome import TOTAL, Change, CheckResult, ModelCheck, Outcome
from analyzer.regression.paired.sequential_test import POWER, Estimate, Rules, critical_value, holm_levels
from analyzer.trends.point import UNKNOWN
from analyzer.trends.pytest_benchmark import BenchmarkRun

MIN_BENCHMARKS = 5  # To estimate the noise from the other benchmarks.
# Standard deviation of the log ratio of two runs of the same code. On shared machines 38 to 71 of 100 such pairs differ
# by more than 5 %, which is a standard deviation of 6 to 13 %; a single run does not show which of these a machine has.
DEFAULT_DEVIATION = 0.13
# A machine that is busy during one run and idle during the other gives heavier tails than a normal distribution. With
# more degrees of freedom more than 1 in 100 comparisons of equal runs would be called regressed.
DEGREES_OF_FREEDOM = 3
# Two runs of a benchmark differ by as much in memory layout alone, and a few benchmarks may agree by chance.
MIN_DEVIATION = 0.005
MAX_LOG_RATIO = math.log(1e6)  # A bound beyond this is shown as none.
ALL = "(all)"  # The check of the change that all benchmarks share.


class BenchmarkCheck(ModelCheck):
    """One benchmark. `estimate` is its log ratio, minus the change that all benchmarks share if that is known.

    `minimum_detectable_change` is the smallest growth detected with probability 0.95, as a ratio minus 1; None if there
    is none.
    """

    estimate: Estimate | None = None
    minimum_detectable_change: float | None = None


class BenchmarksResult(CheckResult):
    """`shared_log_ratio` is the median over all benchmarks, None for fewer than five of them.

    If it exceeds the limit, the last check is of this shared change, named ALL. It may be the machine's or the code's:
    it is regressed if two runs of the same code on a shared machine do not differ as much.
    """

    title: ClassVar[str] = "Benchmarks"
    suite: ClassVar[str] = "analyze check, benchmarks"

    checks: tuple[BenchmarkCheck, ...] = ()
    base: str = ""
    head: str = ""
    rules: Rules = Rules()
    shared_log_ratio: float | None = None

    @property
    def shifted(self) -> bool:
        """Whether all benchmarks together moved by more than the limit, be it the machine or the code."""
        return self.shared_log_ratio is not None and abs(self.shared_log_ratio) > math.log1p(self.rules.limit)

    @property
    def inconclusive(self) -> bool:
        return super().inconclusive or self.shifted

    def json_fields(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "head": self.head,
            "incomparable": self.incomparable or None,
            "shared_log_ratio": self.shared_log_ratio,
            "rules": dict(vars(self.rules)),
            "benchmarks": [
                {
                    "model": check.model,
                    "outcome": check.outcome,
                    "minimum_detectable_change": check.minimum_detectable_change,
                    "reason": check.reason or None,
                }
                for check in self.checks
            ],
            "records": [],
        }


def compare_runs(
    base: BenchmarkRun, head: BenchmarkRun, rules: Rules, names: tuple[str, str] = ("base", "head")
) -> BenchmarksResult:
    """Compares every benchmark of either run, in the head's order. `names` are the runs as shown to the user."""
    before, after = ({b.name: estimate_time(b) for b in run.benchmarks} for run in (base, head))
    order = list(dict.fromkeys([*after, *before]))
    reason = incompatibility(base.environment, head.environment)
    logs: dict[str, float] = {}
    if not reason:
        pairs = {name: (before[name].time_s, after[name].time_s) for name in order if name in before and name in after}
        logs = {name: math.log(new) - math.log(old) for name, (old, new) in pairs.items() if old and new}
    estimates = estimate_log_ratios(logs, {name: _sampling_error(before[name], after[name]) for name in logs})
    rules = rules.replace(models=max(len(estimates), 1))
    p_values = {name: e.p_value(math.log1p(rules.of(name).tolerance)) for name, e in estimates.items()}
    levels = holm_levels(p_values, rules.alpha)
    checks = tuple(
        _check(
            name, before.get(name), after.get(name), estimates.get(name), rules.of(name), level=levels.get(name, 0.0)
        )
        for name in order
    )
    shared = median(logs.values()) if len(logs) >= MIN_BENCHMARKS else None
    result = BenchmarksResult(checks, False, reason, *names, rules, shared)
    return result.replace(checks=(*checks, _shared_check(shared, rules))) if shared and result.shifted else result


def _shared_check(log_ratio: float, rules: Rules) -> BenchmarkCheck:
    """The median of all benchmarks against the differences between two runs of the same code."""
    estimate, alone = Estimate(1, log_ratio, DEFAULT_DEVIATION, DEGREES_OF_FREEDOM, 1.0), rules.replace(models=1)
    outcome, _ = decide(estimate, alone, alone.alpha)
    change = Change(
        ALL, TOTAL, "time", None, None, outcome, paired_ratio=math.exp(log_ratio),
        low=_bounded_ratio(estimate.lower_bound(rules.alpha)), high=_bounded_ratio(estimate.upper_bound(rules.alpha)),
    )  # fmt: skip
    detectable = minimum_detectable_change(estimate, alone)
    return BenchmarkCheck(ALL, (change,), estimate=estimate, minimum_detectable_change=detectable)


def incompatibility(base: Mapping[str, str], head: Mapping[str, str]) -> str:
    """How two machines differ, or empty if they do not."""
    if UNKNOWN in (base, head):
        return "the machine of at least one run is unknown"
    return "; ".join(
        f"{key} {base.get(key, 'unknown')} against {head.get(key, 'unknown')}"
        for key in dict.fromkeys([*base, *head])
        if base.get(key) != head.get(key)
    )


def estimate_log_ratios(logs: Mapping[str, float], sampling_errors: Mapping[str, float]) -> dict[str, Estimate]:
    """Each log ratio relative to the others, with a standard error from the others' spread and its own samples.

    The benchmark itself is left out of the spread, so that a change does not widen its own bounds.
    """
    estimates = {}
    for name, log in logs.items():
        center, deviation = 0.0, DEFAULT_DEVIATION
        if len(logs) >= MIN_BENCHMARKS:
            center, deviation = median_and_deviation([value for other, value in logs.items() if other != name])
        error = math.hypot(deviation, sampling_errors[name])
        estimates[name] = Estimate(1, log - center, error, DEGREES_OF_FREEDOM, 1.0)
    return estimates


def median_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """The median, and a standard deviation from the median absolute deviation (Rousseeuw and Croux 1993)."""
    center = median(values)
    # 0.6745 is the MAD of a standard normal distribution; 1 + 0.8 / n corrects its bias in small samples.
    mad = median(abs(value - center) for value in values)
    return center, max(mad / 0.6745 * (1 + 0.8 / len(values)), MIN_DEVIATION)


def decide(estimate: Estimate, rules: Rules, level: float, *, faster: bool = True) -> tuple[Outcome, str]:
    """The outcome, and the reason if it does not follow from the bounds alone. `level` is that of the lower bound.

    A benchmark improved only if it is `faster` than its base, and not only than the others, which may be slower.
    """
    tolerance = math.log1p(rules.tolerance)
    if estimate.p_value(tolerance) <= level:
        return "regressed", ""
    upper = estimate.upper_bound(rules.alpha)
    if upper < -tolerance and not faster:
        return "inconclusive", "faster than the other benchmarks, but not than before"
    if estimate.upper_bound(rules.alpha / rules.models) < -tolerance:
        return "improved", ""
    outcome: Outcome = "unchanged" if upper < math.log1p(rules.limit) else "inconclusive"
    return outcome, f"faster alone, but not significantly among {rules.models} benchmarks" if upper < -tolerance else ""


def minimum_detectable_change(estimate: Estimate, rules: Rules) -> float | None:
    """The growth that would be called regressed with probability 0.95 if no other benchmark changed."""
    freedom = estimate.degrees_of_freedom
    margin = critical_value(rules.alpha / rules.models, freedom) + critical_value(1 - POWER, freedom)
    ratio = _bounded_ratio(math.log1p(rules.tolerance) + margin * estimate.standard_error)
    return None if ratio is None else ratio - 1


def _check(
    name: str,
    before: BenchmarkTime | None,
    after: BenchmarkTime | None,
    estimate: Estimate | None,
    rules: Rules,
    *,
    level: float,
) -> BenchmarkCheck:
    change = Change(
        name, TOTAL, "time", before.time_s if before else None, after.time_s if after else None, "incomparable"
    )
    if estimate is None:
        reason = "" if before and after else "only in the base" if before else "only in this run"
        if before and after and not (before.time_s and after.time_s):
            reason = "a time of 0"
        return BenchmarkCheck(name, (change,), reason=reason, missing=True)
    outcome, reason = decide(estimate, rules, level, faster=(change.ratio or 1) < 1 - rules.tolerance)
    change = change.replace(
        outcome=outcome,
        low=_bounded_ratio(estimate.lower_bound(level)),
        high=_bounded_ratio(estimate.upper_bound(rules.alpha)),
    )
    detectable = minimum_detectable_change(estimate, rules)
    return BenchmarkCheck(name, (change,), reason=reason, estimate=estimate, minimum_detectable_change=detectable)


def _bounded_ratio(log: float) -> float | None:
    return math.exp(log) if log < MAX_LOG_RATIO else None


def _sampling_error(before: BenchmarkTime, after: BenchmarkTime) -> float:
    """The standard error of a log ratio as far as the samples within the two runs show it."""
    return math.hypot(*(DEFAULT_DEVIATION if t.error is None else t.error for t in (before, after)))
