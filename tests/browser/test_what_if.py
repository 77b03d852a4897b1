"""The section What if in a real browser: its arithmetic equals the closed form, and its controls work."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.core.units import relative_change
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks import VARIANTS, find
from analyzer.networks.overrides import apply_overrides, hyperparameters
from analyzer.networks.walk import walk
from analyzer.records.rows import SUMMED_KEYS, modules
from reports.page.network_json import network_json
from reports.page.write import read
from tests.browser.test_report_page import axe
from tests.browser.waiting import wait

SETTINGS = 1000
EVALUATE = """(cases) => {
  %s
  return cases.map(({network, input, batch, training, settings}) => {
    try {
      const rows = countNetwork(network.tree, input, batch, training, settings);
      const paths = [...new Set(rows.map((row) => row.path.split(".")[0]))];
      return Object.fromEntries(["", ...paths].map((path) => [path, Object.values(sumRows(rows, path)).map(String)]));
    } catch (error) {
      return error instanceof RangeError ? "error" : String(error.stack);
    }
  });
}"""


def random_case(draw: random.Random) -> dict[str, Any]:
    name = draw.choice([*VARIANTS])
    numbers = hyperparameters(find(name))
    settings = {}
    for number in draw.sample(numbers, k=draw.choice([0, 1, 2, 3, 8])):
        near = [max(number.value * factor // 4, 1) for factor in (1, 2, 3, 4, 5, 8, 16)]
        large = [draw.randrange(1, 300_000)] if number.key.startswith(("out", "reduce", "pool_proj")) else []
        settings[f"{number.path}.{number.key}"] = draw.choice([*near, number.value, number.value + 2, *large])
    size = draw.choice([32, 64, 96, 128, 160, 192, 200, 224, 227, 256, 299, 320, 511, 640])
    return {
        "name": name,
        "input": (draw.choice([1, 3, 4]), size, draw.choice([size, size + draw.randrange(64)])),
        "batch": draw.choice([1, 1, 2, 7, 64, 1024, 100_000]),
        "training": draw.random() < 0.4,
        "settings": settings,
    }


def expected(case: dict[str, Any]) -> dict[str, list[str]] | str:
    mode = "training" if case["training"] else "inference"
    try:
        network, _ = apply_overrides(find(case["name"]), case["settings"])
        count = count_steps(walk(network, case["input"], batch=case["batch"], mode=mode), mode)
    except AnalyzerError:
        return "error"
    sums = {"": count.totals} | {module.path: module.totals for module in modules(count.rows) if "." not in module.path}
    keys = (*SUMMED_KEYS, "backward_macs")
    return {path: [str(getattr(totals, key) or 0) for key in keys] for path, totals in sums.items()}


def test_a_thousand_random_settings_equal_the_closed_form_to_the_last_unit(show, file):
    draw = random.Random(21)
    cases = [random_case(draw) for _ in range(SETTINGS)]
    wanted = [expected(case) for case in cases]
    networks = {name: network_json(find(name)) for name in VARIANTS}
    sent = [case | {"network": networks[case["name"]]} for case in cases]
    counted = show(file("nin", charts="none")).evaluate(EVALUATE % read("scripts/closed_form.js"), sent)
    for case, ours, closed_form in zip(cases, counted, wanted, strict=True):
        assert ours == closed_form, json.dumps(case)
    assert SETTINGS * 0.1 < wanted.count("error") < SETTINGS * 0.5
    assert any(int(sums[""][1]) > 2**53 for sums in wanted if sums != "error")


def test_ratios_are_written_as_in_python(show, file):
    draw = random.Random(21)
    pairs = [(draw.randrange(1, 10**6), draw.randrange(1, 10**6)) for _ in range(500)]
    pairs += [(1000, 1000 + more) for more in (0, 1, 9, 10, 11, 95, 949, 999, 1000, 99_000)] + [(0, 3), (3, 0)]
    script = "(pairs) => {\n%s\nreturn pairs.map(([a, b]) => relativeChange(BigInt(a), BigInt(b)))}"
    written = show(file("nin", charts="none")).evaluate(script % read("scripts/closed_form.js"), pairs)
    assert written == [relative_change(before, after) for before, after in pairs]


def setting(opened, label: str, value: int) -> None:
    opened.get_by_label(f"{label}, exact", exact=True).fill(str(value))


def numbers(opened) -> list[str]:
    """The sums of the module and of the network with this setting: first column of the table."""
    wait(opened, "document.querySelector('#what-if-panel tbody td')")  # The script unpacks its data first.
    return opened.locator("#what-if-panel tbody td:nth-child(2)").all_text_contents()


def test_the_command_gives_the_numbers_on_the_page(show, file, analyze):
    opened = show(file("googlenet", charts="none"))
    setting(opened, "reduce_5x5", 32)
    setting(opened, "resolution", 256)
    setting(opened, "batch", 2)
    opened.get_by_text("Kernels, strides and groups").click()
    setting(opened, "branch_5x5.conv.kernel", 3)
    setting(opened, "branch_3x3.conv.groups", 16)
    command = opened.locator(".what-if-command").inner_text()
    assert command == (
        "analyze googlenet@inception_4a.reduce_5x5=32,inception_4a.branch_5x5.conv.kernel=3,"
        "inception_4a.branch_3x3.conv.groups=16 --input 3x256x256 --batch 2"
    )
    totals = json.loads(analyze(*command.split()[1:], "--format", "json").out)["records"][0]["totals"]
    macs, params = numbers(opened)[5:7]
    assert (macs, params) == (f"{totals['macs']:,}", f"{totals['params']:,}")
    assert "16 · 16 · 48 · (3 · 3 · 32)" in opened.locator("#what-if .sum").inner_text()
    assert opened.events == []


def test_presets_training_and_impossible_settings(show, file):
    opened = show(file("googlenet", charts="none"))
    assert numbers(opened)[5] == "1,582,671,872"
    opened.get_by_role("button", name="Naive", exact=True).click()
    assert numbers(opened)[5] == "12,568,061,056"
    assert opened.locator("#what-if .sum dt").all_text_contents() == [
        "branch_1x1.conv", "branch_3x3.conv", "branch_5x5.conv",
    ]  # fmt: skip
    opened.get_by_role("button", name="The paper's").click()
    opened.locator("#what-if").get_by_label("training").check()
    assert "3,064,074,240" in numbers(opened)
    assert opened.locator(".what-if-command").inner_text() == "analyze googlenet --train"
    opened.get_by_text("Kernels, strides and groups").click()
    setting(opened, "branch_5x5.conv.kernel", 4)
    assert (
        "cannot concatenate 192x14x14, 208x14x14, 48x15x15, 64x14x14" in opened.locator(".what-if-message").inner_text()
    )
    opened.get_by_role("button", name="Reset").click()
    assert "3,064,074,240" in numbers(opened)


def test_the_keyboard_moves_a_slider_and_the_page_follows(show, file):
    opened = show(file("alexnet", charts="none"))
    opened.locator("#what-if select").nth(1).select_option("conv2")
    slider = opened.get_by_label("groups", exact=True)
    assert slider.get_attribute("aria-valuetext") == "2"
    slider.focus()
    opened.keyboard.press("ArrowRight")  # To the next common divisor of 96 and 256.
    assert slider.get_attribute("aria-valuetext") == "4"
    assert opened.locator(".what-if-command").inner_text() == "analyze alexnet@conv2.groups=4"
    assert opened.locator("#what-if-panel thead th").all_text_contents() == ["", "this setting", "unchanged"]


def test_a_setting_survives_a_reload(show, file):
    opened = show(file("googlenet", charts="none"))
    opened.locator("#what-if select").nth(1).select_option("inception_4b")
    setting(opened, "reduce_5x5", 48)
    setting(opened, "batch", 2)
    macs = numbers(opened)
    wait(opened, "location.hash.includes('batch')")
    opened.reload()
    assert numbers(opened) == macs
    assert opened.get_by_label("reduce_5x5, exact", exact=True).input_value() == "48"
    hostile = show(
        file("googlenet", charts="none"), at="#&what-if=googlenet%40constructor.x%3D1%2Cinception_4a.out_1x1%3D0"
    )
    assert numbers(hostile)[5] == "1,582,671,872"
    assert hostile.events == []


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_section_is_accessible_and_fits(show, file, width, dark):
    opened = show(file("googlenet", charts="none"), width=width, dark=dark)
    opened.get_by_text("Kernels, strides and groups").click()
    opened.evaluate(axe())
    found = opened.evaluate("axe.run('#what-if', {resultTypes: ['violations']}).then(done => done.violations)")
    assert [(violation["id"], violation["nodes"][0]["html"]) for violation in found] == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
