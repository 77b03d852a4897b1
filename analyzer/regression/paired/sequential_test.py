"""The group-sequential test that decides the outcome from pairs, given one log ratio of head ÷ base per pair.

Bounds are one-sided at 99 % by Student's t over pairs, not over calls, since the calls of a pair are correlated. The
estimate is the 20 % trimmed mean with Yuen's standard error (Yuen 1974, "The two-sample trimmed t for unequal
population variances", Biometrika 61): on a shared machine one pair in twenty is an outlier that would dominate a plain
mean.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from analyzer.core.frozen import Frozen
from analyzer.regression.outcome import Outcome

ALPHA = 0.01
# Number of pairs at an interim analysis → share of ALPHA spent there. The final analysis spends the rest (Bonferroni).
INTERIM_ALPHA = {10: 0.1, 20: 0.2, 40: 0.2, 80: 0.1, 160: 0.1}
# For the final analysis, so that a model with long passes can fail too. With so few pairs only a large change is
# detected: Student's t of two degrees of freedom exceeds 6.96 with probability 1 %.
MIN_PAIRS = 3
# The confirmation starts new processes after the first run has rejected at 99 %. It only has to exclude that the first
# processes were the cause, and a stricter level would miss real regressions.
CONFIRMATION_ALPHA = 0.1
TRIM = 0.2
POWER = 0.95
MAX_PAIRS = 2000  # Of an estimate; more take hours.


class Rules(Frozen):
    """`tolerance` is the growth that passes, `limit` the growth that must be excluded, both relative: 0.01 for 1 %.

    `models` is the number of models that share `alpha`, the family-wise error rate. `tolerances` are those of single
    models.
    """

    tolerance: float = 0.01
    limit: float = 0.05
    alpha: float = ALPHA
    models: int = 1
    tolerances: Mapping[str, float] = {}

    def of(self, model: str) -> Rules:
        """The rules with this model's tolerance."""
        return self.replace(tolerance=self.tolerances.get(model, self.tolerance))


class Estimate(Frozen):
    """The mean log ratio of `pairs` pairs. `alpha_share` is the share of alpha that this analysis may spend."""

    pairs: int
    mean: float
    standard_error: float
    degrees_of_freedom: int
    alpha_share: float

    def lower_bound(self, alpha: float) -> float:
        """The true log ratio is above this with confidence 1 - alpha · alpha_share."""
        return self.mean - self._half_width(alpha)

    def upper_bound(self, alpha: float) -> float:
        return self.mean + self._half_width(alpha)

    def p_value(self, threshold: float) -> float:
        """One-sided p-value of "not above this threshold", divided by the analysis's share of alpha."""
        from scipy.stats import t

        if not self.standard_error:
            return 0.0 if self.mean > threshold else 1.0
        statistic = (self.mean - threshold) / self.standard_error
        return min(1.0, float(t.sf(statistic, self.degrees_of_freedom)) / self.alpha_share)

    def _half_width(self, alpha: float) -> float:
        return critical_value(alpha * self.alpha_share, self.degrees_of_freedom) * self.standard_error


def critical_value(alpha: float, degrees_of_freedom: int) -> float:
    """The value that Student's t exceeds with probability alpha."""
    from scipy.stats import t

    return float(t.isf(alpha, degrees_of_freedom))


def alpha_share(pairs: int, *, final: bool) -> float:
    """The share of alpha that an analysis after this number of pairs may spend; 0 if there is no analysis.

    >>> [alpha_share(2, final=True), alpha_share(10, final=False), alpha_share(15, final=False)]
    [0.0, 0.1, 0.0]
    >>> [alpha_share(9, final=True), alpha_share(15, final=True)]
    [1, 0.9]
    """
    if final:
        return (
            0.0 if pairs < MIN_PAIRS else 1 - sum(share for interim, share in INTERIM_ALPHA.items() if interim < pairs)
        )
    return INTERIM_ALPHA.get(pairs, 0.0)


