"""Two files of pytest-benchmark: what is learnt from all benchmarks together, and the words that follow from it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from analyzer.history.pytest_benchmark import Run, parse
from analyzer.regression.benchmarks.compare import (
    ENOUGH,
    FLOOR,
    USUAL,
    compare,
    estimated,
    exit_status,
    verdicts,
    why_not,
)
from analyzer.regression.benchmarks.compare import around as around_them
from analyzer.regression.paired.sequential_test import Rules
from reports.regression import benchmarks as gate_files
from tests.history.made import MACHINE, bench

RULES = Rules()
NOISE = (0.004, -0.003, 0.002, -0.005, 0.001, -0.001, 0.003, -0.004, 0.005)  # Of the log ratio of nine benchmarks.


def around(centre: float, count: int = 40) -> list[float]:
    """Samples of 1 % scatter, in an order without drift; their median is `centre` to a part in a thousand."""
    return [centre * (1 + 0.01 * math.sin(2.4 * number)) for number in range(count)]


def run(times: dict[str, float], **how) -> Run:
    return parse(bench({name: around(time) for name, time in times.items()}, **how))


def nine(*, first: float = 1.0, all_of_them: float = 1.0, noise: bool = True) -> Run:
    """Nine benchmarks of 1 to 9 ms: the first longer by a factor, then every one of them by another."""
    times = {}
    for number, log in enumerate(NOISE):
        factor = first if number == 0 else 1.0
        times[f"b{number}"] = 1e-3 * (number + 1) * factor * all_of_them * math.exp(log if noise else 0.0)
    return run(times)


def test_one_benchmark_that_takes_half_as_much_again_regressed_and_no_other():
    found = compare(nine(noise=False), nine(first=1.5), RULES)
    assert {one.name: one.outcome for one in found.compared if one.outcome == "regressed"} == {"b0": "regressed"}
    assert not {"improved", "incomparable"} & {one.outcome for one in found.compared}
    first = found.compared[0]
    # 1.5 · e^0.004 = 1.506 as measured; the bounds are of what it did beyond the median of the others.
    assert first.change == pytest.approx(0.506, abs=0.002)
    assert first.estimate is not None
    others = sorted(NOISE[1:])
    assert first.estimate.centre == pytest.approx(math.log(1.5) + 0.004 - (others[3] + others[4]) / 2, abs=0.002)
    assert exit_status(found, strict=False) == 1
    assert found.status == "failed"


def test_one_that_takes_half_improved_and_nothing_fails():
    found = compare(nine(noise=False), nine(first=0.5), RULES)
    assert found.compared[0].outcome == "improved"
    assert exit_status(found, strict=False) == 0


def test_what_all_share_is_the_machines_and_is_told():
    found = compare(nine(noise=False), nine(all_of_them=1.4), RULES)
    assert found.shared == pytest.approx(math.log(1.4) + 0.001, abs=0.002)  # 0.001 is the median of NOISE.
    assert found.moved
    assert not found.failures
    assert exit_status(found, strict=False) == 0
    assert exit_status(found, strict=True) == 4


def test_equal_runs_are_unchanged_where_many_agree():
    found = compare(nine(noise=False), nine(noise=False), RULES.replace(limit=0.2))
    assert {one.outcome for one in found.compared} == {"unchanged"}
    assert exit_status(found, strict=True) == 0


def test_few_benchmarks_are_held_against_what_two_runs_usually_differ_by():
    base = run({"only": 1e-3})
    logs = estimated({"only": 0.3}, {"only": 0.0})
    assert logs["only"].error == USUAL
    # Student's t of 3 degrees exceeds 4.541 once in 100, so that growth by 4.541 · 0.13 + log(1.01) is just called so:
    # e^0.600 = 1.82. A run that took 1.7 times as long may have been on a busy machine.
    assert compare(base, run({"only": 1.7e-3}), RULES).compared[0].outcome == "unclear"
    assert compare(base, run({"only": 1.9e-3}), RULES).compared[0].outcome == "regressed"


def test_the_size_that_they_can_show_is_called_regressed_19_times_in_20():
    """A growth of `smallest` is above the bound by t(0.05) errors: with t of its own freedom 95 in 100 are."""
    (one,) = compare(run({"only": 1e-3}), run({"only": 1e-3}), RULES).compared
    assert one.estimate is not None
    assert one.smallest is not None
    # Bound: 4.5407 · error above the tolerance; 95 in 100 lie less than 2.3534 · error below their centre.
    assert math.log1p(one.smallest) == pytest.approx(math.log(1.01) + (4.5407 + 2.3534) * one.estimate.error, rel=1e-4)


@pytest.mark.parametrize("count", [5, 9])
def test_a_benchmark_does_not_hide_in_a_spread_that_it_is_part_of(count):
    """What it grew by neither widens its own bounds nor changes what the files say they can show of it."""
    times = {f"b{number}": 1e-3 * math.exp(NOISE[number]) for number in range(count)}
    base = run(dict.fromkeys(times, 1e-3))
    quiet = compare(base, run(times), RULES).compared[0]
    assert quiet.smallest is not None
    grown = compare(base, run({**times, "b0": times["b0"] * (1 + quiet.smallest)}), RULES).compared[0]
    assert grown.outcome == "regressed"
    assert grown.smallest == pytest.approx(quiet.smallest)


def test_the_spread_is_the_median_distance_of_the_others():
    # Of four others: distances 0.03, 0.01, 0.01, 0.03 from 0; their median is 0.02.
    centre, spread = around_them(np.array([-0.03, -0.01, 0.01, 0.03]))
    assert (centre, spread) == (0.0, pytest.approx(0.02 / 0.6745 * 1.2))
    assert around_them(np.zeros(9)) == (0.0, FLOOR)


def test_more_benchmarks_share_alpha():
    """Of 100 equal benchmarks that scatter by 10 %, none is called regressed for being the largest."""
    scatter = {f"b{n:03}": 1e-3 * math.exp(0.1 * math.sin(7.3 * n)) for n in range(100)}
    found = compare(run(dict.fromkeys(scatter, 1e-3)), run(scatter), RULES)
    assert not found.failures


def test_what_disturbed_half_of_a_benchmark_makes_it_unclear():
    """Twice as long in its second half and in no other benchmark: a machine that was busy, as its blocks show."""
    times = {f"b{number}": around(1e-3) for number in range(9)}
    base = parse(bench(times))
    half = {**times, "b0": around(1e-3, 19) + around(2e-3, 21)}
    assert compare(base, parse(bench(half)), RULES).compared[0].outcome == "unclear"
    whole = {**times, "b0": around(2e-3)}
    assert compare(base, parse(bench(whole)), RULES).compared[0].outcome == "regressed"


def test_files_that_can_show_nothing_say_so():
    wild = [10.0 ** -(number % 9) for number in range(40)]
    (one,) = compare(parse(bench({"b": wild})), parse(bench({"b": wild})), RULES).compared
    assert (one.outcome, one.smallest) == ("unclear", None)
    found = compare(parse(bench({"b": wild})), parse(bench({"b": wild})), RULES)
    assert verdicts(found)[0].high is None
    (table,) = gate_files.tables(found)
    assert table.rows[0][4:] == ("-100 % to any", "nothing", "unclear")
    assert "These find none (shows)" in table.notes[-1]


def test_a_factor_stands_in_the_place_of_a_row_of_digits():
    (table,) = gate_files.tables(compare(run({"b": 1e-3}), run({"b": 1.0}), RULES))
    assert table.rows[0][3] == "1,000x"


def test_a_benchmark_of_one_side_only_is_incomparable_and_named():
    found = compare(run({"old": 1e-3, "both": 1e-3}), run({"both": 1e-3, "new": 1e-3}), RULES)
    assert {one.name: one.reason for one in found.compared if one.outcome == "incomparable"} == {
        "old": "only in the base",
        "new": "only in this run",
    }
    assert exit_status(found, strict=False) == 0
    assert exit_status(found, strict=True) == 3


def test_a_time_of_nothing_has_no_ratio():
    base = parse(bench({"b": [0.0] * 5}))
    (one,) = compare(base, run({"b": 1e-3}), RULES).compared
    assert (one.outcome, one.reason) == ("incomparable", "a time of 0")


def test_two_machines_are_never_held_against_each_other():
    other = {**MACHINE, "cpu": {"brand_raw": "Another CPU", "count": 8}}
    found = compare(run({"b": 1e-3}), run({"b": 9e-3}, machine=other), RULES)
    assert found.apart == "processor Example CPU 3 GHz against Another CPU; processors 4 against 8"
    assert [one.outcome for one in found.compared] == ["incomparable"]
    assert exit_status(found, strict=False) == 3
    assert "unknown" in why_not(run({"b": 1e-3}, machine={}).environment, run({"b": 1e-3}, machine={}).environment)


def test_verdicts_carry_the_bounds_as_ratios():
    (verdict,) = verdicts(compare(run({"b": 1e-3}), run({"b": 1.1e-3}), RULES))
    assert (verdict.model, verdict.metric, verdict.outcome) == ("b", "time", "unclear")
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < 1.1 < verdict.high
    assert verdict.ratio == pytest.approx(1.1, rel=0.01)


def test_enough_is_where_the_noise_is_learnt():
    times = {f"b{n}": 1e-3 for n in range(ENOUGH)}
    assert compare(run(times), run(times), RULES).shared is not None
    times.popitem()
    assert compare(run(times), run(times), RULES).shared is None
