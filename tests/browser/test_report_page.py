"""The page in a real browser: charts, accessibility, no script, every width, print and tools."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from tests.browser.waiting import draw, wait
from tests.timed_records import timed

PAIR = ("googlenet", "googlenet-no-reduction")
SMALL = ("nin", "alexnet")
ALL = [*((width, dark) for width in (1280, 390) for dark in (False, True))]


@pytest.fixture
def measured(file) -> Path:
    records = [timed("nin"), timed("nin", batch=4, quality="noisy", reason="a neighbor"), timed("alexnet")]
    return file(*records)


# Charts.


@pytest.mark.parametrize(("what", "width"), [("pair", 1280), ("measured", 1280), ("pair", 390)])
def test_no_request_no_error_and_all_marks_are_drawn(show, file, measured, what, width):
    opened = show(file(*PAIR) if what == "pair" else measured, width=width)
    draw(opened)
    assert opened.events == []
    found = opened.evaluate("""() => {
      const figures = JSON.parse(document.getElementById("figures").textContent);
      const shown = [...document.querySelectorAll(".plot")].filter((plot) => plot.offsetParent);
      return Object.fromEntries(shown.map((plot) => [
        plot.id.slice(5),
        [plot.querySelectorAll(".point, .slice").length, figures[plot.id.slice(5)].marks],
      ]));
    }""")
    assert len(found) >= 8
    assert {name: pair for name, pair in found.items() if pair[0] < max(pair[1], 1)} == {}


def test_on_a_narrow_screen_names_at_axes_are_shortened_and_no_label_is_cut(show, file):
    opened = show(file(*PAIR), width=390)
    draw(opened)
    chart = opened.locator("#plot-operator-kinds")
    names = chart.locator(".ytick text").all_text_contents()
    assert [name.strip() for name in names] == ["googlenet", "googlenet…eduction"]
    assert chart.locator(".xtick text").all_text_contents() == ["0%", "25%", "50%", "75%", "100%"]
    cut = opened.evaluate("""() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
      const { left, right } = plot.getBoundingClientRect();
      return [...plot.querySelectorAll(".xtick text, .ytick text, .xtitle")].filter((text) => {
        const at = text.getBoundingClientRect();
        return at.width && (at.left < left - 1 || at.right > right + 1);
      }).map((text) => `${plot.id}: ${text.textContent}`);
    })""")
    assert cut == []


def test_the_total_of_a_long_table_stays_visible(show, file):
    opened = show(file("googlenet"))
    draw(opened)
    bottoms = """() => ["#rows-0 tr.total > th", ".wide:has(> #rows-0)"].map(
      (selector) => document.querySelector(selector).getBoundingClientRect().bottom)"""
    opened.locator("#rows-0").scroll_into_view_if_needed()
    total, region = opened.evaluate(bottoms)
    assert region - 60 < total <= region + 3


def test_every_metric_of_the_picker_draws(show, measured):
    opened = show(measured)
    draw(opened)
    select = opened.locator("#compute select")
    names = select.locator("option").all_text_contents()
    assert names == ["MACs", "Parameters", "Activations", "Time"]
    for name in names:
        select.select_option(name)
        opened.wait_for_timeout(100)
        assert opened.locator("#plot-tiles-0 .slice").count() > 5
    assert opened.events == []


def test_nothing_leaves_the_page_when_a_chart_is_clicked(show, file):
    opened = show(file(*SMALL))
    draw(opened)
    assert opened.locator(".modebar, .modebar-btn").count() == 0
    opened.locator("#plot-tiles-0 .slice").nth(1).click()
    opened.wait_for_timeout(500)
    assert opened.events == []


# Loading; `python -m benchmarks.page` measures how fast.


def test_text_appears_before_charts_and_the_first_chart_before_the_others(show, file):
    opened = show(file(*PAIR), height=100)
    wait(opened, "performance.getEntriesByName('first-contentful-paint').length === 1")
    assert opened.evaluate("typeof Plotly") == "undefined"
    drawn = "[...document.querySelectorAll('.plot')].filter(plot => plot.dataset.drawn).map(plot => plot.id)"
    opened.evaluate("""() => {
      window.order = [];
      new MutationObserver((seen) => window.order.push(...seen.map((record) => record.target.id)))
        .observe(document.body, {subtree: true, attributes: true, attributeFilter: ["data-drawn"]});
    }""")
    draw(opened)
    order = opened.evaluate("window.order")
    assert order[0] == opened.evaluate("document.querySelector('.plot').id")
    assert {*order} == {*opened.evaluate(drawn)}


def test_a_thousand_rows_sort(show, file):
    rows = tuple(
        Row(f"m{number}", f"m{number}", "conv2d", 1, ((1, 1, 1, 1),), ((1, 1, 1, 1),), number, number, 0,
            number * 7919 % 1000, 1, 1, 4, 4)
        for number in range(1000)
    )  # fmt: skip
    opened = show(file(Record("long", ((1, 1, 1, 1),), "inference", Count("dispatch", rows))))
    for column in (0, 4, 4, 3, 4):
        opened.locator("#rows-0 thead button").nth(column).click()
    column = opened.evaluate(
        "[...document.querySelectorAll('#rows-0 tbody:not(.gap) tr:not(.total)')].map(row => +row.cells[4].textContent)"
    )
    assert len(column) == 1000
    assert column == sorted(column, reverse=True)


# Accessibility.


def axe() -> str:
    package = pytest.importorskip("axe_core_python", reason="axe-core-python is not installed")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "dark"), ALL)
def test_axe_finds_no_violation(show, measured, width, dark):
    opened = show(measured, width=width, dark=dark)
    draw(opened)
    opened.evaluate(axe())
    violations = opened.evaluate("axe.run(document, {resultTypes: ['violations']}).then(done => done.violations)")
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in violations] == []


CONTRAST = r"""() => {
  const channels = (text) => (text.match(/[\d.]+/g) ?? []).map(Number);
  const light = ([r, g, b]) => {
    const part = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const mark = at.matches(".slice, .point") && at.querySelector("path, rect");
      if (mark) return channels(getComputedStyle(mark).fill);
      const color = channels(style.backgroundColor);
      if (color.length === 3 || color[3] > 0.99) return color;
    }
    return [255, 255, 255];
  };
  const worst = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("script, option, .legend span")) continue;
    // Glyphs of a legend are graphics.
    const style = getComputedStyle(element);
    if (style.visibility === "hidden" || style.display === "none") continue;
    const svg = element.namespaceURI.endsWith("svg");
    const [a, b] = [light(channels(svg ? style.fill : style.color)), light(ground(element))].sort((x, y) => y - x);
    const text = element.textContent.slice(0, 40);
    worst.push([(a + 0.05) / (b + 0.05), element.tagName, text, parseFloat(style.fontSize)]);
  }
  return worst;
}"""


@pytest.mark.parametrize(("width", "dark"), ALL)
def test_text_has_contrast_and_size(show, file, width, dark):
    opened = show(file(*PAIR), width=width, dark=dark)
    draw(opened)
    found = opened.evaluate(CONTRAST)
    assert len(found) > 1000
    assert min(found)[0] >= 4.5, min(found)
    assert min(size for *_, size in found) >= 11


def test_the_keyboard_reaches_and_sorts_a_table(show, file):
    opened = show(file(*SMALL))
    for stop in range(1, 31):
        opened.keyboard.press("Tab")
        if stop == 1:
            assert opened.evaluate("document.activeElement.textContent").startswith("Skip")
        if opened.evaluate("!!document.activeElement.closest('table, .wide')"):
            break
    else:
        pytest.fail("no table within 30 tab stops")
    opened.evaluate("document.querySelector('#networks thead button').focus()")
    heads = "[...document.querySelectorAll('#networks thead th')].map(head => head.getAttribute('aria-sort'))"
    assert set(opened.evaluate(heads)) == {"none"}
    opened.keyboard.press("Enter")
    assert opened.evaluate(heads)[0] == "ascending"
    opened.keyboard.press("Space")
    assert opened.evaluate(heads)[0] == "descending"


def test_the_second_skip_link_leads_to_the_full_table(show, file):
    opened = show(file(*SMALL))
    opened.keyboard.press("Tab")
    opened.keyboard.press("Tab")
    opened.keyboard.press("Enter")
    wait(opened, "location.hash === '#table'")


# No script, every width, dark theme, print.


def test_without_a_script_every_number_claim_and_table_is_shown(show, file):
    plain, full = show(file(*PAIR), script=False), show(file(*PAIR))
    seen = plain.locator("body").inner_text()
    for words in ("1,582,671,872", "112,896,000", "5,268,480", "inception_5b.branch_pool.project.conv", "8.71×"):
        assert words in seen
    assert plain.locator("table").count() == full.locator("table:not(.panel table)").count()
    assert plain.locator(".claim").count() == 17
    assert all(table.is_visible() for table in plain.locator("table").all())
    assert plain.locator(".plot:visible").count() == 0


@pytest.mark.parametrize("what", ["pair", "measured"])
def test_the_page_never_scrolls_sideways(show, measured, file, what):
    opened = show(file(*PAIR) if what == "pair" else measured, width=1920)
    draw(opened)
    for width in (1920, 1280, 768, 390, 320):
        opened.set_viewport_size({"width": width, "height": 800})
        opened.wait_for_timeout(200)
        assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_the_theme_follows_the_system_and_the_button(show, file):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.xtick text, .ytick text')).fill"
    opened = show(file(*SMALL), dark=True)
    draw(opened)
    dark = opened.evaluate(ground), opened.evaluate(ink)
    opened.get_by_role("button", name="Light theme").click()
    opened.wait_for_timeout(300)
    light = opened.evaluate(ground), opened.evaluate(ink)
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1]
    assert show(file(*SMALL)).evaluate(ground) == light[0]


@pytest.mark.parametrize("what", ["pair", "measured"])
def test_print_has_all_charts_on_at_most_twelve_pages(show, file, measured, what, tmp_path):
    opened = show(file(*PAIR) if what == "pair" else measured, dark=True)
    draw(opened)
    pdf = opened.pdf(path=str(tmp_path / "page.pdf"), prefer_css_page_size=True)
    pages = len(re.findall(rb"/Type\s*/Page[^s]", pdf))
    assert 1 < pages <= 12
    assert opened.evaluate("[...document.querySelectorAll('.plot')].filter(plot => !plot.dataset.drawn).length") == 0


def test_on_paper_a_long_drawing_fills_columns(show, file):
    opened = show(file("googlenet"), width=720)
    opened.emulate_media(media="print")
    lefts = """() => [...document.querySelectorAll("#network .picture svg")].map((drawing) => {
      const { left, width } = drawing.getBoundingClientRect();
      return [Math.round(left), Math.round(width)];
    })"""
    places = opened.evaluate(lefts)
    assert len({left for left, _ in places}) == 3
    assert all(200 < width < 288 for _, width in places)  # Legible: text of 11 pixels has more than 7.
    assert not opened.locator("#diagram-panel").is_visible()


# Tools.


def test_a_link_to_a_module_shows_its_row(show, file):
    opened = show(file(*PAIR), at="#inception_4a.branch_5x5")
    wait(opened, "scrollY > 1000")
    line = opened.locator("[id='inception_4a.branch_5x5']")
    wait(opened, "document.documentElement.classList.contains('settled')")
    opened.wait_for_timeout(500)  # All above it is laid out by then.
    box = line.bounding_box()
    assert box is not None
    assert 0 < box["y"] < opened.viewport_size["height"] - box["height"]
    assert "5,268,480" in line.inner_text()
    opened.evaluate("location.hash = '#googlenet-no-reduction/inception_4a.branch_5x5'")
    opened.wait_for_timeout(200)
    assert "112,896,000" in opened.locator("[id='googlenet-no-reduction/inception_4a.branch_5x5']").inner_text()


def test_a_table_can_be_filtered_and_show_only_changes(show, file):
    opened = show(file(*PAIR))
    table = opened.locator("#difference-0-1-data")
    lines = table.locator("tbody:not(.gap) tr:visible")
    every = lines.count()
    opened.locator("#difference").get_by_label("only what changed").check()
    assert 0 < lines.count() < every
    opened.locator("#difference").get_by_role("searchbox").first.fill("4a.branch_5x5")
    assert lines.count() == 1


def record(model: str, names: Sequence[str], op: str) -> Record:
    rows = tuple(
        Row(name, name, op, 1, ((1, 3, 4, 4),), ((1, 8, 4, 4),), 216, 216, 0, 3456, 6912, 128, 1056, 512)
        for name in names
    )
    return Record(model, ((1, 3, 4, 4),), "inference", Count("dispatch", rows))


def test_csv_has_exact_numbers_and_no_formula(show, file):
    names = ("=cmd()|' /C calc'!A0", "+1", "-1", "@x", 'quo"te, comma', "plain")
    opened = show(file(record("=bad()", names, "=op()")))
    with opened.expect_download() as waiting:
        opened.get_by_role("button", name="by operator as CSV").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    lines = list(csv.reader(io.StringIO(text)))
    assert [line[0] for line in lines[1:]] == [
        "'=cmd()|' /C calc'!A0", "'+1", "'-1", "'@x", 'quo"te, comma', "plain", "total",
    ]  # fmt: skip
    assert lines[1][1] == "'=op()"
    assert lines[1][4] == "3456"


def test_hostile_names_run_nothing(show, file):
    names = (
        "<script>window.bad=1</script>",
        "<img src=x onerror='window.bad=1'>",
        "a\u202eb",
        "</script><script>bad=1",
    )
    opened = show(file(record(names[0], names, names[1]), "nin"))
    draw(opened)
    assert opened.evaluate("window.bad") is None
    assert opened.events == []
    assert opened.locator("img").count() == 0
    assert opened.locator("#plot-tiles-0 .crumbs").inner_text() == names[0]
