"""Tiles by keyboard, the state in the address, tables as trees, copies, images of charts, the current section."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from tests.browser.waiting import draw, wait

PAIR = ("googlenet", "googlenet-no-reduction")
SHAPE = ((1, 8),)
TILES = "document.querySelectorAll('#plot-tiles-0 .slice').length > 0"
CRUMBS = "#plot-tiles-0 .crumbs"
FOCUSED = "document.activeElement.dataset?.path"


@pytest.fixture(scope="module")
def shared(browser, file):
    """One page for tests that leave it as it was."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(file(*PAIR).as_uri())
    page.evaluate("document.querySelector('#compute').scrollIntoView()")
    wait(page, TILES)
    yield page
    context.close()


@pytest.fixture
def opened(show, file):
    """With tiles, which need no plotly."""
    page = show(file(*PAIR))
    page.evaluate("document.querySelector('#compute').scrollIntoView()")
    wait(page, TILES)
    return page


def test_tiles_are_moved_through_opened_and_closed_by_keyboard(opened):
    opened.locator("#plot-tiles-0 .slice").first.focus()
    assert opened.evaluate(FOCUSED) == "conv1"
    for key, path in (("ArrowDown", "conv2_reduce"), ("ArrowDown", "conv2"), ("ArrowRight", "conv2.conv")):
        opened.keyboard.press(key)
        assert opened.evaluate(FOCUSED) == path
    opened.keyboard.press("ArrowLeft")
    opened.keyboard.press("Enter")
    assert opened.locator(CRUMBS).inner_text() == "googlenet › conv2"
    assert opened.evaluate(FOCUSED) == "conv2.conv"
    opened.keyboard.press("Escape")
    assert opened.locator(CRUMBS).inner_text() == "googlenet"
    assert opened.evaluate(FOCUSED) == "conv2"
    assert opened.locator("#plot-tiles-0 .slice[tabindex='0']").count() == 1
    assert opened.events == []


def test_a_browser_without_base64_for_arrays_draws_charts_too(browser, file):
    """Browsers before 2025 have no `Uint8Array.fromBase64`."""
    context = browser.new_context()
    context.add_init_script("delete Uint8Array.fromBase64")
    page = context.new_page()
    page.goto(file(*PAIR).as_uri())
    page.evaluate("document.querySelector('.plot').scrollIntoView()")
    wait(page, "document.querySelector('.plot').dataset.drawn === '1'")
    assert page.evaluate("'fromBase64' in Uint8Array") is False
    context.close()


def test_tiles_fill_the_width_from_the_first_level(shared):
    width = shared.evaluate("document.querySelector('#plot-tiles-0').clientWidth")
    edges = shared.locator("#plot-tiles-0 rect").evaluate_all(
        "all => all.map(({x, width}) => [x.baseVal.value, x.baseVal.value + width.baseVal.value])"
    )
    assert min(left for left, _ in edges) == 0
    assert max(right for _, right in edges) == pytest.approx(width, abs=2)


def test_a_search_dims_the_other_tiles(shared):
    shared.get_by_role("searchbox", name="Search modules").fill("4a.branch_5x5")
    dim = "#plot-tiles-0 .slice.dim"
    tiles, dimmed = shared.locator("#plot-tiles-0 .slice").count(), shared.locator(dim).count()
    assert 0 < dimmed < tiles
    names = shared.evaluate(
        "[...document.querySelectorAll('#plot-tiles-0 .slice:not(.dim)')].map((tile) => tile.dataset.path)"
    )
    assert {"inception_4a", "inception_4a.branch_5x5"} <= {*names}
    assert "conv1" not in names
    shared.get_by_role("searchbox", name="Search modules").fill("")
    assert shared.locator(dim).count() == 0


def test_a_picked_module_is_marked_everywhere(opened):
    draw(opened)
    opened.locator("#plot-tiles-0 [data-path='inception_4a']").click(position={"x": 3, "y": 3})
    assert opened.locator("#plot-tiles-1 .picked").get_attribute("data-path") == "inception_4a"
    assert "inception_4a" in opened.locator("#rows-0 tr.picked").inner_text()
    assert opened.locator("#difference tr.picked").count() == 1
    marked = opened.evaluate("document.querySelector('#plot-difference-0-1').data[0].selectedpoints.length")
    assert marked == 1


def test_the_state_survives_a_reload(opened):
    opened.locator("#compute select").first.select_option("Parameters")
    opened.locator("#plot-tiles-0 [data-path='inception_5b']").click(position={"x": 3, "y": 3})
    opened.locator("#difference").get_by_role("searchbox").first.fill("5b")
    opened.evaluate("location.hash = 'memory'")
    wait(opened, "location.hash.startsWith('#memory&')")
    opened.reload()
    opened.evaluate("document.querySelector('#compute').scrollIntoView()")
    wait(opened, TILES)
    assert opened.locator("#compute select").first.input_value() == "Parameters"
    assert opened.locator("#summary select").first.input_value() == "Parameters"
    assert opened.locator(CRUMBS).inner_text() == "googlenet › inception_5b"
    assert opened.locator("#difference").get_by_role("searchbox").first.input_value() == "5b"
    assert opened.locator("#rows-0 tr.picked").count() == 1
    assert opened.events == []


def test_sentences_follow_the_metric(opened):
    opened.locator("#summary select").select_option("Parameters")
    assert "most parameters, 25.31\u00a0M" in opened.locator("#chart-parts .summary").inner_text()
    assert "parameters" in opened.locator("#chart-tiles-0 .summary").inner_text()
    assert "multiply-adds" not in opened.locator("#compute").inner_text()


