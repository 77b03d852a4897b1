"""Load time of the page in a browser, relative to a page with plotly and a single chart of ten bars.

    python -m benchmarks.page [--variant googlenet --variant googlenet-no-reduction] [--rounds 9]

From navigation to the first text, the first chart and all charts, as ratios to the plain page's chart, interleaved; and
the time to write the page, relative to counting its networks. Needs playwright and a browser, like the browser tests.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from reports.page.build import page
from reports.page.write import html

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
PLAIN = """<!doctype html><meta charset="utf-8"><p>text</p><div id="plot"></div><script>{script}</script><script>
const ten = [...Array(10).keys()];
Plotly.newPlot("plot", [{{type: "bar", x: ten, y: ten}}]).then(() => (window.done = 1));
</script>"""
FIRST_TEXT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
VISIBLE_CHARTS = "[...document.querySelectorAll('.plot')].filter(plot => plot.offsetParent)"


def plain_page() -> str:
    from plotly.offline import get_plotlyjs

    return PLAIN.format(script=get_plotlyjs())


def wait_for(tab: Any, condition: str) -> float:
    """Milliseconds from navigation until the JavaScript condition was seen to hold."""
    while not tab.evaluate(condition):
        time.sleep(0.01)
    return float(tab.evaluate("performance.now()"))


def load_times(tab: Any) -> tuple[float, float, float]:
    """Milliseconds to the first text, the first chart and all charts."""
    wait_for(tab, f"{FIRST_TEXT} > 0")
    tab.evaluate("document.querySelector('.plot').scrollIntoView()")
    first_chart = wait_for(tab, "document.querySelector('.plot').dataset.drawn === '1'")
    all_charts = wait_for(tab, f"{VISIBLE_CHARTS}.every(plot => plot.dataset.drawn)")
    return float(tab.evaluate(FIRST_TEXT)), first_chart, all_charts


def write_page(names: Sequence[str]) -> tuple[str, float, float]:
    """The page, and the seconds to count its networks and to write it."""
    start = time.perf_counter()
    records = [count_variant(variant(name), memory=True) for name in names]
    counted = time.perf_counter()
    text = html(page(records))
    return text, counted - start, time.perf_counter() - counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", dest="names")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    names = options.names or ["googlenet", "googlenet-no-reduction"]
    program = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is installed; BROWSER_PATH names one")
    from playwright.sync_api import sync_playwright

    pages, counting_s, writing_s = zip(*(write_page(names) for _ in range(3)), strict=True)  # The first imports too.
    text = pages[-1]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report, plain = Path(folder, "report.html"), Path(folder, "plain.html")
        report.write_text(text, encoding="utf-8")
        plain.write_text(plain_page(), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        rounds = []
        for _ in range(options.rounds):
            tab = browser.new_page()
            tab.goto(plain.as_uri())
            base = wait_for(tab, "window.done === 1")
            tab.close()
            tab = browser.new_page()
            tab.goto(report.as_uri())
            rounds.append((base, *load_times(tab)))
            tab.close()
        browser.close()
    base, *medians = (median(column) for column in zip(*rounds, strict=True))
    print(f"{', '.join(names)}: {len(text) / 1e6:.2f} MB; plotly alone with one chart: {base:.0f} ms")
    for column, (title, time_ms) in enumerate(
        zip(("first text", "first chart", "all charts"), medians, strict=True), 1
    ):
        ratios = sorted(times[column] / times[0] for times in rounds)
        print(f"{title}: {time_ms:.0f} ms, {median(ratios):.2f} of that ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    ratio = median(writing_s) / median(counting_s)
    print(f"writing: {1e3 * median(writing_s):.0f} ms, {ratio:.2f} of counting the networks with their memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
