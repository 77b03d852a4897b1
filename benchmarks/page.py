"""Size and speed of the page in a browser, relative to a page with plotly and a single chart of ten bars.

    python -m benchmarks.page [--variants googlenet,googlenet-no-reduction] [--rows 2000] [--rounds 9]

From navigation to the first text, the first chart and all charts, interleaved, as ratios to the plain page's chart: by
wall time, and by the main thread's processor time, which other processes disturb less. The same first text for a model
of `--rows` operators; then, in milliseconds of wall time until the next frame, a sort, a fold and the unfolding of its
full table, and a step of a slider of the section What if. Needs playwright and a browser, like the browser tests.
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
from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
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
MAX_MB = {"none": 0.4, "embed": 3.0}
MAX_RATIOS = {"first text": 0.2, "first chart": 1.2, "all charts": 1.6, "first text of the large model": 1.0}
MAX_STEP_MS = 100
STEPS = """async ({region, selector, index, event, repeats}) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const around = document.querySelector(region);
  around.scrollIntoView();
  await frame();
  await frame();
  const times = [];
  for (let step = 0; step < repeats; step++) {
    const element = [...around.querySelectorAll(selector)][index];
    const start = performance.now();
    if (event === "input") element.value = Number(element.value) + 1;
    if (event === "input") element.dispatchEvent(new Event("input"));
    else element.click();
    await frame();
    times.push(performance.now() - start);
  }
  return times;
}"""
LARGE_STEPS = {
    "sort, folded": ("#rows-0", "thead button", 4),
    "fold": ("#rows-0", ".twist", 1),
    "unfold or fold all": ("#table .tools", "button.plain", 0),
    "sort": ("#rows-0", "thead button", 4),
}


def large_record(rows: int) -> Record:
    """A residual network of `rows` operators: blocks of a convolution, a norm and a sum, ten blocks in a stage."""
    size = ((1, 64, 14, 14),)

    def row(path: str, op: str, macs: int, *sources: int) -> Row:
        params = macs // 196
        return Row(path, path, op, 1, size, size, params, params, 0, macs, 2 * macs, 12544, 4 * params, 50176,
                   sources=sources)  # fmt: skip

    made = [row("stem", "conv2d", 196 * 64 * 27, -1)]
    while len(made) < rows:
        number = len(made) // 3
        path = f"stage{number // 10}.block{number % 10}"
        last = len(made) - 1
        width = 576 * (64 - number % 7)  # Neighbors differ: equal ones are one tile.
        made += [
            row(f"{path}.conv", "conv2d", 196 * width, last),
            row(f"{path}.norm", "batch_norm", 0, last + 1),
            row(path, "add", 0, last + 2, last),
        ]
    return Record("deep", size, "inference", Count("dispatch", tuple(made[:rows])))


def wait_for(tab: Any, condition: str) -> float:
    """Milliseconds from navigation until the JavaScript condition was seen to hold."""
    while not tab.evaluate(condition):
        time.sleep(0.01)
    return float(tab.evaluate("performance.now()"))


class Tab:
    """A page in a new tab, and the processor time of its main thread."""

    def __init__(self, browser: Any, path: Path) -> None:
        self.tab = browser.new_page()
        self.session = self.tab.context.new_cdp_session(self.tab)
        self.session.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.tab.goto(path.as_uri())

    def processor_ms(self) -> float:
        metrics = {item["name"]: item["value"] for item in self.session.send("Performance.getMetrics")["metrics"]}
        return 1e3 * float(metrics["TaskDuration"])

    def times(self, condition: str) -> tuple[float, float]:
        """Milliseconds of wall time and of processor time until the condition holds."""
        return wait_for(self.tab, condition), self.processor_ms()

    def first_text_ms(self) -> float:
        wait_for(self.tab, f"{FIRST_TEXT} > 0")
        return float(self.tab.evaluate(FIRST_TEXT))

    def steps_ms(self, region: str, selector: str, index: int, event: str = "click") -> list[tuple[float, float]]:
        """Wall time of each of eight steps until the next frame, and their mean processor time."""
        given = {"region": region, "selector": selector, "index": index, "event": event, "repeats": 8}
        start_ms = self.processor_ms()
        walls_ms = self.tab.evaluate(STEPS, given)
        processor_ms = (self.processor_ms() - start_ms) / len(walls_ms)
        return [(wall_ms, processor_ms) for wall_ms in walls_ms]


def load_times(opened: Tab) -> dict[str, float]:
    """Milliseconds to the first text, the first chart and all charts, and of processor time until the charts."""
    first_text_ms = opened.first_text_ms()
    opened.tab.evaluate("document.querySelector('.plot').scrollIntoView()")
    first_chart = opened.times("document.querySelector('.plot').dataset.drawn === '1'")
    all_charts = opened.times(f"{VISIBLE_CHARTS}.every(plot => plot.dataset.drawn)")
    return {"first text": first_text_ms, "first chart": first_chart[0], "all charts": all_charts[0],
            "first chart, processor": first_chart[1], "all charts, processor": all_charts[1]}  # fmt: skip


def write_page(names: Sequence[str]) -> tuple[str, float, float]:
    """The page, and the seconds to count its networks and to write it."""
    start = time.perf_counter()
    records = [count_variant(variant(name), memory=True) for name in names]
    counted = time.perf_counter()
    text = html(page(records))
    return text, counted - start, time.perf_counter() - counted


def print_goal(title: str, value: float, goal: float, unit: str = "", spread: str = "") -> None:
    outcome = "met" if value <= goal else "MISSED"
    print(f"{title:44} {value:8.2f}{unit}  goal {goal:g}{unit}: {outcome}{f'  ({spread})' if spread else ''}")


def measure(
    program: str, files: dict[str, Path], rounds: int
) -> tuple[pandas.DataFrame, dict[str, list[tuple[float, float]]]]:
    """A row of milliseconds per round, and the milliseconds of each kind of step."""
    from playwright.sync_api import sync_playwright

    rows = []
    steps: dict[str, list[tuple[float, float]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        for _ in range(rounds):
            opened = Tab(browser, files["plain"])
            base, base_processor = opened.times("window.done === 1")
            opened.tab.close()
            opened = Tab(browser, files["report"])
            times = load_times(opened)
            slider = "#what-if input[type=range]"
            if opened.tab.locator(slider).count() > 2:
                step_ms = opened.steps_ms("#what-if", "input[type=range]", 2, "input")
                steps.setdefault("step of a slider", []).extend(step_ms)
            opened.tab.close()
            opened = Tab(browser, files["large"])
            times["first text of the large model"] = opened.first_text_ms()
            wait_for(opened.tab, "document.documentElement.classList.contains('settled')")
            for title, step in LARGE_STEPS.items():
                steps.setdefault(title, []).extend(opened.steps_ms(*step))
            opened.tab.close()
            rows.append({"base": base, "base, processor": base_processor, **times})
        browser.close()
    return pandas.DataFrame(rows), steps


def main() -> None:
    options = parse_options(__doc__, variants="googlenet,googlenet-no-reduction", rows=2000, rounds=9)
    names = options.variants.split(",")
    program = os.environ.get("BROWSER_PATH") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        sys.exit(f"no browser: none of {', '.join(BROWSERS)} is installed; BROWSER_PATH names one")
    from plotly.offline import get_plotlyjs

    written = pandas.DataFrame([write_page(names) for _ in range(3)], columns=["text", "counting_s", "writing_s"])
    large = large_record(options.rows)
    texts = {
        "plain": PLAIN.format(script=get_plotlyjs()),
        "report": written["text"][0],
        "large": html(page([large])),
    }
    without = html(page([count_variant(variant(name), memory=True) for name in names]), "none")
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder, f"{name}.html") for name in texts}
        for name, text in texts.items():
            files[name].write_text(text, encoding="utf-8")
        times_ms, steps = measure(program, files, options.rounds)

    print(f"{', '.join(names)}; plotly alone with one chart: {times_ms['base'].median():.0f} ms")
    print_goal("size without charts", len(without.encode()) / 1e6, MAX_MB["none"], " MB")
    print_goal("size with charts", len(texts["report"].encode()) / 1e6, MAX_MB["embed"], " MB")
    for title in times_ms.columns.drop(["base", "base, processor"]):
        base = "base, processor" if title.endswith("processor") else "base"
        low, ratio, high = (times_ms[title] / times_ms[base]).quantile([0.25, 0.5, 0.75])
        goal = MAX_RATIOS[title.removesuffix(", processor")]
        print_goal(title, ratio, goal, " ×", f"{low:.2f} to {high:.2f}; {times_ms[title].median():.0f} ms")
    for title, values in steps.items():
        samples = pandas.DataFrame(values, columns=["wall", "processor"])
        low, step_ms, high = samples["wall"].quantile([0.25, 0.5, 0.75])
        print_goal(f"{title} ({options.rows} rows)" if "slider" not in title else title, step_ms, MAX_STEP_MS, " ms",
                   f"{low:.0f} to {high:.0f}; processor {samples['processor'].median():.0f}")  # fmt: skip
    counting_s, writing_s = written["counting_s"].median(), written["writing_s"].median()  # The first imports too.
    print(f"writing: {1e3 * writing_s:.0f} ms, {writing_s / counting_s:.2f} of counting the networks with their memory")


if __name__ == "__main__":
    main()
