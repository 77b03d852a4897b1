"""The group-sequential test: by arithmetic, and by simulation with fixed seeds."""

from __future__ import annotations

import math
import random

import pytest

from analyzer.regression.paired.sequential_test import (
    INTERIM_ALPHA,
    MAX_PAIRS,
    POWER,
    Rules,
    alpha_share,
    early_outcome,
    final_outcome,
    holm,
    holm_levels,
    minimum_detectable_change,
    needed_pairs,
    trimmed_mean,
)

RULES = Rules()


def test_the_trimmed_mean_and_its_error_by_hand():
    # Of ten values two are cut at each end. Winsorized: 2, 2, 2, 3, 4, 5, 6, 7, 7, 7.
    estimate = trimmed_mean([-50, 1, 2, 3, 4, 5, 6, 7, 8, 90])
    assert estimate.mean == (2 + 3 + 4 + 5 + 6 + 7) / 6
    mean = (3 * 2 + 3 + 4 + 5 + 6 + 3 * 7) / 10
    squares = 3 * (2 - mean) ** 2 + sum((value - mean) ** 2 for value in (3, 4, 5, 6)) + 3 * (7 - mean) ** 2
    assert estimate.standard_error == pytest.approx(math.sqrt(squares / 9) / (0.6 * math.sqrt(10)))
    assert estimate.degrees_of_freedom == 5


def test_bounds_and_p_value_follow_students_t():
    # Of two values none is cut. Standard error (0.02 / √2) / √2 = 0.01, one degree of freedom.
    estimate = trimmed_mean([0.01, 0.03])
    assert (estimate.mean, estimate.standard_error) == (pytest.approx(0.02), pytest.approx(0.01))
    # With one degree of freedom t is Cauchy's distribution: its 99 % quantile is tan(0.49 π).
    assert estimate.lower_bound(0.01) == pytest.approx(0.02 - 0.01 * math.tan(0.49 * math.pi))
    assert estimate.upper_bound(0.01) == pytest.approx(0.02 + 0.01 * math.tan(0.49 * math.pi))
    # (0.02 - 0.01) / 0.01 = 1, which Cauchy's distribution exceeds with probability 1/4.
    assert estimate.p_value(0.01) == pytest.approx(0.25)


def test_an_interim_analysis_spends_its_share_of_alpha():
    whole, part = trimmed_mean([0.01, 0.03]), trimmed_mean([0.01, 0.03], 0.1)
    assert part.lower_bound(0.01) == pytest.approx(whole.lower_bound(0.001))
    assert part.p_value(0.02) == min(1.0, whole.p_value(0.02) / 0.1)


def test_models_share_alpha_in_an_interim_analysis():
    # With one degree of freedom t is Cauchy's distribution, which exceeds x with probability 1/2 - atan(x) / π.
    estimate = trimmed_mean([0.99, 1.01])  # Standard error 0.01.
    p_value = 0.5 - math.atan((1 - math.log(1.01)) / 0.01) / math.pi
    assert RULES.alpha / 5 < p_value < RULES.alpha
    assert early_outcome(estimate, RULES) == "regressed"
    assert early_outcome(estimate, RULES.replace(models=5)) is None


def test_sampling_goes_on_until_growth_above_the_tolerance_is_excluded():
    # The upper bound of equal times ± 0.1 % is 0.001 · tan(0.49 π) = 3.2 %: above 1 %, below 5 %.
    estimate = trimmed_mean([-0.001, 0.001])
    upper = 0.001 * math.tan(0.49 * math.pi)
    assert early_outcome(estimate, Rules(tolerance=0.9 * upper)) is None
    assert early_outcome(estimate, Rules(tolerance=1.1 * upper)) == "unchanged"


@pytest.mark.parametrize("last", [10, 11, 19, 20, 25, 40, 41, 100])
def test_the_shares_of_all_analyses_sum_to_one(last):
    interim = sum(alpha_share(pairs, final=False) for pairs in range(1, last))
    assert interim + alpha_share(last, final=True) == pytest.approx(1)


def test_too_few_pairs_have_no_share():
    assert min(INTERIM_ALPHA) == 10
    assert [alpha_share(pairs, final=False) for pairs in range(10)] == [0.0] * 10
    assert [alpha_share(pairs, final=True) for pairs in range(10)] == [0.0] * 3 + [1.0] * 7


def test_three_pairs_show_a_large_change_only():
    # A head that takes 2 ± 0.1 times as long: log ratios around 0.693 with a standard error near 0.03.
    twice, more = trimmed_mean([0.64, 0.69, 0.74]), trimmed_mean([0.0, 0.1, 0.2])
    # (0.69 - log(1.01)) / (0.05 / sqrt(3)) = 23.6 > 6.96; (0.1 - 0.01) / (0.1 / sqrt(3)) = 1.6 < 6.96.
    assert twice.p_value(math.log(1.01)) < 0.01 < more.p_value(math.log(1.01))
    assert final_outcome(twice, RULES, regressed=True) == "regressed"
    assert final_outcome(more, RULES, regressed=False) == "inconclusive"


@pytest.mark.parametrize(("log_ratio", "outcome"), [(0.02, "regressed"), (0.0, "unchanged"), (-0.02, "improved")])
def test_equal_pairs_have_no_error_and_settle_the_outcome(log_ratio, outcome):
    assert early_outcome(trimmed_mean([log_ratio] * 10), RULES) == outcome


