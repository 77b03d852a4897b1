"""benchmarks/time_gate.py: simulated checks on synthetic pools."""

from __future__ import annotations

import math
import random

import pytest

from analyzer.regression.paired.one_pair import Pair, Round
from benchmarks.time_gate import PoolPair, draw_pairs, simulate_check, usual_tests


def make_pool(change: float, spread: float, *, seconds: float = 2.0) -> list[PoolPair]:
    """Ten generations of eight pairs."""
    rng = random.Random(3)
    pool = []
    for generation in range(10):
        for _ in range(8):
            log = rng.gauss(math.log1p(change), spread)
            base = tuple(range(10_000, 10_006))
            times = base, tuple(round(ns * math.exp(log)) for ns in base)
            pool.append(PoolPair(Pair((Round(times, times),), generation), seconds, log))
    return pool


def test_a_check_draws_whole_generations_that_fit_in_the_budget():
    drawn = draw_pairs(random.Random(1), make_pool(0.0, 0.02), 60.0)
    assert len(drawn) == 60 / 2
    generations = [pair.pair.generation for pair in drawn]
    assert all(len(set(generations[at : at + 8])) == 1 for at in range(0, 30, 8))


@pytest.mark.parametrize(("change", "outcome"), [(0.0, "unchanged"), (0.05, "regressed"), (-0.05, "improved")])
def test_a_simulated_check_has_the_commands_outcome(change, outcome):
    rng = random.Random(1)
    assert {simulate_check(rng, make_pool(change, 0.005), 60.0) for _ in range(20)} == {outcome}


def test_a_fifth_more_is_found_at_half_a_second_a_pass_within_three_minutes():
    """A pair of such passes takes about 15 s beside four other processes: six in each of the two runs of 90 s."""
    rng = random.Random(1)
    pool = make_pool(0.2, 0.03, seconds=15.0)
    assert sum(simulate_check(rng, pool, 90.0) == "regressed" for _ in range(100)) >= 95
    equal = make_pool(0.0, 0.03, seconds=15.0)
    assert sum(simulate_check(rng, equal, 90.0) == "regressed" for _ in range(100)) <= 1


def test_too_few_pairs_are_inconclusive():
    assert simulate_check(random.Random(1), make_pool(0.05, 0.005, seconds=25.0), 60.0) == "inconclusive"


@pytest.mark.parametrize(("change", "spread", "alarm"), [(0.2, 0.001, True), (0.0, 0.0, False)])
def test_usual_tests_run_on_the_same_pairs(change, spread, alarm):
    assert set(usual_tests(random.Random(1), make_pool(change, spread), 60.0).values()) == {alarm}
