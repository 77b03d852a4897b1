"""Samples are taken until steady, in random order, within a budget; dirty ones are taken again. No time passes here."""

from __future__ import annotations

import gc
import random
from collections import Counter

import pytest

from analyzer.timing.clock.sampling import Over, samples, undisturbed, warm_up
from tests.timing.simulated import Turned


class Scripted:
    """A watch that accuses the samples with those numbers."""

    def __init__(self, dirty=()) -> None:
        self.looks, self.dirty_ones = 0, set(dirty)

    def look(self):
        self.looks += 1
        return self.looks

    def dirty(self, before, after):
        assert after > before
        return "disturbed" if before // 2 in self.dirty_ones else None


def passes(clock: Turned, times):
    iterator = iter(times)

    def once() -> float:
        seconds = next(iterator)
        clock.turn(seconds)
        return seconds

    return once


def test_it_warms_up_until_two_windows_agree():
    clock = Turned()
    # Ten slow passes that get faster, then steady: the last window of five must be within 2 % of the one before.
    times = [2.0 - 0.1 * n for n in range(10)] + [1.0] * 50
    taken = warm_up(passes(clock, times), clock.now, budget_s=1000)
    assert len(taken) == 18
    assert taken == tuple(times[:18])


def test_it_stops_warming_at_the_budget_but_not_before_three():
    clock = Turned()
    assert len(warm_up(passes(clock, [float(n) for n in range(1, 99)]), clock.now, budget_s=12)) == 5  # 1+2+3+4+5 ≥ 12
    assert len(warm_up(passes(Turned(), [9.0] * 9), clock.now, budget_s=0)) == 3


def drawn(budget_s, floor, ceiling, watch=None, seconds=1.0, seed=0):
    clock = Turned()

    def arm():
        clock.turn(seconds)
        return seconds

    arms = {"whole": arm, "cut": arm}
    order = random.Random(seed)
    return list(
        samples(arms, clock.now, watch or Scripted(), budget_s=budget_s, floor=floor, ceiling=ceiling, order=order)
    )


def test_each_arm_once_a_round_until_the_ceiling():
    taken = drawn(1000, floor=2, ceiling=7)
    assert Counter(one.arm for one in taken) == {"whole": 7, "cut": 7}


def test_the_order_is_drawn_anew_each_round():
    firsts = [one.arm for one in drawn(1000, floor=2, ceiling=40)][::2]
    assert set(firsts) == {"whole", "cut"}
    assert firsts != [one.arm for one in drawn(1000, floor=2, ceiling=40, seed=1)][::2]


def test_the_budget_ends_it_but_the_floor_is_kept():
    assert len(drawn(9.5, floor=2, ceiling=100)) == 10  # Five rounds of two seconds: the fifth began in time.
    assert len(drawn(0.0, floor=3, ceiling=100)) == 6


def test_dirty_samples_are_told_and_taken_again():
    taken = drawn(1000, floor=1, ceiling=5, watch=Scripted(dirty=[0, 1, 2]))
    assert sum(one.dirty is not None for one in taken) == 3
    clean = Counter(one.arm for one in taken if one.dirty is None)
    assert min(clean.values()) == 5


def test_an_arm_that_is_over_is_left_out_and_the_others_go_on():
    clock, cuts = Turned(), iter([1.0, 1.0])

    def whole():
        clock.turn(1.0)
        return 1.0

    def cut():
        try:
            return next(cuts)
        except StopIteration:
            raise Over from None

    def drawn(**arms):
        order = random.Random(0)
        return Counter(
            one.arm for one in samples(arms, clock.now, Scripted(), budget_s=99, floor=2, ceiling=6, order=order)
        )

    assert drawn(whole=whole, cut=cut) == {"whole": 6, "cut": 2}
    assert drawn(cut=cut) == {}


def test_no_garbage_is_collected_meanwhile():
    assert gc.isenabled()
    seen = []

    def interrupted() -> None:
        with undisturbed():
            seen.append(gc.isenabled())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert seen == [False]
    assert gc.isenabled()
