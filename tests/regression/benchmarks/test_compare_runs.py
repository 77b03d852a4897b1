"""Comparing two runs of pytest-benchmark: the noise that all benchmarks reveal, and the outcomes that follow."""

from __future__ import annotations

import math
from statistics import median, stdev

import pytest

from analyzer.regression.benchmarks.compare_runs import (
    ALL,
    DEFAULT_DEVIATION,
    MIN_BENCHMARKS,
    MIN_DEVIATION,
    compare_runs,
    estimate_log_ratios,
    incompatibility,
    median_and_deviation,
)
from analyzer.regression.benchmarks.sample_times import BenchmarkTime, estimate_time
from analyzer.regression.outcome import exit_status
from analyzer.regression.paired.sequential_test import Rules
from analyzer.trends.pytest_benchmark import Benchmark, BenchmarkRun, parse_run
from reports.regression.summary import headline
from tests.trends.bench_files import MACHINE, bench

RULES = Rules()
NOISE = (0.004, -0.003, 0.002, -0.005, 0.001, -0.001, 0.003, -0.004, 0.005)  # Of the log ratio of nine benchmarks.


def samples(center: float, count: int = 40) -> list[float]:
    """Samples that scatter by 1 % without drift; their median is `center` to a part in a thousand."""
    return [center * (1 + 0.01 * math.sin(2.4 * index)) for index in range(count)]


def run(times: dict[str, float], **settings) -> BenchmarkRun:
    return parse_run(bench({name: samples(time) for name, time in times.items()}, **settings))


def nine(*, first: float = 1.0, all_of_them: float = 1.0, noise: bool = True) -> BenchmarkRun:
    """Nine benchmarks of 1 to 9 ms; `first` multiplies the first one, `all_of_them` every one."""
    times = {}
    for index, log in enumerate(NOISE):
        factor = first if index == 0 else 1.0
        times[f"b{index}"] = 1e-3 * (index + 1) * factor * all_of_them * math.exp(log if noise else 0.0)
    return run(times)


def outcomes(result) -> dict[str, str]:
    return {check.model: check.outcome for check in result.checks}


def test_one_slower_benchmark_regresses_alone():
    result = compare_runs(nine(noise=False), nine(first=1.5), RULES)
    assert [name for name, outcome in outcomes(result).items() if outcome == "regressed"] == ["b0"]
    assert not {"improved", "incomparable"} & set(outcomes(result).values())
    first = result.checks[0]
    # 1.5 · e^0.004 = 1.506 as measured; the bounds are relative to the median of the others.
    assert first.changes[0].ratio == pytest.approx(1.506, abs=0.002)
    others = sorted(NOISE[1:])
    assert first.estimate.mean == pytest.approx(math.log(1.5) + 0.004 - (others[3] + others[4]) / 2, abs=0.002)
    assert exit_status(result, strict=False) == 1
    assert result.status == "failed"


def test_a_faster_benchmark_improves():
    result = compare_runs(nine(noise=False), nine(first=0.5), RULES)
    assert result.checks[0].outcome == "improved"
    assert exit_status(result, strict=False) == 0


def test_a_shift_of_all_benchmarks_is_the_machines():
    result = compare_runs(nine(noise=False), nine(all_of_them=1.4), RULES)
    assert result.shared_log_ratio == pytest.approx(math.log(1.4) + 0.001, abs=0.002)  # 0.001 is NOISE's median.
    assert result.shifted
    assert not result.failures
    assert (exit_status(result, strict=False), exit_status(result, strict=True)) == (0, 4)


def test_most_slower_is_not_others_faster():
    """Six of nine take half as long again: the three others did not become faster."""
    times = {f"b{index}": 1e-3 * (index + 1) for index in range(9)}
    slower = {name: time * (1.5 if index < 6 else 1.0) for index, (name, time) in enumerate(times.items())}
    result = compare_runs(run(times), run(slower), RULES)
    assert "improved" not in outcomes(result).values()
    assert (
        outcomes(result)[ALL] == "inconclusive"
    )  # log(1.5) = 0.405; 4.541 · 0.13 = 0.590 is within the noise of two runs.
    assert (exit_status(result, strict=False), exit_status(result, strict=True)) == (0, 4)
    assert headline(result).startswith("Benchmarks inconclusive")


