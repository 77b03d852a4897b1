"""The page of sweep results: its sections and charts as data, and its size."""

from __future__ import annotations

import json
import time
from itertools import combinations

import pytest

from analyzer.sweeps.analysis.accuracy import Accuracy
from reports.page.context import Chart, flat
from reports.page.figures.palette import MUTED
from reports.page.figures.sweeps import SCALE, TEXT, front, heat_map, thinned
from reports.page.sections import sweep_grid
from reports.page.sweep_page import sweep_page
from reports.page.write import html
from tests.reports.page.figures.test_palette import contrast
from tests.sweeps.results import analyze_results, measured_grid, result


def sections(results, **options):
    return [section.id for section in sweep_page(analyze_results(results, **options), "history").sections]


def charts(results, **options):
    return {chart.id: chart for chart in sweep_page(analyze_results(results, **options), "history").charts}


def test_sections_without_content_are_left_out():
    assert sections(measured_grid()) == [
        "summary", "sweep-best", "sweep-front", "sweep-scaling", "sweep-machines", "sweep-grid", "sweep-failures",
        "table", "about",
    ]  # fmt: skip
    assert sections([result("net", batch=batch) for batch in (1, 2)]) == ["summary", "sweep-grid", "table", "about"]
    assert sections([result("net")]) == ["summary", "table", "about"]
    assert sections([result("net", failed="out of memory")]) == ["summary", "sweep-failures", "table", "about"]


def test_the_front_is_drawn_by_cost_and_dominated_points_are_muted():
    """a (1, 9), b (2, 4) and c (3, 5): c is dominated by b."""
    sizes = {"a": (1, 9), "b": (2, 4), "c": (3, 5)}
    chart = charts([result(name, params=params, macs=macs) for name, (params, macs) in sizes.items()])["sweep-front-0"]
    dominated, steps, on_front = chart.figure["data"]
    assert (steps["x"], steps["y"]) == ([4, 9], [2, 1])
    assert (on_front["x"], on_front["y"], on_front["text"]) == ([4, 9], [2, 1], ["b", "a"])
    assert (dominated["x"], dominated["y"], dominated["marker"]["color"]) == ([5], [3], MUTED)
    assert chart.marks == 3


def test_a_model_that_is_on_the_front_for_its_interval_alone_is_no_step():
    """b is larger and slower by its median, but its interval is wide."""
    chart = charts([result("a", 1.0, params=1, spread=0.1), result("b", 1.05, params=2, spread=0.1)])["sweep-front-0"]
    steps, on_front = chart.figure["data"]
    assert (steps["x"], on_front["x"]) == ([1.0], [1.0, 1.05])


def test_times_have_error_bars_as_long_as_their_intervals():
    results = [result("a", 1.0, params=1, spread=0.01), result("b", 2.0, params=2, spread=0.01)]
    (candidate,) = analyze_results(results).fronts[0].front
    trace = charts(results)["sweep-front-0"].figure["data"][-1]
    assert trace["error_x"]["array"] == [candidate.high - candidate.cost]
    assert trace["error_x"]["arrayminus"] == [candidate.cost - candidate.low]


def test_scaling_has_at_most_eight_lines_and_says_what_they_share():
    results = [result(f"net{number}", 1.0, batch=batch) for number in range(12) for batch in (1, 2)]
    chart = charts(results)["sweep-batch"]
    assert len(chart.figure["data"]) == 8
    assert "8 of 12 series" in chart.summary
    assert len(chart.table.rows) == 24


def test_a_heat_map_shows_numbers_as_text_and_why_a_cell_has_none():
    results = [result("net", 1.0), result("net", 1.0, batch=2, quality="void"), result("net", batch=4, failed="killed")]
    figure = charts(results)["sweep-grid-0"].figure
    assert figure["data"][0]["text"] == [["1", "void", "failed"]]
    assert [note["text"] for note in figure["layout"]["annotations"]] == ["void", "failed"]


def test_text_on_a_heat_map_has_contrast():
    assert min(contrast(TEXT, tint) for _, tint in SCALE) > 7


def test_many_points_are_thinned_and_many_cells_have_no_text():
    spots = [(float(x), float(y), (x, x), "", "") for x in range(1, 101) for y in range(1, 101)]
    assert len(thinned(spots)) == 90 * 90
    assert len(thinned(spots[:1000])) == 1000
    assert front(spots[:2], spots, x="", unit="", y="", log_y=True)["data"][0]["x"]
    side = list(map(str, range(100)))
    figure = heat_map([[1.0] * 100] * 100, [["1"] * 100] * 100, x="x", y="y", x_values=side, y_values=side)
    assert "texttemplate" not in figure["data"][0]


def test_names_from_outside_are_escaped():
    hostile = "<img src=x onerror=alert(1)>\u202e"
    text = html(sweep_page(analyze_results([result(hostile), result("net", macs=5, params=5)]), hostile))
    assert "<img src=x" not in text
    assert "\u202e" not in text


def test_the_page_is_small_without_data_and_equal_for_equal_input():
    analysis = analyze_results([result("net")])
    assert len(html(sweep_page(analysis, "history"), "none")) < 150_000
    whole = analyze_results(measured_grid(), accuracy=Accuracy("top-1", {"googlenet": 69.8, "nin": 58}))
    assert html(sweep_page(whole, "history")) == html(sweep_page(whole, "history"))
    assert all(json.dumps(chart.figure, allow_nan=False) for chart in sweep_page(whole, "history").charts)


@pytest.mark.slow
def test_ten_thousand_counts_stay_usable():
    results = [
        result("net", params=a * b, macs=a + b, overrides={"a": a, "b": b}) for a in range(100) for b in range(100)
    ]
    start = time.process_time()
    text = html(sweep_page(analyze_results(results), "history"), "none")
    assert time.process_time() - start < 10
    assert len(text) < 3_000_000


def test_any_two_dimensions_can_be_the_axes_of_a_heat_map():
    analysis = analyze_results(measured_grid())
    (choice,) = sweep_grid.section(analysis).blocks
    pairs = [name for name, _ in choice.options]
    assert pairs[0] == f"{analysis.heat_maps[0].y} and {analysis.heat_maps[0].x}"
    assert {frozenset(name.split(" and ")) for name in pairs} == set(
        map(frozenset, combinations(("model", "batch", "machine", "threads", "dtype"), 2))
    )
    ids = [block.id for block in flat((choice,)) if isinstance(block, Chart)]
    assert len(ids) == len({*ids}) > 10


def test_maps_that_can_be_chosen_have_a_limit_of_cells(monkeypatch):
    monkeypatch.setattr(sweep_grid, "MAX_CELLS", 12)
    (choice,) = sweep_grid.section(analyze_results(measured_grid())).blocks
    assert 1 < len(choice.options) < 10