def test_a_long_table_starts_folded_and_unfolds(opened):
    table = opened.locator("#rows-0")
    shown = table.locator("tbody:not(.gap) tr:visible")
    assert shown.count() < 30
    opened.locator("#rows-0").get_by_role("button", name="Rows of inception_3a", exact=True).click()
    assert table.locator("[id='inception_3a.branch_5x5']").is_visible()
    assert not table.locator("[id='inception_3a.branch_5x5.reduce']").is_visible()
    table.locator("thead button").nth(4).click()
    assert shown.first.locator("th").inner_text() == "conv2"
    opened.locator("#table").get_by_role("searchbox").first.fill("3a.branch_5x5.reduce.conv")
    assert shown.count() == 1
    opened.evaluate("location.hash = 'inception_4b.branch_pool.project.conv'")
    opened.locator("#table").get_by_role("searchbox").first.fill("")
    wait(opened, "document.getElementById('inception_4b.branch_pool.project.conv').offsetParent !== null")


def test_the_head_of_a_long_table_stays(shared):
    region = shared.locator("#memory-curve-data").locator("xpath=..")
    shared.locator("details", has=shared.locator("#memory-curve-data")).locator("summary").click()
    region.evaluate("region => region.scrollTo(0, 600)")
    top = region.bounding_box()["y"]
    assert region.locator("thead th").first.bounding_box()["y"] == pytest.approx(top, abs=2)
    assert region.bounding_box()["height"] < 800


def test_tables_are_copied_as_markdown_and_csv(shared):
    shared.get_by_role("button", name="Copy Markdown of Networks", exact=True).click()
    wait(shared, "[...document.querySelectorAll('.status')].some((status) => status.textContent === 'copied')")
    head, _, first, *_ = shared.evaluate("navigator.clipboard.readText()").splitlines()
    assert head == "| network | MACs | params | activations | peak memory |"
    assert first.startswith("| googlenet | 1.583 G | 6.999 M |")
    shared.get_by_role("button", name="Copy CSV of Networks", exact=True).click()
    shared.wait_for_timeout(100)
    assert "googlenet,1582671872,6998552" in shared.evaluate("navigator.clipboard.readText()")


@pytest.mark.parametrize("drawn", [True, False])
def test_charts_are_saved_as_svg_and_png(show, file, drawn):
    """One that is not drawn yet is drawn first."""
    opened = show(file(*PAIR), height=100)
    if drawn:
        draw(opened)
    for chart in ("tiles-0", "parts"):
        for kind, start in (("SVG", b"<svg"), ("PNG", b"\x89PNG")):
            with opened.expect_download() as waiting:
                opened.locator(f"#chart-{chart}").get_by_role("button", name=kind).dispatch_event("click")
            assert waiting.value.suggested_filename == f"{chart}.{kind.lower()}"
            assert Path(waiting.value.path()).read_bytes().startswith(start)
    assert opened.events == []


def test_the_current_section_is_marked(shared):
    shared.evaluate("document.querySelector('#memory').scrollIntoView()")
    wait(shared, "document.querySelector('nav [aria-current]')?.textContent === 'Memory'")


def test_repeated_blocks_are_one_tile_at_the_level_where_compute_divides(show, file):
    rows = tuple(
        Row(f"stem.blocks.{block}.{part}", "", "linear", 1, SHAPE, SHAPE, macs, macs, 0, macs, 2 * macs, 8, 64, 64)
        for block in range(24)
        for part, macs in (("attention", 1000), ("mlp", 2000))
    )  # fmt: skip
    opened = show(file(Record("folded", SHAPE, "inference", Count("dispatch", rows))))
    draw(opened)
    labels = opened.locator("#plot-tiles-0 .slice").evaluate_all("tiles => tiles.map((tile) => tile.ariaLabel)")
    assert [label.partition(":")[0] for label in labels] == ["24 × blocks", "attention", "mlp"]
    assert "66.7 %" in labels[2]
    sentence = "100 % of them in 24 × blocks (mlp 66.7 %, attention 33.3 % of it)"
    assert sentence in opened.locator("#summary").inner_text().replace("\u00a0", " ")
    figures = json.loads(opened.locator("#figures").inner_text() or opened.evaluate("figures.textContent"))
    assert sum(figures["tiles-0"]["data"][0]["values"][1:2]) == 72000


def test_numbers_of_the_full_table_have_their_derivation(file, show):
    """By pointer and by keyboard; Escape hides it."""
    page = show(file("googlenet", charts="none"), at="#conv1.conv")
    page.locator("#rows-0.derived").wait_for()
    tip = page.locator("#derivation-tip")
    number = page.locator("tr[id='conv1.conv'] td", has_text="118,013,952")
    products = "1 · 64 · 112 · 112 · 3 · 7 · 7 = 118,013,952"
    wait(page, "document.documentElement.classList.contains('settled')")
    for _ in range(20):  # Scrolling to the link's target hides the tip.
        page.mouse.move(0, 0)
        number.hover()
        if tip.filter(has_text=products).is_visible():
            break
    assert products in tip.inner_text()
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    page.locator("#rows-0 td[tabindex='0']").focus()
    assert tip.inner_text() == "sum of 2 operators"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert products in tip.inner_text()
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "derivation-tip"
    assert page.events == []
