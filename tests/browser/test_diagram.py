"""The diagram in a real browser: edges, folding, differences, search, keyboard, sizes and contrast."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from torch import nn

from analyzer.counting.api import count
from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from tests.browser.test_report_page import axe
from tests.browser.waiting import wait


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, (1, 9), padding=(0, 4))
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.head = nn.Linear(8, 2)  # Never called.

    def forward(self, x):
        x = self.conv1(x).relu()
        return x + self.conv2(x)


def scroll(opened) -> None:
    """Scrolls to the diagram, again while sections above it are laid out, and waits until it is drawn."""
    drawn = "document.querySelector('#diagram-panel')?.dataset.drawn"
    wait(opened, f"(document.getElementById('network').scrollIntoView(), {drawn})")


@pytest.fixture
def diagram(show, file):
    """`diagram("googlenet")`: the page, its diagram drawn."""

    def open_diagram(*networks, **look):
        opened = show(file(*networks, charts="none"), **look)
        scroll(opened)
        return opened

    return open_diagram


def boxes(opened) -> dict[str, list[str]]:
    """The lines of each box by its name."""
    found = opened.evaluate("""[...document.querySelectorAll(".graph-view .box")].map((box) =>
      [...box.querySelectorAll("text:not(.sign)")].map((text) => text.textContent))""")
    return {name: lines for name, *lines in found}


def edges(opened) -> set[tuple[str, str]]:
    """Pairs of names of boxes."""
    return set(map(tuple, opened.evaluate("""() => {
      const name = (id) => document.querySelector(`.box[data-id="${CSS.escape(id)}"] .b`).textContent;
      const drawn = [...document.querySelectorAll(".graph-view .edge")];
      return drawn.map((edge) => [name(edge.dataset.from), name(edge.dataset.to)]);
    }""")))  # fmt: skip


def box(opened, name: str):
    return opened.locator(".graph-view .box").filter(has=opened.get_by_text(name, exact=True))


def test_side_exits_and_branches_are_drawn_from_the_edges(diagram):
    opened = diagram(count("googlenet", train=True))
    assert {("inception_4a", "aux1"), ("inception_4a", "inception_4b"), ("inception_4d", "aux2")} <= edges(opened)
    assert ("aux1", "inception_4b") not in edges(opened)
    box(opened, "inception_4a").locator(".sign").click()
    joined = {source for source, target in edges(opened) if target == "concat"}
    assert joined == {"branch_1x1", "branch_3x3", "branch_5x5", "branch_pool"}
    assert boxes(opened)["branch_1x1"] == ["conv 1x1 + ReLU", "192x14x14 · 1.1 %"]
    assert opened.events == []


def test_residual_edges_kernels_and_groups_and_no_module_that_did_not_run(diagram):
    opened = diagram(count(Residual(), input=(3, 16, 16)))
    assert edges(opened) == {("input", "conv1"), ("conv1", "conv2"), ("conv1", "add"), ("conv2", "add")}
    shown = boxes(opened)
    assert shown["conv1"][0] == "conv 1x9 + ReLU"
    assert shown["conv2"][0] == "conv 3x3 depthwise"
    assert "head" not in shown


def test_a_difference_names_what_grew_and_what_is_gone(diagram):
    opened = diagram("googlenet", "googlenet-no-reduction")
    selects = opened.locator("#diagram-panel select")
    selects.nth(0).select_option("1")
    selects.nth(1).select_option("0")
    assert boxes(opened)["▲ inception_4a"][-1] == "4.25× more MACs"
    assert "pool1" in boxes(opened)
    box(opened, "▲ inception_4a").locator(".sign").click()
    box(opened, "▲ branch_5x5").locator(".sign").last.click()
    assert boxes(opened)["× reduce"][-1] == "gone, 1.505 M"
    selects.nth(0).select_option("0")
    selects.nth(1).select_option("1")
    assert boxes(opened)["▼ inception_4a"][-1] == "4.25× fewer MACs"


def test_search_unfolds_and_selects_and_the_keyboard_follows_edges(diagram):
    opened = diagram("googlenet")
    search = opened.get_by_label("Find in the diagram")
    search.fill("4a.branch_5x5.reduce")
    assert opened.locator("#diagram-panel .status").inner_text().startswith("1 of ")
    search.press("Enter")
    assert "1,505,280" in opened.locator(".graph-details").inner_text()
    opened.keyboard.press("ArrowDown")
    assert "3,763,200" in opened.locator(".graph-details").inner_text()
    assert opened.locator(".graph-details a").get_attribute("href") == "#inception_4a.branch_5x5.conv"
    opened.keyboard.press("Escape")
    opened.keyboard.press("Escape")
    assert "inception_4a" in boxes(opened)
    opened.keyboard.press("Enter")
    assert "inception_4a" not in boxes(opened)


def test_a_module_picked_elsewhere_is_selected_and_survives_a_reload(diagram):
    opened = diagram("googlenet", "googlenet-no-reduction")
    box(opened, "inception_4a").locator(".sign").click()
    opened.get_by_role("button", name="inception_4a.branch_1x1:").click()
    assert "module=inception_4a.branch_1x1" in opened.evaluate("location.hash")
    opened.reload()
    scroll(opened)
    assert "18,063,360" in opened.locator(".graph-details").inner_text()
    opened.evaluate("location.hash = 'inception_5b.branch_3x3.conv'")
    wait(opened, "document.querySelector('.graph-details').textContent.includes('inception_5b')")
    opened.locator("#diagram-panel select").nth(0).select_option("1")
    opened.reload()
    scroll(opened)
    assert opened.locator("#diagram-panel select").nth(0).input_value() == "1"
    assert opened.events == []


CONTRAST = """() => {
  const light = (color) => {
    const scale = color.startsWith("rgb") ? 255 : 1;
    const parts = color.match(/[\\d.]+/g).map((part) => part / scale).slice(0, 3);
    const [r, g, b] = parts.map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return Math.min(...[...document.querySelectorAll(".box:not(.outside):not(.gone)")].map((box) => {
    const colors = ["rect", "text"].map((name) => getComputedStyle(box.querySelector(name)).fill);
    const [a, b] = colors.map(light).sort();
    return (b + 0.05) / (a + 0.05);
  }));
}"""


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_diagram_is_accessible_and_legible(diagram, width, dark):
    opened = diagram("googlenet", "googlenet-no-reduction", width=width, dark=dark)
    opened.evaluate(axe())
    found = opened.evaluate("axe.run('#network', {resultTypes: ['violations']}).then(done => done.violations)")
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
    assert opened.evaluate(CONTRAST) >= 4.5
    opened.locator("#diagram-panel select").nth(1).select_option("1")
    assert opened.evaluate(CONTRAST) >= 4.5
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def blocks(number: int) -> Record:
    """A network of equal residual blocks with ten operators each."""
    rows: list[Row] = []
    for index in range(10 * number):
        block, place = divmod(index, 10)
        path = f"blocks.{block}" if place == 9 else f"blocks.{block}.op{place}"
        sources = tuple(source for source in (index - 1, index - 9 if place == 9 else -1) if source >= 0)
        op, shape = "add" if place == 9 else "linear", ((1, 64),)
        rows.append(Row(path, path, op, 1, shape, shape, 64, 64, 0, 4096, 8192, 64, 1, 1, sources=sources))
    return Record("deep", ((1, 64),), "inference", Count("dispatch", tuple(rows)))


def test_two_thousand_operators_are_folded_and_quick(diagram):
    start = time.perf_counter()
    opened = diagram(blocks(200))
    assert time.perf_counter() - start < 60  # On a busy machine; with every box laid out it takes minutes.
    assert boxes(opened)["1…199"] == ["199 × the module before", "64 · 99.5 %"]
    fold_ms = opened.evaluate("""() => {
      const times = [];
      for (let frame; (frame = [...document.querySelectorAll(".frame text")].at(-1));) {
        const start = performance.now();
        frame.dispatchEvent(new MouseEvent("click", { bubbles: true }));
        times.push(performance.now() - start);
      }
      return times;
    }""")
    assert min(fold_ms) < 100


def test_a_dense_graph_has_all_its_edges(diagram):
    shape = ((1, 8, 4, 4),)
    rows = tuple(
        Row(f"layer{index}", f"layer{index}", "conv2d", 1, shape, shape, 8, 8, 0, 64, 128, 8, 1, 1, kernel=(3, 3),
            sources=tuple(range(index)))
        for index in range(16)
    )  # fmt: skip
    opened = diagram(Record("dense", shape, "inference", Count("dispatch", rows)))
    pairs = {(f"layer{source}", f"layer{target}") for target in range(16) for source in range(target)}
    assert edges(opened) == pairs | {("input", "layer0")}


def test_the_diagram_is_saved_as_it_looks(diagram):
    opened = diagram("nin", dark=True)
    with opened.expect_download() as waiting:
        opened.get_by_role("button", name="Save the diagram as SVG").click()
    text = Path(waiting.value.path()).read_text(encoding="utf-8")
    drawing = ElementTree.fromstring(text)
    assert waiting.value.suggested_filename == "nin.svg"
    assert "color(" not in text
    ground = drawing.find("{http://www.w3.org/2000/svg}rect")
    assert ground is not None
    assert ground.get("style") == "fill:rgb(19, 22, 27)"
    with opened.expect_download() as waiting:
        opened.get_by_role("button", name="Save the diagram as PNG").click()
    assert Path(waiting.value.path()).read_bytes()[:4] == b"\x89PNG"
    assert opened.events == []


def test_without_a_script_the_drawings_stay(show, file):
    plain = show(file("googlenet", charts="none"), script=False)
    assert all(drawing.is_visible() for drawing in plain.locator("#network .picture svg").all())
    assert plain.locator("#diagram-panel").inner_text() == ""
