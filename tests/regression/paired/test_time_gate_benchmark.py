"""The benchmark's trials on pools made up for them."""

from __future__ import annotations

import math
import random

import pytest

from analyzer.regression.paired.pairs import Pair, Round
from benchmarks.time_gate import Line, fitting, others, trial


def pool(change: float, spread: float, *, lots: int = 10, seconds: float = 2.0) -> list[Line]:
    draw = random.Random(3)
    found = []
    for parents in range(lots):
        for _ in range(8):
            log = draw.gauss(math.log1p(change), spread)
            calls = tuple(range(10_000, 10_006))
            times = calls, tuple(round(one * math.exp(log)) for one in calls)
            found.append(Line(Pair((Round(times, times),), parents), seconds, log))
    return found


def test_a_trial_has_the_pairs_that_fit_with_their_parents():
    chosen = fitting(random.Random(1), pool(0.0, 0.02), 60.0)
    assert len(chosen) == 60 / 2
    parents = [one.pair.parents for one in chosen]
    assert all(len(set(parents[at : at + 8])) == 1 for at in range(0, 30, 8))


@pytest.mark.parametrize(("change", "word"), [(0.0, "unchanged"), (0.05, "regressed"), (-0.05, "improved")])
def test_a_trial_says_what_the_command_would(change, word):
    draw = random.Random(1)
    assert {trial(draw, pool(change, 0.005), 60.0) for _ in range(20)} == {word}


def test_too_few_pairs_are_unclear():
    assert trial(random.Random(1), pool(0.05, 0.005, seconds=10.0), 60.0) == "unclear"


def test_the_usual_gates_are_tried_on_the_same_pairs():
    assert set(others(random.Random(1), pool(0.2, 0.001), 60.0).values()) == {True}
    assert set(others(random.Random(1), pool(0.0, 0.0), 60.0).values()) == {False}
