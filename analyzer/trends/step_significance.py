"""Tests whether a series of logarithms of times has a step at a given run, by the noise of that series.

Yuen's test compares the 20 % trimmed means of the runs before and after (Yuen 1974, Biometrika 61), so that disturbed
runs count little. Successive runs of a machine drift together and carry less information than independent ones: the
variance is multiplied by the long-run factor of Newey and West (1987, Econometrica 55).

Runners of two kinds that alternate have two levels, and a few runs of one kind in a row look like a step. Trimming
hides that the other runs have this level too, and so Fisher's exact test must show that the two levels separate.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

MIN_LOG_CHANGE = math.log(1.04)  # Smaller steps are seldom the code's: recompilation alone moves functions by as much.
P_VALUE = 5e-5  # Low, since every run of a series is a candidate, and a project has many series.
MIXTURE_P_VALUE = 0.01
POWER = 0.95
TRIM = 0.2
LAGS = 4
CLIP = 3  # Standard deviations at which a deviation no longer counts more for the correlation of runs.
# Standard deviation of a series without noise: a clock's resolution, or too few runs to show any.
MIN_DEVIATION = 0.002
NEXT_RUNS = 10
ROUNDING = 1e-9  # Sums of equal probabilities differ by less, as a ratio.

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


def difference_noise(levels: Array) -> float:
    """The noise as a standard deviation, from the median absolute difference of successive runs; robust to steps."""
    return float(np.median(np.abs(np.diff(levels)))) / (0.6745 * math.sqrt(2)) if len(levels) > 1 else 0.0


def step_p_value(levels: Array, cut: int) -> float:
    """Two-sided p-value of "the runs before and after `cut` have the same level".

    1 for less than MIN_LOG_CHANGE, and where two levels that alternate explain the difference.
    """
    left, right = levels[:cut], levels[cut:]
    if abs(float(np.median(right) - np.median(left))) < MIN_LOG_CHANGE:
        return 1.0
    if mixture_p_value(left, right) > MIXTURE_P_VALUE:
        return 1.0
    from scipy.stats import t

    error, freedom = step_error(left, right)
    return 2 * float(t.sf(abs(_trimmed(right) - _trimmed(left)) / error, freedom))


def mixture_p_value(left: Array, right: Array) -> float:
    """The probability that runs of two alternating levels split as well as this somewhere by chance.

    Fisher's exact test (Fisher 1934, ch. 4) of the side of a run against its level, which is above or below the middle
    of the two medians. Any cut could split the runs: each adds, in both directions, the largest p-value that is
    possible there and does not exceed the observed p-value (Tarone 1990, Biometrics 46). 0 if no run has the other
    side's level.
    """
    old, new = float(np.median(left)), float(np.median(right))
    early, late = (int(np.sum((side > (old + new) / 2) == (new > old))) for side in (left, right))  # At the new level.
    if not early and late == len(right):
        return 0.0
    runs, changed = len(left) + len(right), early + late
    observed = _split_probabilities(runs, changed, len(right))[::-1][: min(changed, len(right)) - late + 1].sum()
    total = 0.0
    for drawn in range(1, runs):
        probabilities = _split_probabilities(runs, changed, drawn)
        for tails in (np.cumsum(probabilities), np.cumsum(probabilities[::-1])):
            total += float(tails[tails <= observed * (1 + ROUNDING)].max(initial=0.0))
    return min(1.0, total)


def _split_probabilities(runs: int, changed: int, drawn: int) -> Array:
    """The probability of each possible number of changed runs among the drawn ones, fewest first (hypergeometric)."""
    from scipy.special import gammaln

    def log_choose(total: int, chosen: Any) -> Any:
        return gammaln(total + 1) - gammaln(chosen + 1) - gammaln(total - chosen + 1)

    hits = np.arange(max(0, drawn + changed - runs), min(changed, drawn) + 1)
    logs = log_choose(changed, hits) + log_choose(runs - changed, drawn - hits) - log_choose(runs, drawn)
    return np.asarray(np.exp(logs))


def detectable_step(levels: Array) -> float | None:
    """The smallest step that ten more runs would show with probability 0.95 after these runs, as a logarithm.

    None for fewer than four runs, whose noise is unknown.
    """
    if len(levels) < LAGS:
        return None
    from scipy.stats import t

    deviation, factor = _pooled_deviation(levels), _long_run_factor([levels])
    runs = len(levels)
    error = deviation * math.sqrt((1 / runs + 1 / NEXT_RUNS) * factor)
    freedom = max((_kept(runs) + _kept(NEXT_RUNS) - 2) / factor, 1.0)
    return max(MIN_LOG_CHANGE, float(t.isf(P_VALUE / 2, freedom) + t.isf(1 - POWER, freedom)) * error)


def step_error(left: Array, right: Array) -> tuple[float, float]:
    """Standard error of the difference of trimmed means, and its degrees of freedom."""
    factor = _long_run_factor([left, right])
    deviation = _pooled_deviation(left, right)
    freedom = max((_kept(len(left)) + _kept(len(right)) - 2) / factor, 1.0)
    return deviation * math.sqrt((1 / len(left) + 1 / len(right)) * factor), freedom


def _pooled_deviation(*sides: Array) -> float:
    """Standard deviation of the winsorized runs about their sides' means, divided by the share that trimming keeps."""
    squares = sum(float(np.var(_winsorized(side))) * len(side) for side in sides)
    runs = sum(map(len, sides))
    kept = math.prod(_kept(len(side)) / len(side) for side in sides) ** (1 / len(sides))
    return max(math.sqrt(squares / max(runs - len(sides), 1)) / kept, MIN_DEVIATION)


def _long_run_factor(sides: list[Array]) -> float:
    """Long-run variance ÷ variance: 1 + 2 Σ (1 - k / 5) ρ_k over four lags (Newey and West 1987), at least 1.

    Deviations from a level that the same runs determine are correlated too low by about 1 / n (Kendall 1954) for
    each side, which is added.
    """
    deviations = [side - np.median(side) for side in sides]
    limit = CLIP * float(np.median(np.abs(np.concatenate(deviations)))) / 0.6745
    clipped = [np.clip(side, -limit, limit) for side in deviations]
    variance, runs = sum(float((side**2).sum()) for side in clipped), sum(map(len, clipped))
    if not variance:
        return 1.0
    factor = 1.0
    for lag in range(1, LAGS + 1):
        products = sum(float((side[lag:] * side[:-lag]).sum()) for side in clipped if len(side) > lag)
        factor += 2 * (1 - lag / (LAGS + 1)) * (products / variance + 2 / runs)
    return max(factor, 1.0)


def _kept(runs: int) -> int:
    return runs - 2 * _trimmed_runs(runs)


def _trimmed_runs(runs: int) -> int:
    """How many runs are trimmed at each end: at least one, since one of four disturbed runs must not hide a step."""
    return min(max(int(TRIM * runs), 1), (runs - 1) // 2)


def _trimmed(side: Array) -> float:
    cut = _trimmed_runs(len(side))
    return float(np.mean(np.sort(side)[cut : len(side) - cut]))


def _winsorized(side: Array) -> Array:
    cut, ordered = _trimmed_runs(len(side)), np.sort(side)
    return np.clip(ordered, ordered[cut], ordered[len(side) - 1 - cut])
