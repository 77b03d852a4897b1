"""Tables of thousands of rows: only rows near the visible part are laid out; sorting, filters and links know all."""

from __future__ import annotations

import pytest

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from reports.page.context import ALL_TOOLS, Page, Section
from reports.page.write import html
from reports.table import Cell, Table, columns
from tests.browser.waiting import wait

ROWS = 3000
SHOWN = "[...document.querySelectorAll('#long tbody:not(.gap) tr')].filter((row) => row.offsetParent)"
HOSTILE = "<img src=x onerror='window.bad=1'>"


@pytest.fixture
def opened(show, tmp_path):
    """3,000 rows, of which 2,000 are stored deflated; the last has a hostile name."""
    rows = tuple((f"net{number}", Cell(f"{number} ms", number)) for number in range(ROWS - 1))
    table = Table("Results", columns("model", "time"), (*rows, (HOSTILE, Cell("9 s", 9000))), id="long",
                  tools=ALL_TOOLS)  # fmt: skip
    path = tmp_path / "long.html"
    path.write_text(html(Page("Results", "", (Section("results", "Results", "", "", (table,)),)), "none"))
    page = show(path)
    wait(page, f"document.querySelectorAll('#long tbody:not(.gap) tr').length === {ROWS} && {SHOWN}.length < 200")
    return page


def test_all_rows_are_reached_by_scrolling_sorting_and_filtering(opened):
    region = opened.locator("#long").locator("xpath=..")
    assert opened.evaluate(f"{SHOWN}.length") >= 30
    region.evaluate("region => region.scrollTo(0, region.scrollHeight)")
    wait(opened, f"{SHOWN}.at(-1).textContent.startsWith('<img')")
    assert opened.evaluate(f"{SHOWN}.at(-1).ariaRowIndex") == str(ROWS + 1)
    assert opened.locator("#long").get_attribute("aria-rowcount") == str(ROWS + 1)
    region.evaluate("region => region.scrollTo(0, region.scrollHeight / 2)")
    wait(opened, f"{SHOWN}.some((row) => row.textContent.startsWith('net1500'))")
    opened.locator("#long thead button").nth(1).click()
    region.evaluate("region => region.scrollTo(0, 0)")
    wait(opened, f"{SHOWN}[0].textContent.endsWith('9 s')")
    opened.get_by_role("searchbox").fill("net2999")
    assert opened.locator(".status").inner_text() == "0 of 3,000 rows"
    opened.get_by_role("searchbox").fill("net299")
    assert opened.locator(".status").inner_text() == "10 of 3,000 rows"
    assert opened.evaluate(f"{SHOWN}.length") == 10
    assert opened.evaluate("window.bad") is None
    assert opened.events == []


def test_csv_has_the_rows_that_are_not_laid_out(opened):
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Download Results as CSV").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert len(lines) == ROWS + 1
    assert lines[2000] == "net1999,1999"


def test_a_link_shows_its_row_among_thousands(show, file):
    shape = ((1, 8),)
    row = Row("a", "a", "linear", 1, shape, shape, 8, 8, 0, 64, 128, 8, 64, 64)
    rows = tuple(row.replace(path=f"block{number}.fc", role=f"block{number}.fc") for number in range(700))
    record = Record("deep", shape, "inference", Count("dispatch", rows))
    page = show(file(record, charts="none"), at="#block650.fc")
    wait(page, "document.getElementById('block650.fc')?.offsetParent != null")
    wait(page, "Math.abs(document.getElementById('block650.fc').getBoundingClientRect().top - innerHeight / 2) < 350")
    page.get_by_role("button", name="Unfold all").last.click()
    assert page.evaluate("[...document.querySelectorAll('#rows-0 tr')].filter((row) => row.offsetParent).length") < 200
    assert page.events == []
