"""The page of sweep results in a real browser: charts, accessibility, choices, hostile names."""

from __future__ import annotations

import pytest

from analyzer.sweeps.analysis.accuracy import Accuracy
from reports.page.sweep_page import sweep_page
from reports.page.write import html
from tests.browser.test_report_page import CONTRAST, axe
from tests.browser.waiting import draw
from tests.sweeps.results import SIZES, analyze_results, measured_grid

HOSTILE = "<img src=x onerror=alert(1)>\u202e</script>"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "sweep.html"
    models = {**SIZES, HOSTILE: (5_000_000, 300_000_000)}
    accuracy = Accuracy("top-1", {"googlenet": 69.8, "alexnet": 56.5, "nin": 58.0})
    analysis = analyze_results(measured_grid(models=models), accuracy=accuracy)
    path.write_text(html(sweep_page(analysis, "history")), encoding="utf-8")
    return path


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (320, True)])
def test_every_chart_is_drawn_without_violations_requests_or_sideways_scrolling(show, measured, width, dark):
    opened = show(measured, width=width, dark=dark)
    draw(opened)
    marks = opened.evaluate("""() => {
      const figures = JSON.parse(document.getElementById("figures").textContent);
      const shown = [...document.querySelectorAll(".plot")].filter((plot) => plot.offsetParent);
      return shown.map((plot) => [
        plot.id, plot.querySelectorAll(".point, .hm image").length, figures[plot.id.slice(5)].marks,
        figures[plot.id.slice(5)].data.some((trace) => trace.type === "heatmap"),
      ]);
    }""")
    assert len(marks) == 8
    assert [name for name, drawn, wanted, is_map in marks if drawn < (1 if is_map else wanted)] == []
    opened.evaluate(axe())
    violations = opened.evaluate("axe.run(document, {resultTypes: ['violations']}).then(done => done.violations)")
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []
    found = opened.evaluate(CONTRAST)
    cells = opened.evaluate("[...document.querySelectorAll('.heatmap-label text')].length")
    assert cells > 8
    assert min(item for item in found if item[1] != "text")[0] >= 4.5
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert opened.events == []


def test_the_reader_chooses_the_front_and_the_choice_is_in_the_address(show, measured):
    opened = show(measured)
    draw(opened)
    select = opened.locator("#sweep-front select")
    names = select.locator("option").all_text_contents()
    assert names[0].startswith("time against top-1")
    assert [name for name in names if name.startswith("MACs against params")]
    select.select_option(index=len(names) - 1)
    draw(opened)
    assert opened.locator(f"#plot-sweep-front-{len(names) - 1} .point").count() >= 3
    assert "front=" in opened.evaluate("location.hash")
    assert opened.events == []


def test_a_heat_map_and_a_curve_are_saved_as_svg(show, measured):
    opened = show(measured)
    draw(opened)
    for chart in ("sweep-grid-0", "sweep-batch"):
        with opened.expect_download() as download:
            opened.locator(f"#chart-{chart} .export button").first.click()
        assert download.value.suggested_filename == f"{chart}.svg"


def test_without_scripts_every_table_is_there(show, measured):
    opened = show(measured, script=False)
    assert opened.locator("#sweep-front table").first.is_visible()
    maps = opened.locator("#sweep-grid .option:not(:has(.choice))").count()
    assert opened.locator("#sweep-grid table").count() == maps > 10


def test_the_reader_chooses_the_axes_of_the_heat_map(show, measured):
    opened = show(measured)
    opened.locator("#sweep-grid select").first.select_option("threads and dtype")
    draw(opened)
    shown = opened.locator("#sweep-grid figure.chart:visible")
    assert shown.count() == 1
    assert shown.locator("h3").inner_text() == "samples/s by threads and dtype"
    assert shown.locator(".hm image").count() == 1
    assert "axes=" in opened.evaluate("location.hash")
    assert opened.events == []
