"""What results of sweeps say: values against arithmetic by hand."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.sweeps.analysis.accuracy import Accuracy, parse_accuracy, unknown_models
from analyzer.sweeps.analysis.pareto import fronts
from analyzer.sweeps.analysis.points import machine_names, newest_points, point
from analyzer.timing.statistics import estimate_median
from tests.sweeps.results import LARGE, SMALL, analyze_results, result


def read_points(results):
    return newest_points(map(point, results))


def names(front):
    return [candidate.point.model for candidate in front.front]


# Points.


def test_the_newest_time_of_a_configuration_counts_unless_it_is_void():
    old, new = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
    first, second = result("net", 1.0, ended=old), result("net", 2.0, ended=new)
    (point,) = read_points([second, first])
    assert point.median.value == 2.0
    (point,) = read_points([first, result("net", 2.0, ended=new, quality="void")])
    assert point.median.value == 1.0
    assert len(read_points([first, result("net", 2.0, ended=new, environment=LARGE)])) == 2


def test_a_failure_counts_until_the_configuration_succeeds():
    old, new = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
    assert [point.failed for point in read_points([result(failed="out of memory", ended=old), result(ended=new)])] == [
        False
    ]
    later = read_points([result(ended=old), result(failed="out of memory", ended=new)])
    assert [point.failed for point in later] == [False, True]
    elsewhere = read_points([result(failed="out of memory", ended=old), result(ended=new, environment=LARGE)])
    assert len(elsewhere) == 2


def test_counts_alone_give_way_to_the_same_configuration_with_a_time():
    assert [point.usable for point in read_points([result(), result("net", 1.0)])] == [True]


def test_machines_of_one_name_are_told_apart_by_what_differs():
    newer = SMALL | {"torch": {"version": "2.14.0", "capability": "AVX2"}}
    points = read_points([result("net", 1.0), result("net", 1.0, environment=newer)])
    found = list(machine_names(points).values())
    assert found == ["Small CPU (torch 2.13.0 AVX2)", "Small CPU (torch 2.14.0 AVX2)"]


# Pareto fronts.


def test_of_exact_counts_a_model_is_dominated_by_one_as_small_and_cheaper():
    """a (1, 9), b (2, 4), c (3, 5): b has fewer MACs than c and fewer params; d equals b; e is as large as b."""
    sizes = {"a": (1, 9), "b": (2, 4), "c": (3, 5), "d": (2, 4), "e": (2, 6), "f": (3, 4)}
    results = [result(name, params=params, macs=macs) for name, (params, macs) in sizes.items()]
    (front,) = fronts(read_points(results))
    assert names(front) == ["b", "d", "a"]
    assert (front.cost, front.against, front.confidence) == ("macs", "params", 1.0)


def test_a_time_is_dominated_only_if_the_intervals_say_so():
    """Medians of 1.00 and 1.05 s, b the larger model; with a spread of 10 % their intervals overlap."""
    certain = [result("a", 1.0, params=1), result("b", 1.05, params=2)]
    assert names(fronts(read_points(certain))[0]) == ["a"]
    uncertain = [result("a", 1.0, params=1, spread=0.1), result("b", 1.05, params=2, spread=0.1)]
    front = fronts(read_points(uncertain))[0]
    assert (front.cost, names(front)) == ("time", ["a", "b"])
    assert front.confidence == 1 - 0.05 / 2  # Two intervals that hold together.


def test_void_times_are_in_no_front():
    results = [result("a", 1.0, params=1, quality="void"), result("b", 2.0, params=2), result("c", 1.0, params=3)]
    assert names(fronts(read_points(results))[0]) == ["c", "b"]


def test_accuracy_is_better_the_higher():
    accuracy = Accuracy("top-1", {"a": 70.0, "b": 60.0, "c": 80.0})
    results = [result(name, macs=macs) for name, macs in (("a", 3), ("b", 4), ("c", 5), ("d", 1))]
    front = fronts(read_points(results), accuracy)[0]
    assert (front.against, names(front)) == ("top-1", ["a", "c"])


def test_the_chosen_cost_comes_first():
    results = [result("a", 1.0, params=1), result("b", 1.05, params=2, macs=1)]
    points = read_points(results)
    assert [front.cost for front in fronts(points, first="macs")] == ["macs", "time"]
    assert [front.cost for front in fronts(points)] == ["time", "macs"]


# Accuracies.


def test_an_accuracy_file_is_read_and_its_unknown_models_are_named():
    accuracy = parse_accuracy("\ufeffmodel,top-1\ngooglenet, 69.8\n\nalexnet,56.5\n", "acc.csv")
    assert accuracy == Accuracy("top-1", {"googlenet": 69.8, "alexnet": 56.5})
    (message,) = unknown_models(accuracy, ["googlenet", "alexnets"])
    assert "'alexnet'" in message
    assert "nearest: alexnets" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "begins with 'nothing'"),
        ("googlenet,69.8\n", "header model,accuracy"),
        ("model,top-1\n", "no models"),
        ("model,top-1\nnet,high\n", "line 2: 'high' is not a number"),
        ("model,top-1\nnet,nan\n", "line 2: 'nan' is not a finite number"),
        ("model,top-1\nnet,1,2\n", "line 2: 3 columns"),
        ("model,top-1\nnet,1\nnet,2\n", "line 3: a second accuracy of 'net'"),
    ],
)
def test_a_malformed_accuracy_file_is_refused_with_its_line(text, words):
    with pytest.raises(AnalyzerError, match=r"acc\.csv") as error:
        parse_accuracy(text, "acc.csv")
    assert words in str(error.value)


# Scaling.


def test_efficiency_is_throughput_against_linear_scaling():
    """Batch 1 in 1 s, batch 4 in 2 s: 1 and 2 samples/s, twice as many for four times the batch."""
    (curve,) = analyze_results([result("net", 2.0, batch=4), result("net", 1.0, batch=1)]).curves
    assert (curve.axis, [step.at for step in curve.steps]) == ("batch", [1, 4])
    assert [step.point.samples_per_s for step in curve.steps] == [1.0, 2.0]
    assert [(step.efficiency, step.low, step.high) for step in curve.steps] == [(1.0, 1.0, 1.0), (0.5, 0.5, 0.5)]


def test_threads_scale_at_equal_batch():
    """4 threads are 3 times as fast as 1: efficiency 3 / 4. Other batches are other curves."""
    results = [result("net", 3.0, batch=2, threads=1), result("net", 1.0, batch=2, threads=4), result("net", 1.0)]
    (curve,) = [curve for curve in analyze_results(results).curves if curve.axis == "threads"]
    assert [step.efficiency for step in curve.steps] == [1.0, pytest.approx(0.75)]


def test_void_times_and_other_machines_are_in_no_curve():
    results = [
        result("net", 1.0),
        result("net", 1.0, batch=2, quality="void"),
        result("net", 1.0, batch=4, environment=LARGE),
    ]
    assert analyze_results(results).curves == ()


# Machines.


def test_machines_are_compared_with_intervals_and_undecided_where_they_include_1():
    results = [
        result("a", 2.0), result("a", 1.0, environment=LARGE),
        result("b", 1.0, spread=0.1), result("b", 1.05, spread=0.1, environment=LARGE),
        result("c", 1.0), result("c", 3.0, environment=LARGE),
        result("d", 1.0), result("d", 3.0, environment=LARGE, quality="void"),
    ]  # fmt: skip
    (pair,) = analyze_results(results).pairs
    found = {item.first.model: (item.ratio, item.outcome) for item in pair.comparisons}
    assert found == {"a": (0.5, "faster"), "b": (1.05, "undecided"), "c": (3.0, "slower")}


def test_a_gpu_is_compared_with_the_processor_at_its_default_threads():
    gpu = SMALL | {"gpu": {"name": "Example GPU", "driver": "1"}}
    results = [
        result("net", 4.0, threads=1), result("net", 2.0, threads=4),
        result("net", 1.0, device="cuda", threads=8, environment=gpu),
    ]  # fmt: skip
    (pair,) = analyze_results(results).pairs
    assert [(item.first.configuration.threads, item.ratio) for item in pair.comparisons] == [(4, 0.5)]


# Best configurations.


def test_the_best_configuration_is_given_against_the_default_with_its_interval():
    """The default has all 4 processors. 3 comparisons: each interval has a confidence of 1 - 0.05 / 3."""
    results = [
        result("net", 4.0, threads=1),
        result("net", 2.0, threads=4),
        result("net", 1.0, threads=4, layout="channels_last", dtype="bfloat16", spread=0.01),
        result("net", 1.6, threads=4, layout="channels_last"),
    ]
    (best,) = analyze_results(results).best
    assert (best.default.configuration.threads, best.default.configuration.dtype) == (4, "float32")
    assert best.fastest.configuration.dtype == "bfloat16"
    timing = results[2].record.measurement.pass_timing
    half_width = estimate_median(timing).half_width(1 - 0.05 / 3)
    # The default has no spread, so that the interval is 2 s ÷ the interval of the fastest (Fieller).
    assert best.speed == 2.0
    assert (best.low, best.high) == (pytest.approx(2 / (1 + half_width)), pytest.approx(2 / (1 - half_width)))
    assert (best.certain, best.undecided, best.compared) == (True, (), 4)


def test_more_comparisons_need_more_evidence():
    """A gain of 10 % with a spread of 2 % is certain by itself and not among eleven."""
    gained = result("net", 0.9, threads=4, layout="channels_last", spread=0.015)
    default = result("net", 1.0, threads=4)
    others = [result("net", 2.0 + number, threads=number) for number in range(5, 15)]
    assert analyze_results([default, gained]).best[0].certain
    assert not analyze_results([default, gained, *others]).best[0].certain


def test_an_undecided_gain_is_no_conclusion():
    results = [result("net", 1.0, spread=0.2), result("net", 0.9, layout="channels_last", spread=0.2)]
    (best,) = analyze_results(results).best
    assert not best.certain
    assert [point.configuration.layout for point in best.undecided] == ["contiguous"]


def test_a_void_time_is_never_the_best_and_a_missing_default_gives_no_ratio():
    results = [
        result("net", 0.1, layout="channels_last", quality="void"),
        result("net", 1.0, dtype="bfloat16"),
        result("net", 2.0, dtype="float16"),
    ]
    (best,) = analyze_results(results).best
    assert (best.fastest.configuration.dtype, best.default, best.speed, best.void) == ("bfloat16", None, None, 1)


# Heat maps.


def test_a_heat_map_has_the_two_dimensions_with_most_values():
    """Three batches and two thread counts; samples/s = batch ÷ time."""
    results = [
        result("net", batch / threads, batch=batch, threads=threads) for batch in (8, 1, 2) for threads in (1, 2)
    ]
    (rate,) = analyze_results(results).heat_maps  # MACs do not depend on threads.
    assert (rate.metric, rate.y, rate.x) == ("samples_per_s", "batch", "threads")
    assert (rate.y_values, rate.x_values) == ((1, 2, 8), (1, 2))
    assert [[cell.value for cell in row] for row in rate.cells] == [[1.0, 2.0]] * 3


def test_times_have_a_map_for_each_setting_of_the_other_dimensions():
    results = [
        result("net", 1.0, batch=batch, threads=threads, dtype=dtype)
        for batch in (1, 2, 4) for threads in (1, 2, 4) for dtype in ("float32", "bfloat16")
    ]  # fmt: skip
    maps = [heat_map for heat_map in analyze_results(results).heat_maps if heat_map.metric == "samples_per_s"]
    assert [heat_map.fixed for heat_map in maps] == [(("dtype", "float32"),), (("dtype", "bfloat16"),)]


def test_cells_without_a_number_say_why():
    results = [
        result("net", 1.0), result("net", 1.0, batch=2, quality="void"), result("net", batch=4, failed="out of memory"),
    ]  # fmt: skip
    rate = analyze_results(results).heat_maps[0]
    assert (rate.y, rate.x) == ("", "batch")
    assert [(cell.value, cell.state) for cell in rate.cells[0]] == [(1.0, "ok"), (None, "void"), (None, "failed")]


def test_a_grid_of_overrides_has_them_as_dimensions_and_merges_what_is_left():
    results = [
        result("net", params=a * b * c, overrides={"a": a, "b": b, "c": c})
        for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2)
    ]  # fmt: skip
    maps = {heat_map.metric: heat_map for heat_map in analyze_results(results).heat_maps}
    assert (maps["params"].y, maps["params"].x, maps["params"].over) == ("a", "b", ("c",))
    assert [cell.value for cell in maps["params"].cells[2]] == [3, 6, 9]  # The smallest: c = 1.
    assert "macs" not in maps  # They do not vary.


def test_axes_can_be_chosen_and_an_unknown_axis_is_refused():
    results = [result("net", batch=batch, threads=threads) for batch in (1, 2, 3) for threads in (1, 2)]
    assert analyze_results(results, axes=("threads", "batch")).heat_maps[0].y == "threads"
    with pytest.raises(AnalyzerError, match=r"'thread'.*nearest: threads"):
        analyze_results(results, axes=("thread",))


# Failures.


def test_failures_are_grouped_by_reason_whatever_the_numbers_and_the_model():
    results = [
        result("a", failed="a: killed after 20.1 s"), result("b", failed="b: killed after 31.7 s"),
        result("c", failed="out of memory"),
    ]  # fmt: skip
    found = analyze_results(results).failures
    assert [(failure.reason, len(failure.points)) for failure in found] == [
        ("killed after 20.1 s", 2),
        ("out of memory", 1),
    ]
