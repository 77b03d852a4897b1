"""Pairs, their collection and a model's outcome, with simulated sides: no process is started and no clock is read."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analyzer.regression.counts.compare_with_baseline import compare
from analyzer.regression.outcome import exit_status
from analyzer.regression.paired import one_pair
from analyzer.regression.paired.collect_pairs import (
    PairSample,
    ProcessPair,
    collect_confirmation,
    collect_pairs,
    suspected_regressions,
)
from analyzer.regression.paired.one_pair import Pair, Round, measure_pair
from analyzer.regression.paired.pair_server_client import Side, SideFailed, WorkerLost
from analyzer.regression.paired.sequential_test import Rules
from analyzer.regression.paired.time_result import TimeCheck, TimeResult, check_times
from reports.regression import markdown
from reports.regression.summary import headline
from tests.regression.snapshots import layer, model

RULES = Rules()


class FakeSide:
    """A side whose calls take `device_ns`, the first of a block ten times as long. Appends its name to `order`."""

    def __init__(self, name: str, device_ns: int, order: list[str], **warm: Any) -> None:
        self.side, self.device_ns, self.order, self.closed = Side(name, Path()), device_ns, order, False
        self.warm = {"event": "warm", "call_s": device_ns * 1e-9, "foreign_modules": [], "imported": []}
        self.warm |= {"inputs": ["1x3 float32"]} | warm
        self.commands: list[dict[str, Any]] = []

    def request(self, command: Any, limit_s: float) -> dict[str, Any]:
        assert not self.closed
        assert limit_s > 0
        self.commands.append(dict(command))
        if command["do"] == "worker":
            return self.warm
        if command["do"] == "end":
            return {"event": "ended", "status": 0}
        self.order.append(self.side.name)
        times = [10 * self.device_ns, *([self.device_ns] * (command["calls"] - 1))]
        return {"event": "block", "device_ns": times, "wall_ns": [2 * ns for ns in times]}

    def close(self) -> None:
        self.closed = True


def fake_sides(base_ns: int = 5_000_000, head_ns: int = 5_000_000, order: list[str] | None = None, **warm: Any):
    order = [] if order is None else order
    return FakeSide("base", base_ns, order, **warm), FakeSide("head", head_ns, order)


# --- one pair --------------------------------------------------------------------------------------------------------
def test_a_pair_is_a_log_ratio_without_the_first_call_of_each_block():
    pair = measure_pair(fake_sides(5_000_000, 5_100_000), ("net", "net"), random.Random(1))
    assert pair.log_ratio == pytest.approx(math.log(5.1 / 5.0))
    assert pair.wall_log_ratio == pytest.approx(math.log(5.1 / 5.0))
    assert pair.device_s(0) == pytest.approx(0.005)
    assert pair.wall_s(1) == pytest.approx(2 * 0.0051)
    assert all(len(r.device_ns[side]) == 2 * one_pair.plan_pair(0.0051).calls for r in pair.rounds for side in (0, 1))


def test_rounds_are_abba_or_baab():
    order: list[str] = []
    measure_pair(fake_sides(order=order), ("net", "net"), random.Random(1))
    assert {"".join(name[0] for name in order[at : at + 4]) for at in range(0, len(order), 4)} == {"bhhb", "hbbh"}


def test_the_median_over_rounds_ignores_a_disturbed_round():
    quiet, disturbed = ((100,), (102,)), ((100,), (900,))
    pair = Pair(tuple(Round(times, times) for times in (quiet, disturbed, quiet)))
    assert pair.log_ratio == pytest.approx(math.log(1.02))


def test_a_round_is_the_ratio_of_its_median_calls():
    one_round = Round(((90, 180, 100), (103, 102, 190)), ((210, 200, 100), (900, 210, 220)))
    assert Pair((one_round,)).log_ratio == pytest.approx(math.log(103 / 100))
    assert Pair((one_round,)).wall_log_ratio == pytest.approx(math.log(220 / 200))


def test_both_sides_get_the_same_seed_and_blocks_and_the_server_imports_ahead():
    sides = fake_sides(5_000_000, 9_000_000, imported=["numpy"])
    imports: dict[int, list[str]] = {}
    for seed in (1, 2):
        measure_pair(sides, ("net", "net"), random.Random(seed), imports=imports)
    base, head = ([command for command in side.commands if command["do"] == "worker"] for side in sides)
    assert [command["seed"] for command in base] == [command["seed"] for command in head]
    assert base[0]["seed"] != base[1]["seed"]
    assert [command["imports"] for command in base] == [[], ["numpy"]]
    blocks = [{(c["calls"], c["burst"]) for c in side.commands if c["do"] == "block"} for side in sides]
    assert blocks[0] == blocks[1] == {(2 + 1, 1)}  # A block of 10 ms is one call of 9 ms; the minimum is two.


def test_sides_with_different_inputs_are_not_compared():
    sides = fake_sides(inputs=["1x3x96x96 float32"])
    with pytest.raises(SideFailed, match="inputs differ: base 1x3x96x96 float32, head 1x3 float32"):
        measure_pair(sides, ("net", "net"), random.Random(1))


def test_a_side_that_imported_the_others_code_is_refused():
    sides = fake_sides(foreign_modules=["net", "parts"])
    with pytest.raises(SideFailed, match=r"base: it imported net, parts .*--base-python"):
        measure_pair(sides, ("net", "net"), random.Random(1))


# --- collecting pairs ------------------------------------------------------------------------------------------------
class FakeClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def pair_of(log_ratio: float, generation: int = 0) -> Pair:
    base_ns = 10_000_000
    return Pair((Round(((base_ns,), (round(base_ns * math.exp(log_ratio)),)), ((base_ns,), (base_ns,))),), generation)


def collect(
    outcome_of: Callable[[int], float | Exception],
    *,
    pair_s: float = 1.0,
    early: bool = True,
    extend: Callable[[int, float], None] | None = None,
) -> tuple[PairSample, int]:
    """A sample of 60 s, or more with `extend`, whose pairs take `pair_s` each, and how often the sides were started."""
    clock, starts, measured = FakeClock(), [0], [0]

    def start() -> tuple[FakeSide, FakeSide]:
        starts[0] += 1
        return fake_sides()

    def measure(*arguments: Any, **settings: Any) -> Pair:
        clock.now += pair_s
        value = outcome_of(measured[0])
        measured[0] += 1
        if isinstance(value, Exception):
            raise value
        return pair_of(value)

    sample = collect_pairs(
        ProcessPair(start), ("net", "net"), RULES, budget_s=60.0, rng=random.Random(1), early=early, clock=clock,
        measure=measure, extend=extend,
    )  # fmt: skip
    return sample, starts[0]


def sample_around(change: float, spread: float = 0.001, **settings: Any) -> PairSample:
    return collect(lambda index: change + spread * (-1) ** index, **settings)[0]


def decide(sample: PairSample, confirmation: PairSample | None = None, *, suspected: bool = False) -> TimeCheck:
    return check_times("net", "cpu", sample, confirmation, RULES, suspected=suspected)


def status(*checks: TimeCheck, strict: bool = False, self_test: bool = False) -> int:
    return exit_status(TimeResult(checks, self_test=self_test), strict=strict)


@pytest.mark.parametrize(("change", "outcome"), [(0.05, "regressed"), (0.0, "unchanged"), (-0.05, "improved")])
def test_the_first_interim_analysis_stops_a_clear_case(change, outcome):
    sample = sample_around(change)
    assert (len(sample.pairs), sample.outcome) == (10, outcome)


def test_between_tolerance_and_limit_the_whole_budget_is_used():
    sample = sample_around(0.02, spread=0.04)
    assert (len(sample.pairs), sample.outcome, sample.seconds) == (60, None, 60)


@pytest.mark.parametrize(
    ("spread", "pair_s", "expected"),
    [
        (0.001, 10.0, 6),  # 60 s are enough.
        (0.03, 10.0, 125),
        (0.03, 70.0, 26),  # Not even three pairs fit in 60 s; at most 30 minutes.
        (0.5, 1.0, 1800),
        (0.02, 0.5, 120),
    ],
)
def test_an_automatic_budget_measures_what_a_decision_needs(spread, pair_s, expected):
    said: list[tuple[int, float]] = []
    sample = sample_around(0.03, spread, pair_s=pair_s, early=False, extend=lambda *estimate: said.append(estimate))
    assert len(sample.pairs) == expected
    for needed, seconds in said:
        assert sample.seconds == pytest.approx(seconds, abs=pair_s)
        assert len(sample.pairs) == pytest.approx(min(needed, 1800 / pair_s), abs=0.5)
    assert bool(said) == (sample.seconds > 60)


def test_after_an_automatic_budget_the_outcome_is_decided():
    sample = sample_around(0.03, 0.03, pair_s=10.0, extend=lambda *estimate: None)
    assert decide(sample, sample, suspected=True).outcome == "regressed"
    assert decide(sample_around(0.03, 0.03, pair_s=10.0)).outcome == "inconclusive"


def test_a_self_test_uses_the_whole_budget():
    assert len(sample_around(0.0, early=False).pairs) == 60


def test_a_last_pair_that_exceeds_the_budget_counts_as_in_it():
    check = decide(sample_around(0.0, pair_s=17.0, early=False))
    assert check.sample.seconds == 4 * 17.0
    assert TimeResult((check,), budget_s=60).pairs_in_budget(check) == len(check.sample.pairs) == 4


def test_a_lost_worker_gives_no_pair_and_restarts_the_sides():
    sample, starts = collect(lambda index: WorkerLost("head: killed") if index == 3 else 0.0)
    assert (len(sample.pairs), sample.lost, starts) == (10, ("head: killed",), 2)
    assert decide(sample).outcome == "unchanged"


def test_three_lost_workers_end_the_collection():
    sample, _ = collect(lambda index: WorkerLost("head: no reply"))
    assert len(sample.lost) == 3
    check = decide(sample)
    assert check.outcome == "incomparable"
    assert check.reason.startswith("head: no reply; 0 pairs")
    assert status(check) == 3


def test_a_side_that_fails_is_not_retried():
    sample, starts = collect(lambda index: SideFailed("base: unknown variant 'new'"))
    check = decide(sample)
    assert (check.outcome, check.reason, starts) == ("incomparable", "base: unknown variant 'new'", 1)


def test_too_few_pairs_are_inconclusive():
    check = decide(sample_around(0.1, pair_s=30.0))
    assert len(check.sample.pairs) == 2
    assert check.outcome == "inconclusive"
    assert "--time-budget" in check.reason
    assert (status(check), status(check, strict=True)) == (0, 4)
    assert headline(TimeResult((check,))) == "Time check inconclusive: 1 inconclusive"
    other = decide(sample_around(0.0)).replace(model="other")
    assert headline(TimeResult((check, other))) == "Time check inconclusive: 1 inconclusive, 1 unchanged"


# --- outcome and exit status -----------------------------------------------------------------------------------------
def test_a_regression_needs_a_confirmation():
    first = sample_around(0.05)
    samples = {"net": first, "other": sample_around(0.0)}
    assert suspected_regressions(samples, RULES.replace(models=2)) == {"net"}
    confirmed = decide(first, sample_around(0.04), suspected=True)
    unconfirmed = decide(first, sample_around(0.0), suspected=True)
    assert (confirmed.outcome, status(confirmed)) == ("regressed", 1)
    assert (unconfirmed.outcome, status(unconfirmed)) == ("inconclusive", 0)
    assert "not confirmed" in unconfirmed.reason
    assert status(confirmed, strict=True, self_test=True) == 0


def test_a_failed_confirmation_does_not_confirm():
    confirmation, _ = collect(lambda index: WorkerLost("base: its process ended"))
    check = decide(sample_around(0.05), confirmation, suspected=True)
    assert check.outcome == "inconclusive"
    assert "base: its process ended" in check.reason


def test_a_confirmation_starts_new_processes():
    started: list[FakeSide] = []

    def start() -> list[FakeSide]:
        started.extend(fake_sides())
        return started[-2:]

    processes, clock = ProcessPair(start), FakeClock()
    processes.get()

    def measure(*arguments: Any, generation: int, **settings: Any) -> Pair:
        clock.now += 1
        return pair_of(0.05, generation)

    sample = collect_confirmation(
        processes, ("net", "net"), RULES, budget_s=60, rng=random.Random(1), clock=clock, measure=measure
    )
    assert [side.closed for side in started] == [True, True, False, False]
    assert {pair.generation for pair in sample.pairs} == {1}


@pytest.mark.parametrize(("after", "expected"), [(2, "a"), (1, "equal counts")])
def test_a_regression_names_what_grew(after, expected):
    counts = compare("net", "inference", model(layer("a", macs=1)), model(layer("a", macs=after)))
    check = decide(sample_around(0.05), sample_around(0.05), suspected=True).replace(counts=counts)
    text = markdown.dump(TimeResult((check,)))
    assert (f"| {expected} |" if after > 1 else expected) in text


def test_an_improvement_never_fails():
    check = decide(sample_around(-0.05))
    assert (check.outcome, status(check, strict=True)) == ("improved", 0)


def test_a_regression_takes_precedence_over_a_model_that_cannot_be_timed():
    failed = decide(collect(lambda index: SideFailed("base: gone"))[0])
    grown = decide(sample_around(0.05), sample_around(0.05), suspected=True)
    assert status(failed, grown) == 1


def test_a_change_has_the_ratio_and_bounds_of_the_pairs():
    (change,) = decide(sample_around(0.05)).changes
    assert change.metric == "cpu_time"
    assert change.ratio == pytest.approx(math.exp(0.05), rel=1e-3)
    assert change.low < change.ratio < change.high