def trimmed_mean(log_ratios: Sequence[float], share: float = 1.0) -> Estimate:
    """The 20 % trimmed mean; its standard error is the winsorized sample's, divided by the share kept (Yuen 1974)."""
    ordered = sorted(log_ratios)
    pairs, cut = len(ordered), int(TRIM * len(ordered))
    kept = ordered[cut : pairs - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = stdev(winsorized) / ((1 - 2 * cut / pairs) * math.sqrt(pairs))
    return Estimate(pairs, fmean(kept), error, len(kept) - 1, share)


def early_outcome(estimate: Estimate, rules: Rules) -> Outcome | None:
    """The outcome that stops the sampling early, or None to go on.

    "unchanged" requires that growth above the tolerance is excluded. Excluding growth above the limit takes few pairs,
    and stopping then would miss growth between tolerance and limit.
    """
    tolerance = math.log1p(rules.tolerance)
    if estimate.p_value(tolerance) <= rules.alpha / rules.models:
        return "regressed"
    upper = estimate.upper_bound(rules.alpha)
    if upper < -tolerance:
        return "improved"
    return "unchanged" if upper < tolerance else None


def final_outcome(estimate: Estimate, rules: Rules, *, regressed: bool) -> Outcome:
    """The outcome when the time budget is spent; `regressed` is Holm's decision over all models."""
    tolerance = math.log1p(rules.tolerance)
    if regressed:
        return "regressed"
    upper = estimate.upper_bound(rules.alpha)
    if upper < -tolerance:
        return "improved"
    # Growth that is significant for this model alone, though not after Holm's correction, is not "unchanged".
    return (
        "unchanged" if upper < math.log1p(rules.limit) and not is_significant_alone(estimate, rules) else "inconclusive"
    )


def is_significant_alone(estimate: Estimate, rules: Rules) -> bool:
    """Whether growth above the tolerance is significant without a correction for the number of models."""
    return estimate.p_value(math.log1p(rules.tolerance)) <= rules.alpha


def holm_levels(p_values: Mapping[str, float], alpha: float = ALPHA) -> dict[str, float]:
    """The level at which Holm's procedure decides on each name.

    A lower bound at this level exceeds a threshold exactly if the procedure rejects "not above this threshold"
    (Strassburger and Bretz 2008, Statistics in Medicine 27).

    >>> holm_levels({"a": 0.004, "b": 0.02}, 0.01)  # Both are tested at 0.01 / 2, b at 0.01 once a is rejected.
    {'a': 0.005, 'b': 0.01}
    """
    levels: dict[str, float] = {}
    stopped: float | None = None
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        levels[name] = alpha / (len(p_values) - rank) if stopped is None else stopped
        if p_values[name] > levels[name]:
            stopped = levels[name]
    return levels


def holm(p_values: Mapping[str, float], alpha: float = ALPHA) -> set[str]:
    """The names rejected at family-wise error rate alpha by Holm's step-down procedure (Holm 1979).

    >>> sorted(holm({"a": 0.004, "b": 0.006, "c": 0.02}))  # 0.004 > 0.01 / 3
    []
    >>> sorted(holm({"a": 0.003, "b": 0.004, "c": 0.02}))  # 0.003 < 0.01 / 3; 0.004 < 0.01 / 2; 0.02 > 0.01
    ['a', 'b']
    """
    return {name for name, level in holm_levels(p_values, alpha).items() if p_values[name] <= level}


def minimum_detectable_change(log_ratios: Sequence[float], pairs: int, rules: Rules) -> float:
    """The smallest growth that `pairs` pairs like these detect with probability 0.95, as a ratio minus 1."""
    return math.expm1(math.log1p(rules.tolerance) + _detectable_margin(trimmed_mean(log_ratios), pairs, rules))


def needed_pairs(log_ratios: Sequence[float], rules: Rules) -> int:
    """The pairs after which the bounds exclude growth above the limit, or show growth above the tolerance.

    With probability 0.95 for growth midway between the two, which needs most pairs. Only the spread of the pairs so
    far is used, not their mean, so that the false-alarm rate stays the same (Kieser and Friede 2003, Statistics in
    Medicine 22).
    """
    pilot = trimmed_mean(log_ratios)
    target = (math.log1p(rules.limit) - math.log1p(rules.tolerance)) / 2
    candidates = range(max(pilot.pairs, MIN_PAIRS), MAX_PAIRS)
    return next((pairs for pairs in candidates if _detectable_margin(pilot, pairs, rules) <= target), MAX_PAIRS)


def _detectable_margin(pilot: Estimate, pairs: int, rules: Rules) -> float:
    """How far above a threshold a log ratio must be for `pairs` pairs to show it with probability 0.95."""
    freedom = pairs - 2 * int(TRIM * pairs) - 1
    error = pilot.standard_error * math.sqrt(pilot.pairs / pairs)
    alpha = rules.alpha * alpha_share(pairs, final=True) / rules.models
    return (critical_value(alpha, freedom) + critical_value(1 - POWER, freedom)) * error
