"""Pairs and their gathering with simulated sides: nothing here starts a process or reads a clock."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.regression.paired import pairs
from analyzer.regression.paired.measure import Gathered, Sides, confirm, gather
from analyzer.regression.paired.pairs import Pair, Round, take
from analyzer.regression.paired.result import Times, exit_status, judged, suspected
from analyzer.regression.paired.sequential_test import Rules
from analyzer.regression.paired.side_process import Failed, Lost, Place

RULES = Rules()


class Side:
    """A parent whose workers take `own_ns` a call, the first of a block ten times as long; it remembers its turns."""

    def __init__(self, name: str, own_ns: int, turns: list[str], **warm: Any) -> None:
        self.place, self.own_ns, self.turns, self.closed = Place(name, Path()), own_ns, turns, False
        self.warm = {"event": "warm", "call_s": own_ns * 1e-9, "strangers": [], "imported": []} | warm
        self.commands: list[dict[str, Any]] = []

    def ask(self, command: Any, limit_s: float) -> dict[str, Any]:
        assert not self.closed
        assert limit_s > 0
        self.commands.append(dict(command))
        if command["do"] == "worker":
            return self.warm
        if command["do"] == "end":
            return {"event": "ended", "status": 0}
        self.turns.append(self.place.name)
        times = [10 * self.own_ns, *([self.own_ns] * (command["calls"] - 1))]
        return {"event": "block", "own_ns": times, "wall_ns": [2 * one for one in times]}

    def close(self) -> None:
        self.closed = True


def test_a_pair_is_a_ratio_with_the_first_call_of_a_block_dropped():
    turns: list[str] = []
    pair = take((Side("base", 5_000_000, turns), Side("head", 5_100_000, turns)), ("net", "net"), random.Random(1))
    assert pair.own == pytest.approx(math.log(5.1 / 5.0))
    assert pair.wall == pytest.approx(math.log(5.1 / 5.0))
    assert pair.own_s(0) == pytest.approx(0.005)
    assert pair.wall_s(1) == pytest.approx(2 * 0.0051)
    assert all(len(one.own_ns[side]) == 2 * pairs.plan(0.0051).calls for one in pair.rounds for side in (0, 1))


def test_rounds_are_abba_or_baab():
    turns: list[str] = []
    take((Side("base", 5_000_000, turns), Side("head", 5_000_000, turns)), ("net", "net"), random.Random(1))
    rounds = {"".join(one[0] for one in turns[at : at + 4]) for at in range(0, len(turns), 4)}
    assert rounds == {"bhhb", "hbbh"}


def test_the_median_over_rounds_ignores_a_disturbed_one():
    still, disturbed = ((100,), (102,)), ((100,), (900,))
    pair = Pair(tuple(Round(one, one) for one in (still, disturbed, still)))
    assert pair.own == pytest.approx(math.log(1.02))


def test_a_round_is_judged_by_its_median_calls():
    """3 % between the medians, whatever single calls took: 103 against 100."""
    one = Round(((90, 180, 100), (103, 102, 190)), ((210, 200, 100), (900, 210, 220)))
    assert Pair((one,)).own == pytest.approx(math.log(1.03))
    assert Pair((one,)).wall == pytest.approx(math.log(1.10))


def test_both_get_the_same_weights_and_blocks_and_the_parent_learns_what_to_import():
    sides = (Side("base", 5_000_000, [], imported=["numpy"]), Side("head", 9_000_000, []))
    imports: dict[int, list[str]] = {}
    take(sides, ("net", "net"), random.Random(1), imports=imports)
    take(sides, ("net", "net"), random.Random(2), imports=imports)
    first, second = ([one for one in side.commands if one["do"] == "worker"] for side in sides)
    assert [one["seed"] for one in first] == [one["seed"] for one in second]
    assert first[0]["seed"] != first[1]["seed"]
    assert [one["imports"] for one in first] == [[], ["numpy"]]
    blocks = [{(one["calls"], one["burst"]) for one in side.commands if one["do"] == "block"} for side in sides]
    assert blocks[0] == blocks[1] == {(2 + 1, 1)}  # 10 ms are one call of the slower one's 9 ms: the least is two.


def test_a_side_that_runs_the_others_code_is_no_side():
    sides = (Side("base", 5_000_000, [], strangers=["net", "parts"]), Side("head", 5_000_000, []))
    with pytest.raises(Failed, match=r"base: it imported net, parts from the other side's folder.*--base-python"):
        take(sides, ("net", "net"), random.Random(1))


# --- gathering -------------------------------------------------------------------------------------------------------
class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pair_of(log: float) -> Pair:
    before = 10_000_000
    one = Round(((before,), (round(before * math.exp(log)),)), ((before,), (before,)))
    return Pair((one,))


def gathered(
    logs: Callable[[int], float | Exception], *, pair_s: float = 1.0, budget_s: float = 60.0, early: bool = True
) -> tuple[Gathered, int]:
    """What comes of pairs that each take so long, and how many times the parents were started."""
    clock, starts, taken = Clock(), [0], [0]

    def start() -> tuple[Side, Side]:
        starts[0] += 1
        return Side("base", 1, []), Side("head", 1, [])

    def simulated(*arguments: Any, **settings: Any) -> Pair:
        clock.now += pair_s
        value = logs(taken[0])
        taken[0] += 1
        if isinstance(value, Exception):
            raise value
        return pair_of(value)

    found = gather(
        Sides(start), ("net", "net"), RULES, budget_s=budget_s, order=random.Random(1), early=early, clock=clock,
        take=simulated,
    )  # fmt: skip
    return found, starts[0]


def around(change: float, spread: float = 0.001) -> Callable[[int], float]:
    return lambda index: change + spread * (-1) ** index


def test_it_stops_at_the_first_look_that_settles_it():
    found, starts = gathered(around(0.05))
    assert (len(found.pairs), found.word, starts) == (10, "regressed", 1)
    assert len(gathered(around(0.0))[0].pairs) == 10
    assert gathered(around(0.0))[0].word == "unchanged"


def test_what_lies_between_takes_its_time():
    found, _ = gathered(around(0.02, spread=0.04))
    assert len(found.pairs) == 60
    assert found.word is None
    assert found.seconds == 60


def test_a_self_test_uses_all_its_time():
    assert len(gathered(around(0.0), early=False)[0].pairs) == 60


def test_a_lost_worker_gives_no_pair_and_new_parents():
    def logs(index: int) -> float | Exception:
        return Lost("head: its worker was killed by signal 9") if index == 3 else around(0.0)(index)

    found, starts = gathered(logs)
    assert (len(found.pairs), found.lost, starts) == (10, ("head: its worker was killed by signal 9",), 2)
    assert judged("net", found, None, RULES, suspect=False).outcome == "unchanged"


def test_workers_lost_three_times_end_it_without_a_verdict():
    found, _ = gathered(lambda index: Lost("head: it gave no answer within 30 s"))
    assert len(found.lost) == 3
    one = judged("net", found, None, RULES, suspect=False)
    assert one.outcome == "incomparable"
    assert one.reason == "head: it gave no answer within 30 s; 0 pairs, 10 are wanted"
    assert exit_status(times(one), strict=False) == 3


def test_a_side_that_cannot_is_not_asked_again():
    found, _ = gathered(lambda index: Failed("base: unknown variant 'new'"))
    one = judged("new", found, None, RULES, suspect=False)
    assert (one.outcome, one.reason) == ("incomparable", "base: unknown variant 'new'")


def test_too_few_pairs_are_unclear():
    found, _ = gathered(around(0.1), pair_s=10.0)
    assert len(found.pairs) == 6
    one = judged("net", found, None, RULES, suspect=False)
    assert one.outcome == "unclear"
    assert one.reason == "time was up after 6 pairs, 10 are wanted; give more with --time-budget"
    assert exit_status(times(one), strict=False) == 0
    assert exit_status(times(one), strict=True) == 4


# --- from pairs to an exit status ------------------------------------------------------------------------------------
def times(*timed: Any, self_test: bool = False) -> Times:
    return Times("main", "this tree", RULES, 60.0, timed, self_test)


def test_regressed_must_be_so_twice():
    first, _ = gathered(around(0.05))
    assert suspected({"net": first, "other": gathered(around(0.0))[0]}, RULES.replace(models=2)) == {"net"}
    twice = judged("net", first, gathered(around(0.04))[0], RULES, suspect=True)
    once = judged("net", first, gathered(around(0.0))[0], RULES, suspect=True)
    assert twice.outcome == "regressed"
    assert once.outcome == "unclear"
    assert once.reason.startswith("grew, and by new parents ")
    assert once.reason.endswith(" %: not confirmed")
    assert [exit_status(times(one), strict=False) for one in (twice, once)] == [1, 0]
    assert exit_status(times(twice, self_test=True), strict=True) == 0


def test_one_that_could_not_be_measured_again_is_not_confirmed():
    again, _ = gathered(lambda index: Lost("base: its process ended"))
    one = judged("net", gathered(around(0.05))[0], again, RULES, suspect=True)
    assert (one.outcome, one.reason) == ("unclear", "grew, and could not be measured again: base: its process ended")


def test_a_confirmation_has_parents_of_its_own():
    made: list[Side] = []

    def start() -> tuple[Side, Side]:
        made.extend((Side("base", 1, []), Side("head", 1, [])))
        return made[-2], made[-1]

    sides, clock = Sides(start), Clock()
    sides.now()

    def simulated(*arguments: Any, parents: int, **settings: Any) -> Pair:
        clock.now += 1
        return pair_of(0.05).replace(parents=parents)

    again = confirm(sides, ("net", "net"), RULES, budget_s=60, order=random.Random(1), clock=clock, take=simulated)
    assert [one.closed for one in made] == [True, True, False, False]
    assert {pair.parents for pair in again.pairs} == {1}


def test_improvements_never_fail():
    one = judged("net", gathered(around(-0.05))[0], None, RULES, suspect=False)
    assert one.outcome == "improved"
    assert exit_status(times(one), strict=True) == 0


def test_a_regression_comes_before_a_model_that_could_not_be_measured():
    failed = judged("new", gathered(lambda index: Failed("base: gone"))[0], None, RULES, suspect=False)
    grown = judged("net", gathered(around(0.05))[0], gathered(around(0.05))[0], RULES, suspect=True)
    assert exit_status(times(failed, grown), strict=False) == 1