def test_all_twice_as_slow_is_a_regression_of_all():
    result = compare_runs(nine(noise=False), nine(all_of_them=2.0), RULES)
    # log(2) = 0.693 exceeds 4.541 · 0.13 + log(1.01) = 0.600.
    assert outcomes(result)[ALL] == "regressed"
    assert [change.model for change in result.failures] == [ALL]
    assert exit_status(result, strict=False) == 1
    assert "regressed" not in {outcome for name, outcome in outcomes(result).items() if name != ALL}


def test_all_twice_as_fast_improves_none_alone():
    result = compare_runs(nine(noise=False), nine(all_of_them=0.5), RULES)
    assert outcomes(result)[ALL] == "improved"
    assert not result.failures


def test_equal_runs_are_unchanged():
    result = compare_runs(nine(noise=False), nine(noise=False), RULES.replace(limit=0.2))
    assert set(outcomes(result).values()) == {"unchanged"}
    assert exit_status(result, strict=True) == 0


@pytest.mark.parametrize(("time", "outcome"), [(1.7e-3, "inconclusive"), (1.9e-3, "regressed")])
def test_few_benchmarks_are_compared_with_the_default_noise(time, outcome):
    assert estimate_log_ratios({"only": 0.3}, {"only": 0.0})["only"].standard_error == DEFAULT_DEVIATION
    # Student's t of 3 degrees of freedom exceeds 4.541 with probability 1 %, so that the least growth that regresses is
    # 4.541 · 0.13 + log(1.01) = 0.600, a factor of 1.82.
    assert compare_runs(run({"only": 1e-3}), run({"only": time}), RULES).checks[0].outcome == outcome


def test_the_minimum_detectable_change_by_its_formula():
    (check,) = compare_runs(run({"only": 1e-3}), run({"only": 1e-3}), RULES).checks
    # t of 3 degrees of freedom: 4.5407 at 1 %, 2.3534 at 5 %.
    expected = math.log(1.01) + (4.5407 + 2.3534) * check.estimate.standard_error
    assert math.log1p(check.minimum_detectable_change) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("count", [5, 9])
def test_a_benchmark_does_not_widen_its_own_bounds(count):
    times = {f"b{index}": 1e-3 * math.exp(NOISE[index]) for index in range(count)}
    base = run(dict.fromkeys(times, 1e-3))
    change = compare_runs(base, run(times), RULES).checks[0].minimum_detectable_change
    grown = compare_runs(base, run({**times, "b0": times["b0"] * (1 + change)}), RULES).checks[0]
    assert grown.outcome == "regressed"
    assert grown.minimum_detectable_change == pytest.approx(change)


def test_the_deviation_comes_from_the_median_absolute_deviation():
    # Distances from the median 0: 0.03, 0.01, 0.01, 0.03; their median is 0.02.
    assert median_and_deviation([-0.03, -0.01, 0.01, 0.03]) == (0.0, pytest.approx(0.02 / 0.6745 * 1.2))
    assert median_and_deviation([0.0] * 9) == (0.0, MIN_DEVIATION)


def test_quiet_files_detect_small_growth():
    """The noise of the files decides, and not a fixed limit: 12.5 · 0.005 = 6 %."""
    times = {f"b{index}": 1e-3 * (index + 1) for index in range(9)}
    result = compare_runs(run(times), run({**times, "b0": times["b0"] * 1.1}), RULES)
    assert outcomes(result)["b0"] == "regressed"
    assert all(check.minimum_detectable_change < 0.09 for check in result.checks)


@pytest.mark.parametrize("step", [0.7, 0.93, 1.03, 1.05, 1.07, 1.1, 1.2])
def test_a_word_agrees_with_its_bounds_or_has_a_reason(step):
    """Bounds include the correction for nine benchmarks; 1.2 ± 0.1 at a tolerance of 1 % was once "inconclusive"."""
    result = compare_runs(nine(noise=False), nine(first=step), RULES)
    for check in result.checks:
        (change,) = check.changes
        assert (check.outcome == "regressed") == (change.low > 1.01)
        assert (check.outcome == "improved") == (change.high < 1 / 1.01) or check.reason
        assert check.outcome != "inconclusive" or change.high >= 1.05 or check.reason


def test_many_benchmarks_share_alpha():
    """Of 100 equal benchmarks that scatter by 10 %, none regresses for being the slowest."""
    times = {f"b{index:03}": 1e-3 * math.exp(0.1 * math.sin(7.3 * index)) for index in range(100)}
    assert not compare_runs(run(dict.fromkeys(times, 1e-3)), run(times), RULES).failures


