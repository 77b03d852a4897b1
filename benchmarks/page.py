"""How quick is the page? In a browser, in turn with a page that has plotly alone and one chart of ten bars.

    python -m benchmarks.page [--variant googlenet --variant googlenet-no-reduction] [--rounds 9]

From navigation to the first text, the first chart and all charts, as ratios to that plain page's only chart; and how
long it takes to write the page as a ratio to counting what is on it. Needs playwright and a browser, as its tests do.
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
TEXT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
SHOWN = "[...document.querySelectorAll('.plot')].filter(plot => plot.offsetParent)"


def plain() -> str:
    from plotly.offline import get_plotlyjs

    return PLAIN.format(script=get_plotlyjs())


def now_when(opened: Any, condition: str) -> float:
    """Milliseconds from navigation to the moment when the condition was seen to hold."""
    while not opened.evaluate(condition):
        time.sleep(0.01)
    return float(opened.evaluate("performance.now()"))


def ours(opened: Any) -> tuple[float, float, float]:
    """First text, first chart, all charts."""
    now_when(opened, f"{TEXT} > 0")
    opened.evaluate("document.querySelector('.plot').scrollIntoView()")
    first = now_when(opened, "document.querySelector('.plot').dataset.drawn === '1'")
    return float(opened.evaluate(TEXT)), first, now_when(opened, f"{SHOWN}.every(plot => plot.dataset.drawn)")


def written(names: Sequence[str]) -> tuple[str, tuple[float, float]]:
    """The page; the seconds of counting and of writing it."""
    start = time.perf_counter()
    records = [count_variant(variant(name), memory=True) for name in names]
    counted = time.perf_counter()
    text = html(page(records))
    return text, (counted - start, time.perf_counter() - counted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", action="append", dest="names")
    parser.add_argument("--rounds", type=int, default=9)
    asked = parser.parse_args()
    names = asked.names or ["googlenet", "googlenet-no-reduction"]
    program = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is installed; BROWSER_PATH names one")
    from playwright.sync_api import sync_playwright

    told = [written(names) for _ in range(3)]  # The first imports too; the median does not.
    text = told[-1][0]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        report, yardstick = Path(folder, "report.html"), Path(folder, "plain.html")
        report.write_text(text, encoding="utf-8")
        yardstick.write_text(plain(), encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        rounds = []
        for _ in range(asked.rounds):
            opened = browser.new_page()
            opened.goto(yardstick.as_uri())
            beside = now_when(opened, "window.done === 1")
            opened.close()
            opened = browser.new_page()
            opened.goto(report.as_uri())
            rounds.append((beside, *ours(opened)))
            opened.close()
        browser.close()
    beside, *times = (median(column) for column in zip(*rounds, strict=True))
    print(f"{', '.join(names)}: {len(text) / 1e6:.2f} MB; plotly alone with one chart: {beside:.0f} ms")
    for place, (what, took) in enumerate(zip(("first text", "first chart", "all charts"), times, strict=True), 1):
        ratios = sorted(one[place] / one[0] for one in rounds)
        print(f"{what}: {took:.0f} ms, {median(ratios):.2f} of that ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    counting, writing = (median(column) for column in zip(*(spent for _, spent in told), strict=True))
    print(f"writing: {1e3 * writing:.0f} ms, {writing / counting:.2f} of counting what is on it with its memory")
    return 0


if __name__ == "__main__":
    sys.exit(main())