def test_between_tolerance_and_limit_the_final_analysis_decides():
    # Around 0.8 %: the upper bound lies between 1 % and 5 %.
    logs = [0.008 + 0.004 * (-1) ** index for index in range(10)]
    assert early_outcome(trimmed_mean(logs, alpha_share(10, final=False)), RULES) is None
    assert final_outcome(trimmed_mean(logs, alpha_share(10, final=True)), RULES, regressed=False) == "unchanged"


def test_a_wide_interval_is_inconclusive():
    logs = [0.1 * (-1) ** index for index in range(10)]
    assert final_outcome(trimmed_mean(logs), RULES, regressed=False) == "inconclusive"


def test_growth_that_holm_does_not_reject_is_inconclusive_if_significant_alone():
    # Standard error 0.0053 / (0.6 · √10) = 0.0028, so t = (0.02 - 0.00995) / 0.0028 = 3.6 with 5 degrees of freedom,
    # p of about 0.8 %: below 1 % alone, above 1 % / 5 among five models.
    estimate = trimmed_mean([0.02 + 0.005 * (-1) ** index for index in range(10)])
    p = estimate.p_value(math.log1p(0.01))
    assert 0.01 / 5 < p < 0.01
    assert holm({"a": p, "b": 1, "c": 1, "d": 1, "e": 1}) == set()
    assert final_outcome(estimate, RULES.replace(models=5), regressed=False) == "inconclusive"


def test_holm_stops_at_the_first_that_is_not_rejected():
    # 0.001 ≤ 0.01 / 3, then 0.006 > 0.01 / 2, so that 0.008 ≤ 0.01 / 1 is not reached.
    assert holm({"a": 0.008, "b": 0.006, "c": 0.001}) == {"c"}
    assert holm({"a": 0.008}) == {"a"}
    assert holm({}) == set()


@pytest.mark.parametrize(
    "p_values", [(0.008, 0.006, 0.001), (0.002, 0.003, 0.009), (0.5, 0.5, 0.5), (0.004, 0.02, 0.0)]
)
def test_a_bound_at_holms_level_exceeds_the_threshold_exactly_if_rejected(p_values):
    named = dict(zip("abc", p_values, strict=True))
    levels = holm_levels(named)
    assert {name for name in named if named[name] <= levels[name]} == holm(named)
    assert all(0.01 / 3 <= level <= 0.01 for level in levels.values())


def test_the_needed_pairs_follow_the_spread():
    few, more, most = (needed_pairs([spread * (-1) ** i for i in range(10)], RULES) for spread in (0.001, 0.03, 3.0))
    assert (few, most) == (10, MAX_PAIRS)
    assert few < more < most
    # Half of the distance between 1 % and 5 %, and not more.
    assert minimum_detectable_change([0.03 * (-1) ** i for i in range(10)], more, RULES) < 0.0302


def test_more_pairs_detect_smaller_changes():
    logs = [0.02 * (-1) ** index for index in range(20)]
    changes = [minimum_detectable_change(logs, pairs, RULES) for pairs in (80, 20, 10)]
    assert changes == sorted(changes)


# --- by simulation: 1,000 checks of one model, 30 pairs in the budget, standard deviation of a pair 2 % --------------
def simulate_check(rng: random.Random, change: float, spread: float, outliers: bool) -> str:
    """The outcome of one check without its confirmation. `outliers`: one pair in twenty spreads ten times as far."""
    logs: list[float] = []
    for pairs in range(1, 31):
        outlier = outliers and rng.random() < 0.05
        logs.append(rng.gauss(math.log1p(change), spread * (10 if outlier else 1)))
        if share := alpha_share(pairs, final=pairs == 30):
            estimate = trimmed_mean(logs, share)
            if outcome := early_outcome(estimate, RULES):
                return outcome
    regressed = estimate.p_value(math.log1p(RULES.tolerance)) <= RULES.alpha
    return final_outcome(estimate, RULES, regressed=regressed)


def rates(change: float, spread: float = 0.02, outliers: bool = False) -> dict[str, float]:
    rng = random.Random(1)
    outcomes = [simulate_check(rng, change, spread, outliers) for _ in range(1000)]
    return {outcome: outcomes.count(outcome) / len(outcomes) for outcome in ("regressed", "improved", "inconclusive")}


@pytest.mark.slow
@pytest.mark.parametrize("outliers", [False, True])
def test_equal_code_is_rarely_called_changed(outliers):
    equal_rates = rates(0.0, outliers=outliers)
    assert equal_rates["regressed"] <= 0.01
    assert equal_rates["improved"] <= 0.01
    assert equal_rates["inconclusive"] <= 0.05


@pytest.mark.slow
def test_growth_by_exactly_the_tolerance_is_rarely_called_regressed():
    # The worst case that must pass; three standard errors of a rate of 1 % in 1,000 checks are 0.9 %.
    assert rates(0.01)["regressed"] <= 0.01 + 0.009


@pytest.mark.slow
def test_five_percent_are_detected_also_with_outliers():
    assert rates(0.05)["regressed"] >= 0.99
    assert rates(0.05, outliers=True)["regressed"] >= 0.95


@pytest.mark.slow
def test_the_minimum_detectable_change_is_detected_with_the_stated_power():
    rng = random.Random(2)
    logs = [rng.gauss(0, 0.02) for _ in range(30)]
    change = minimum_detectable_change(logs, 30, RULES)
    assert 0.01 < change < 0.04
    spread = trimmed_mean(logs).standard_error * math.sqrt(30)
    assert rates(change, spread=spread)["regressed"] == pytest.approx(POWER, abs=0.05)
