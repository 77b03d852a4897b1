"""From pairs to a word. Pure: a log ratio of head ÷ base a pair comes in; bounds, outcomes and what to do next go out.

The bounds are one-sided at 99 % by Student's t over pairs, never over calls, which hang together. Their centre is the
mean without the fifth of pairs that is lowest and the fifth that is highest, and their error Yuen's (1974): on a shared
machine one pair in twenty is disturbed beyond anything a normal distribution has, and would hide what the others show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from analyzer.core.frozen import Frozen
from analyzer.regression.verdict import Outcome

ALPHA = 0.01
# Each look is one more chance to be wrong. Three are taken on the way, each with its share of ALPHA, and the last,
# whenever it is, has what is left.
LOOKS = {10: 0.1, 20: 0.2, 40: 0.2}
LEAST_PAIRS = min(LOOKS)
CONFIRM_ALPHA = 0.1  # A second time, with parents of its own, after the first has said 99 %: what it must exclude is
# that the parents were to blame, and every real regression that it misses is missed.
TRIM = 0.2
POWER = 0.95


class Rules(Frozen):
    """`tolerance` is the growth that passes, `limit` the growth that must be excluded, both 0.01 for 1 %.

    `models` share `alpha`: one of many is seldom wrong by chance, but of many one often is.
    """

    tolerance: float = 0.01
    limit: float = 0.05
    alpha: float = ALPHA
    models: int = 1


class Estimate(Frozen):
    """What so many pairs say: the centre of their log ratios, its standard error, and `share` of alpha at this look."""

    pairs: int
    centre: float
    error: float
    freedom: int
    share: float

    def low(self, alpha: float) -> float:
        """With confidence 1 - alpha · share the true log ratio is above this."""
        return self.centre - self._reach(alpha)

    def high(self, alpha: float) -> float:
        return self.centre + self._reach(alpha)

    def above(self, threshold: float) -> float:
        """The p-value of "not above this threshold", corrected for the looks."""
        from scipy.stats import t

        if not self.error:
            return 0.0 if self.centre > threshold else 1.0
        return min(1.0, float(t.sf((self.centre - threshold) / self.error, self.freedom)) / self.share)

    def _reach(self, alpha: float) -> float:
        return student(alpha * self.share, self.freedom) * self.error


def student(alpha: float, freedom: int) -> float:
    """What Student's t exceeds with probability alpha."""
    from scipy.stats import t

    return float(t.isf(alpha, freedom))


def share(pairs: int, *, ended: bool) -> float:
    """Of alpha, what the look after so many pairs may spend; 0 if there is none then.

    >>> share(9, ended=True), share(10, ended=False), share(15, ended=False), share(15, ended=True)
    (0.0, 0.1, 0.0, 0.9)
    """
    if pairs < LEAST_PAIRS:
        return 0.0
    if ended:
        return 1 - sum(one for at, one in LOOKS.items() if at < pairs)
    return LOOKS.get(pairs, 0.0)


def estimate(logs: Sequence[float], share: float = 1.0) -> Estimate:
    """The trimmed mean and its standard error: that of the winsorized sample, divided by what was kept."""
    ordered = sorted(logs)
    pairs, cut = len(ordered), int(TRIM * len(ordered))
    kept = ordered[cut : pairs - cut]
    winsorized = [kept[0]] * cut + kept + [kept[-1]] * cut
    error = stdev(winsorized) / ((1 - 2 * cut / pairs) * math.sqrt(pairs))
    return Estimate(pairs, fmean(kept), error, len(kept) - 1, share)


def settled(now: Estimate, rules: Rules) -> Outcome | None:
    """What further pairs would not change, or None while they might.

    "unchanged" ends it early only where growth beyond the tolerance is excluded: excluding the limit takes few pairs,
    and would leave no time to find what lies between the two.
    """
    tolerance = math.log1p(rules.tolerance)
    if now.above(tolerance) <= rules.alpha / rules.models:
        return "regressed"
    high = now.high(rules.alpha)
    if high < -tolerance:
        return "improved"
    return "unchanged" if high < tolerance else None


def outcome(now: Estimate, rules: Rules, *, regressed: bool) -> Outcome:
    """The word when time is up; `regressed` is Holm's, who has seen all models."""
    tolerance = math.log1p(rules.tolerance)
    if regressed:
        return "regressed"
    high = now.high(rules.alpha)
    if high < -tolerance:
        return "improved"
    # One that grew by its own pairs, though not by Holm's measure, is not called unchanged.
    grown = now.above(tolerance) <= rules.alpha
    return "unchanged" if high < math.log1p(rules.limit) and not grown else "unclear"


def holm(p_values: Mapping[str, float], alpha: float = ALPHA) -> set[str]:
    """The names rejected at a family-wise alpha: from the smallest, each held against alpha ÷ those that are left.

    >>> sorted(holm({"a": 0.004, "b": 0.006, "c": 0.02}))  # 0.004 > 0.01 / 3
    []
    >>> sorted(holm({"a": 0.003, "b": 0.004, "c": 0.02}))  # 0.003 < 0.01 / 3; 0.004 < 0.01 / 2; 0.02 > 0.01
    ['a', 'b']
    """
    rejected: set[str] = set()
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        if p_values[name] > alpha / (len(p_values) - rank):
            break
        rejected.add(name)
    return rejected


def smallest(logs: Sequence[float], pairs: int, rules: Rules) -> float:
    """The smallest growth that so many pairs like these call regressed with probability 0.95, as a ratio less 1."""
    seen = estimate(logs)
    kept = pairs - 2 * int(TRIM * pairs)
    error = seen.error * math.sqrt(seen.pairs / pairs)
    reach = student(rules.alpha * share(pairs, ended=True) / rules.models, kept - 1) + student(1 - POWER, kept - 1)
    return math.expm1(math.log1p(rules.tolerance) + reach * error)
