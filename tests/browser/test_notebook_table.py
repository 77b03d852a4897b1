"""Tables in a notebook's output: sorted by a click, without a script element, readable on light and dark."""

from __future__ import annotations

import pytest

import analyzer


@pytest.fixture
def table(show, tmp_path):
    """`table(result, column)`: clicks on a column and returns the names in their order."""

    def open_table(html: str, dark: bool = False):
        path = tmp_path / "output.html"
        colors = "background:#111;color:#ddd" if dark else ""
        path.write_text(f"<!doctype html><meta charset=utf-8><body style='{colors}'>{html}", encoding="utf-8")
        return show(path, dark=dark)

    return open_table


def names(page) -> list[str]:
    return page.locator("tbody th").all_inner_texts()


def click(page, title: str) -> None:
    page.locator("thead th", has_text=title).first.click()


def test_a_click_sorts_siblings_down_up_and_back(table):
    page = table(analyzer.count("googlenet").table(depth=2)._repr_html_())
    before = names(page)
    click(page, "MACs")
    down = names(page)
    assert down[:5] == ["conv2", "conv", "relu", "inception_3b", "branch_3x3"]
    assert down[-1] == before[-1] == "total"
    assert sorted(down) == sorted(before)
    click(page, "MACs")
    up = names(page)
    assert up[:2] != down[:2]
    assert up[-1] == "total"
    assert up.index("inception_3b") > up.index("inception_5a")
    click(page, "MACs")
    assert names(page) == before
    assert page.events == []


def test_submodules_are_indented_and_types_aligned_to_the_left(table):
    page = table(analyzer.count("googlenet").table(depth=2)._repr_html_())
    style = "(cell) => [parseFloat(getComputedStyle(cell).paddingLeft), getComputedStyle(cell).textAlign]"
    paddings = [page.locator(f"tbody tr{depth} > th").first.evaluate(style)[0] for depth in ("", "[data-depth='1']")]
    assert paddings[0] < paddings[1]
    aligned = [page.locator(f"tbody td:nth-child({column})").first.evaluate(style)[1] for column in (2, 4)]
    assert aligned == ["left", "right"]


def test_numbers_are_sorted_by_value_and_texts_as_texts(table):
    """995.6 k parameters are less than 1.025 M."""
    page = table(analyzer.count("nin")._repr_html_())
    click(page, "params")
    assert names(page)[:3] == ["conv4-1024", "cccp7-1024", "cccp8-1024"]
    click(page, "module")
    click(page, "module")
    assert names(page)[0].startswith("cccp")


def test_each_of_several_tables_sorts_alone(table):
    page = table(analyzer.compare("googlenet", "alexnet")._repr_html_())
    assert page.locator("table").count() == 2
    first = page.locator("table").nth(0).locator("tbody th").all_inner_texts()
    page.locator("table").nth(1).locator("thead th").nth(1).click()
    assert page.locator("table").nth(0).locator("tbody th").all_inner_texts() == first
    assert page.locator("table").nth(1).locator("tbody th").first.inner_text() == "conv2"


def test_text_has_the_color_of_the_notebook(table):
    for dark, color in ((False, "rgb(0, 0, 0)"), (True, "rgb(221, 221, 221)")):
        page = table(analyzer.count("nin")._repr_html_(), dark)
        cell = page.locator("tbody td").first
        assert cell.evaluate("cell => getComputedStyle(cell).color") == color
        assert cell.evaluate("cell => getComputedStyle(cell.parentNode).backgroundColor") == "rgba(0, 0, 0, 0)"
