"""The rules that make a word of pairs: by arithmetic, and by simulation with fixed seeds."""

from __future__ import annotations

import math
import random

import pytest

from analyzer.regression.paired import sequential_test as decide
from analyzer.regression.paired.sequential_test import (
    LOOKS,
    Rules,
    estimate,
    holm,
    outcome,
    settled,
    share,
    smallest,
)

RULES = Rules()


def test_a_trimmed_mean_and_its_error_by_hand():
    # Ten values: two of each end go, six are kept. Winsorized: 2, 2, 2, 3, 4, 5, 6, 7, 7, 7.
    found = estimate([-50, 1, 2, 3, 4, 5, 6, 7, 8, 90])
    assert found.centre == (2 + 3 + 4 + 5 + 6 + 7) / 6
    mean = (3 * 2 + 3 + 4 + 5 + 6 + 3 * 7) / 10
    squares = 3 * (2 - mean) ** 2 + sum((one - mean) ** 2 for one in (3, 4, 5, 6)) + 3 * (7 - mean) ** 2
    assert found.error == pytest.approx(math.sqrt(squares / 9) / (0.6 * math.sqrt(10)))
    assert found.freedom == 5


def test_a_bound_is_students_t_beside_the_centre():
    found = estimate(
        [0.01, 0.03], 1.0
    )  # Two values: none is cut. Error (0.02 / √2) / √2 = 0.01, one degree of freedom.
    assert found.centre == pytest.approx(0.02)
    assert found.error == pytest.approx(0.01)
    # With one degree of freedom t is Cauchy's distribution: its 99 % point is tan(0.49 π).
    assert found.low(0.01) == pytest.approx(0.02 - 0.01 * math.tan(0.49 * math.pi))
    assert found.high(0.01) == pytest.approx(0.02 + 0.01 * math.tan(0.49 * math.pi))
    # Above 0.01: t is (0.02 - 0.01) / 0.01 = 1, which Cauchy's distribution exceeds with probability 1/4.
    assert found.above(0.01) == pytest.approx(0.25)


def test_a_look_has_its_share_of_alpha():
    whole = estimate([0.01, 0.03])
    part = estimate([0.01, 0.03], 0.1)
    assert part.low(0.01) == pytest.approx(whole.low(0.001))
    assert part.above(0.02) == min(1.0, whole.above(0.02) / 0.1)


@pytest.mark.parametrize("last", [10, 11, 19, 20, 25, 40, 41, 100])
def test_the_shares_of_all_looks_are_one(last):
    on_the_way = sum(share(pairs, ended=False) for pairs in range(1, last))
    assert on_the_way + share(last, ended=True) == pytest.approx(1)


def test_too_few_pairs_have_no_share():
    assert [share(pairs, ended=ended) for pairs in range(10) for ended in (True, False)] == [0.0] * 20


def test_equal_pairs_have_no_error_and_a_sure_word():
    assert settled(estimate([0.02] * 10), RULES) == "regressed"
    assert settled(estimate([0.0] * 10), RULES) == "unchanged"
    assert settled(estimate([-0.02] * 10), RULES) == "improved"


def test_between_tolerance_and_limit_it_goes_on_until_time_is_up():
    # Around 0.8 %: the upper bound is above 1 % and below 5 %.
    logs = [0.008 + 0.004 * (-1) ** index for index in range(10)]
    assert settled(estimate(logs, share(10, ended=False)), RULES) is None
    assert outcome(estimate(logs, share(10, ended=True)), RULES, regressed=False) == "unchanged"


def test_a_wide_interval_is_unclear():
    logs = [0.1 * (-1) ** index for index in range(10)]
    assert outcome(estimate(logs), RULES, regressed=False) == "unclear"


def test_what_grew_by_its_own_pairs_but_not_by_holms_measure_is_unclear():
    # Error 0.0053 / (0.6 · √10) = 0.0028, so t = (0.02 - 0.00995) / 0.0028 = 3.6 with 5 degrees,
    # p of about 0.8 %: below 1 % alone, above 1 % / 5 among five models.
    logs = [0.02 + 0.005 * (-1) ** index for index in range(10)]
    p = estimate(logs).above(math.log1p(0.01))
    assert 0.01 / 5 < p < 0.01
    assert holm({"a": p, "b": 1, "c": 1, "d": 1, "e": 1}) == set()
    assert outcome(estimate(logs), RULES.replace(models=5), regressed=False) == "unclear"


def test_regressed_takes_precedence():
    assert outcome(estimate([0.02] * 10), RULES, regressed=True) == "regressed"


def test_holm_stops_at_the_first_that_is_not_rejected():
    # 0.001 ≤ 0.01 / 3, then 0.006 > 0.01 / 2, so that 0.008 ≤ 0.01 / 1 is not reached.
    assert holm({"a": 0.008, "b": 0.006, "c": 0.001}) == {"c"}
    assert holm({"a": 0.008}) == {"a"}
    assert holm({}) == set()


# --- by simulation: 2,000 checks of one model each, 30 pairs fit in the time, a pair's spread is 2 % ----------------
def check(draw: random.Random, change: float, spread: float, most: int = 30, heavy: bool = False) -> tuple[str, int]:
    """The word of one check, without its confirmation, and the pairs that it took."""
    logs: list[float] = []
    for pairs in range(1, most + 1):
        wild = heavy and draw.random() < 0.05
        logs.append(draw.gauss(math.log1p(change), spread * (10 if wild else 1)))
        if part := share(pairs, ended=pairs == most):
            now = estimate(logs, part)
            if word := settled(now, RULES):
                return word, pairs
    return outcome(now, RULES, regressed=now.above(math.log1p(RULES.tolerance)) <= RULES.alpha), most


def shares(change: float, spread: float = 0.02, heavy: bool = False) -> dict[str, float]:
    draw = random.Random(1)
    words = [check(draw, change, spread, heavy=heavy)[0] for _ in range(1000)]
    return {word: words.count(word) / len(words) for word in ("regressed", "unchanged", "improved", "unclear")}


@pytest.mark.parametrize("heavy", [False, True])
def test_no_change_is_seldom_called_one(heavy):
    found = shares(0.0, heavy=heavy)
    assert found["regressed"] <= 0.01
    assert found["improved"] <= 0.01
    assert found["unclear"] <= 0.05


def test_a_change_of_the_tolerance_itself_is_seldom_called_regressed():
    # The worst case that must pass: the true change is 1 %, and so is alpha; three times its error is 0.9 %.
    assert shares(0.01)["regressed"] <= 0.01 + 0.009


def test_five_percent_are_found_also_where_one_pair_in_twenty_is_wild():
    assert shares(0.05)["regressed"] >= 0.99
    assert shares(0.05, heavy=True)["regressed"] >= 0.95


def test_the_smallest_change_shown_is_found_as_often_as_it_says():
    draw = random.Random(2)
    logs = [draw.gauss(0, 0.02) for _ in range(30)]
    floor = smallest(logs, 30, RULES)
    spread = estimate(logs).error * math.sqrt(30)
    assert 0.01 < floor < 0.04
    assert shares(floor, spread=spread)["regressed"] == pytest.approx(decide.POWER, abs=0.05)


def test_more_pairs_show_less():
    logs = [0.02 * (-1) ** index for index in range(20)]
    assert smallest(logs, 80, RULES) < smallest(logs, 20, RULES) < smallest(logs, 10, RULES)
    assert min(LOOKS) == 10
