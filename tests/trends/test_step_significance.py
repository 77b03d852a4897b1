"""The test of one step: by hand, with outliers, and with runs that drift together."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t, trim_mean, ttest_ind

from analyzer.trends.step_significance import (
    MIN_DEVIATION,
    detectable_step,
    difference_noise,
    mixture_p_value,
    step_p_value,
)

ALTERNATING = np.tile([0.0, 0.01], 10)  # Negatively correlated runs count as independent ones.


def test_the_p_value_is_that_of_yuens_test():
    """scipy's Yuen test does not pool the variances; for equal variances the two are nearly equal."""
    levels = np.concatenate([ALTERNATING, ALTERNATING + 0.05])
    ours, scipys = step_p_value(levels, 20), ttest_ind(levels[:20], levels[20:], trim=0.2).pvalue
    assert math.log10(ours) == pytest.approx(math.log10(scipys), rel=0.1)
    assert trim_mean(levels[20:], 0.2) - trim_mean(levels[:20], 0.2) == pytest.approx(0.05)


def test_outliers_count_little():
    levels = np.concatenate([ALTERNATING, ALTERNATING + 0.05])
    levels[[3, 30]] += 1.0
    assert step_p_value(levels, 20) < 1e-5


def test_the_mixture_p_value_is_fishers_exact_test_over_all_cuts():
    """Of 8 runs the last 3 and one other are changed: at cut 5 all last 3 are, with probability C(4,3) / C(8,3)."""
    left, right = np.array([0.0] * 4 + [1.0]), np.array([1.0] * 3)
    at_cut = {1: 0, 2: 0, 3: 4 / 56, 4: 1 / 70, 5: 4 / 56, 6: 0, 7: 0}  # Of the first or last runs, each all changed.
    assert mixture_p_value(left, right) == pytest.approx(2 * sum(at_cut.values()))
    assert mixture_p_value(-left, -right) == mixture_p_value(left, right)
    assert mixture_p_value(left[:4], right) == 0


def test_the_mixture_p_value_holds_for_the_best_cut_of_runs_in_a_random_order():
    rng, runs = np.random.default_rng(1), np.repeat([0.0, 1.0], [30, 10])

    def smallest(levels):
        cuts = [(levels[:cut], levels[cut:]) for cut in range(4, 37)]
        return min((mixture_p_value(*cut) for cut in cuts if np.median(cut[0]) != np.median(cut[1])), default=1.0)

    assert np.mean([smallest(rng.permutation(runs)) <= 0.05 for _ in range(200)]) <= 0.07


def test_one_disturbed_run_of_four_does_not_hide_a_step():
    levels = np.concatenate([np.tile(ALTERNATING, 2)[:36], np.full(4, 0.2)])
    for disturbed, shift in ((37, 0.6), (37, -0.1)):
        noisy = levels.copy()
        noisy[disturbed] += shift
        assert step_p_value(noisy, 36) < 1e-5


def test_four_runs_of_a_level_that_earlier_runs_had_are_no_step():
    """Two kinds of runners: the second level is trimmed from the earlier runs, whose noise then looks small."""
    earlier, last = np.tile([0.0, 0.01, 0.0, 0.01, 0.0, 0.15], 6), np.full(4, 0.15)
    assert step_p_value(np.concatenate([earlier, last]), len(earlier)) == 1.0
    assert step_p_value(np.concatenate([np.minimum(earlier, 0.01), last]), len(earlier)) < 1e-5


def test_runs_that_drift_together_count_less():
    drift = np.repeat(np.tile([0.0, 0.03], 4), 5)  # The same values as of ALTERNATING, five at a time.
    shuffled = np.tile([0.0, 0.03], 20)
    step = np.repeat([0.0, 0.06], 20)
    assert step_p_value(drift + step, 20) > 100 * step_p_value(shuffled + step, 20)


@pytest.mark.parametrize(("step", "expected"), [(0.03, 1.0), (0.06, 0.0)])
def test_a_step_below_4_percent_is_none(step, expected):
    assert step_p_value(np.repeat([0.0, step], 10), 10) == pytest.approx(expected, abs=1e-9)


def test_difference_noise_ignores_steps():
    assert difference_noise(np.concatenate([ALTERNATING, ALTERNATING + 1])) == pytest.approx(0.01 / 0.9539, rel=1e-3)
    assert difference_noise(np.zeros(1)) == 0.0


def test_a_longer_history_detects_smaller_steps():
    few, many = (detectable_step(np.tile([0.0, 0.04], half)) for half in (3, 30))
    assert few is not None
    assert many is not None
    assert few > 1.3 * many > 1.3 * MIN_DEVIATION
    assert detectable_step(np.zeros(3)) is None


@pytest.mark.parametrize(
    ("levels", "factor"),
    [
        (np.tile([0.0, 0.04], 10), 1.0),  # Negatively correlated.
        # Ten deviations of each sign. At lag k, k pairs differ in sign and 20 - 2k do not: the correlation is
        # (20 - 3k) / 20, to which 2 / 20 is added.
        (np.repeat([0.0, 0.04], 10), 1 + 2 * (0.8 * 0.95 + 0.6 * 0.8 + 0.4 * 0.65 + 0.2 * 0.5)),
    ],
)
def test_the_detectable_step_by_hand(levels, factor):
    """Twenty runs, of which trimming keeps 12, and ten more, of which it keeps 6: 12 + 6 - 2 degrees of freedom."""
    deviation = math.sqrt(20 * 0.02**2 / 19) / 0.6
    error, freedom = deviation * math.sqrt((1 / 20 + 1 / 10) * factor), 16 / factor
    assert detectable_step(levels) == pytest.approx((t.isf(5e-5 / 2, freedom) + t.isf(0.05, freedom)) * error)