def test_a_disturbance_of_half_a_benchmarks_run_is_inconclusive():
    times = {f"b{index}": samples(1e-3) for index in range(9)}
    base = parse_run(bench(times))
    half = {**times, "b0": samples(1e-3, 19) + samples(2e-3, 21)}
    assert compare_runs(base, parse_run(bench(half)), RULES).checks[0].outcome == "inconclusive"
    whole = {**times, "b0": samples(2e-3)}
    assert compare_runs(base, parse_run(bench(whole)), RULES).checks[0].outcome == "regressed"


def test_samples_that_scatter_too_much_have_no_minimum_detectable_change():
    wild = [10.0 ** -(index % 9) for index in range(40)]
    (check,) = compare_runs(parse_run(bench({"b": wild})), parse_run(bench({"b": wild})), RULES).checks
    assert (check.outcome, check.minimum_detectable_change, check.changes[0].high) == ("inconclusive", None, None)


def test_a_benchmark_in_one_run_only_is_incomparable():
    result = compare_runs(run({"old": 1e-3, "both": 1e-3}), run({"both": 1e-3, "new": 1e-3}), RULES)
    reasons = {check.model: check.reason for check in result.checks if check.outcome == "incomparable"}
    assert reasons == {"old": "only in the base", "new": "only in this run"}
    assert (exit_status(result, strict=False), exit_status(result, strict=True)) == (0, 3)


def test_a_time_of_0_has_no_ratio():
    base = parse_run(bench({"b": [0.0] * 5}))
    (check,) = compare_runs(base, run({"b": 1e-3}), RULES).checks
    assert (check.outcome, check.reason) == ("incomparable", "a time of 0")


def test_runs_of_two_machines_are_incomparable():
    other = {**MACHINE, "cpu": {"brand_raw": "Another CPU", "count": 8}}
    result = compare_runs(run({"b": 1e-3}), run({"b": 9e-3}, machine=other), RULES)
    assert result.incomparable == "processor Example CPU 3 GHz against Another CPU; processors 4 against 8"
    assert [check.outcome for check in result.checks] == ["incomparable"]
    assert exit_status(result, strict=False) == 3
    unknown = run({"b": 1e-3}, machine={}).environment
    assert "unknown" in incompatibility(unknown, unknown)


def test_a_change_has_bounds_as_ratios():
    (change,) = compare_runs(run({"b": 1e-3}), run({"b": 1.1e-3}), RULES).changes
    assert (change.model, change.metric, change.outcome) == ("b", "time", "inconclusive")
    assert change.low < 1.1 < change.high
    assert change.ratio == pytest.approx(1.1, rel=0.01)


def test_the_shared_shift_needs_a_minimum_of_benchmarks():
    times = {f"b{index}": 1e-3 for index in range(MIN_BENCHMARKS)}
    assert compare_runs(run(times), run(times), RULES).shared_log_ratio is not None
    times.popitem()
    assert compare_runs(run(times), run(times), RULES).shared_log_ratio is None


# --- a benchmark's time from its samples -----------------------------------------------------------------------------
def estimate(samples, median_s: float = 7.0) -> BenchmarkTime:
    return estimate_time(Benchmark("b", median_s, tuple(samples)))


def test_the_time_is_the_median_of_the_minima_of_ten():
    # 30 groups of ten: group n has one 1 + n among nines of 100.
    result = estimate([100.0 if index else 1.0 + group for group in range(30) for index in range(10)])
    assert result.time_s == median(range(1, 31))
    # Three groups are a tenth of the run; their medians are 2, 5, …, 29.
    assert result.error == pytest.approx(stdev(map(math.log, range(2, 30, 3))))


def test_with_fewer_than_a_hundred_samples_each_tenth_has_a_minimum():
    assert estimate([2.0, 1.0] * 10) == BenchmarkTime(1.0, 0.0)
    assert estimate([1.0, 2.0, 3.0, 4.0, 5.0]) == BenchmarkTime(3.0, pytest.approx(stdev(map(math.log, range(1, 6)))))


@pytest.mark.parametrize("samples", [(), (1.0,) * 4, (0.0,) * 50, (0.0,) * 50 + (1.0,) * 4])
def test_with_too_few_positive_samples_the_files_median_is_taken(samples):
    assert estimate(samples) == BenchmarkTime(7.0, None)


def test_a_sample_of_0_is_no_minimum():
    assert estimate([0.0, 1.0] * 50) == BenchmarkTime(1.0, 0.0)


def test_a_disturbance_of_two_samples_in_three_is_ignored():
    samples = [1.0 if index % 3 == 0 else 2.0 for index in range(300)]
    assert (median(samples), estimate(samples).time_s) == (2.0, 1.0)
