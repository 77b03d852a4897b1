"""Load time of the page in a browser, relative to a page with plotly and a single chart of ten bars.

    python -m benchmarks.page [--variants googlenet,googlenet-no-reduction] [--rounds 9]

From navigation to the first text, the first chart and all charts, as ratios to the plain page's chart, interleaved; and
the time to write the page, relative to counting its networks. Needs playwright and a browser, like the browser tests.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from benchmarks.common import parse_options
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


def wait_for(tab: Any, condition: str) -> float:
    """Milliseconds from navigation until the JavaScript condition was seen to hold."""
    while not tab.evaluate(condition):
        time.sleep(0.01)
    return float(tab.evaluate("performance.now()"))


def load_times(tab: Any) -> dict[str, float]:
    """Milliseconds to the first text, the first chart and all charts."""
    wait_for(tab, f"{FIRST_TEXT} > 0")
    tab.evaluate("document.querySelector('.plot').scrollIntoView()")
    first_chart = wait_for(tab, "document.querySelector('.plot').dataset.drawn === '1'")
    all_charts = wait_for(tab, f"{VISIBLE_CHARTS}.every(plot => plot.dataset.drawn)")
    return {"first text": tab.evaluate(FIRST_TEXT), "first chart": first_chart, "all charts": all_charts}


def write_page(names: Sequence[str]) -> tuple[str, float, float]:
    """The page, and the seconds to count its networks and to write it."""
    start = time.perf_counter()
    records = [count_variant(variant(name), memory=True) for name in names]
    counted = time.perf_counter()
    text = html(page(records))
    return text, counted - start, time.perf_counter() - counted


def main() -> None:
    options = parse_options(__doc__, variants="googlenet,googlenet-no-reduction", rounds=9)
    names = options.variants.split(",")
    program = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is installed; BROWSER_PATH names one")
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    written = pandas.DataFrame([write_page(names) for _ in range(3)], columns=["text", "counting_s", "writing_s"])
    text = written["text"][0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report, plain = Path(folder, "report.html"), Path(folder, "plain.html")
        report.write_text(text, encoding="utf-8")
        plain.write_text(PLAIN.format(script=get_plotlyjs()), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        rounds = []
        for _ in range(options.rounds):
            tab = browser.new_page()
            tab.goto(plain.as_uri())
            base = wait_for(tab, "window.done === 1")
            tab.close()
            tab = browser.new_page()
            tab.goto(report.as_uri())
            rounds.append({"base": base, **load_times(tab)})
            tab.close()
        browser.close()
    times_ms = pandas.DataFrame(rounds)
    print(
        f"{', '.join(names)}: {len(text) / 1e6:.2f} MB; plotly alone with one chart: {times_ms['base'].median():.0f} ms"
    )
    for title, column in times_ms.drop(columns="base").items():
        ratios = column / times_ms["base"]
        spread = f"{ratios.min():.2f} to {ratios.max():.2f}"
        print(f"{title}: {column.median():.0f} ms, {ratios.median():.2f} of that ({spread})")
    counting_s, writing_s = written["counting_s"].median(), written["writing_s"].median()  # The first imports too.
    print(f"writing: {1e3 * writing_s:.0f} ms, {writing_s / counting_s:.2f} of counting the networks with their memory")


if __name__ == "__main__":
    main()
