"""What other programs read: Markdown, JUnit XML and workflow commands, with names that would like to be more."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.regression.counts.candidates import Candidate
from analyzer.regression.counts.gate import hold
from analyzer.regression.counts.result import Result, exit_status
from reports.regression import annotations as actions
from reports.regression import junit, markdown
from tests.regression.made import layer, model

HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "two\nlines",
    "::error::owned",
    "##[error]owned",
    "\u202egnp.exe",
    "nul\x00bell\x07escape\x1b[31m",
    "]]>&amp;\"'",
    "`code` **bold** [link](x) ~~",
    "\ud800\uffff",
    "comma, colon: percent%0A\r",
    "</details>",
)


def result(name: str, path: str, *, after: int = 2, updated: bool = False) -> Result:
    """One model of one layer, which had one multiply-add and has `after`."""
    before = model(layer(path, macs=1), **{path: 1})
    now = model(layer(path, macs=after), **{path: 1})
    one = hold(name, "inference", before, now, budgets={"macs": 1})
    return Result((one,), (Candidate(name),), "analyzer-baseline.json", True, updated=updated)


def unprintable(text: str) -> list[str]:
    return [sign for sign in text if not sign.isprintable() and sign != "\n"]


# --- JUnit -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_junit_is_xml_whatever_the_names(name):
    text = junit.dump(result(name, name))
    document = Xml.fromstring(text.encode("utf-8"))
    assert unprintable(text) == []
    failures = document.findall(".//failure")
    assert [case.get("name") for case in document.iter("testcase") if case.find("failure") is not None] == [
        "macs",
        "macs budget",
    ]
    assert len(failures) == int(document.get("failures"))


@given(st.text(), st.text())
def test_junit_of_drawn_names(name, path):
    Xml.fromstring(junit.dump(result(name, path)).encode("utf-8"))


def test_junit_has_a_failure_a_model_and_metric():
    document = Xml.fromstring(junit.dump(result("net", "conv1")))
    cases = {case.get("name"): case for case in document.iter("testcase")}
    assert set(cases) == {"params", "macs", "flops", "activations", "bytes_read", "bytes_written", "peak_memory",
                          "calls", "macs budget"}  # fmt: skip
    assert {case.get("classname") for case in cases.values()} == {"net"}
    assert cases["macs"].find("failure").get("message") == "total: macs 1 → 2, regressed"
    assert "conv1 conv2d: macs 1 → 2, regressed" in cases["macs"].find("failure").text
    assert cases["macs budget"].find("failure").get("message") == "total: macs 2, budget 1, regressed"
    assert cases["params"].find("failure") is None


def test_junit_of_an_update_fails_budgets_only():
    document = Xml.fromstring(junit.dump(result("net", "conv1", updated=True)))
    assert [c.get("name") for c in document.iter("testcase") if c.find("failure") is not None] == ["macs budget"]


def test_junit_has_an_error_for_what_cannot_be_counted(project, analyze):
    project('models = ["ninn", "nin"]')
    assert analyze("check", "--junit", "out.xml").status == 2
    document = Xml.parse("out.xml").getroot()
    assert document.get("errors") == "1"
    assert "unknown model 'ninn'" in document.find(".//error").get("message")
    assert {
        case.find("skipped").get("message") for case in document.iter("testcase") if case.get("classname") == "nin"
    } == {"it is not in the baseline"}
    done = analyze("check", "--junit", "none/out.xml")
    assert done.status == 2
    assert "name another file with --junit" in done.err


# --- Markdown --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_in_a_name_is_markup(name):
    text = markdown.dump(result(name, name))
    assert unprintable(text) == []
    inside = text.replace("<details><summary>", "").replace("</summary>", "").replace("\n</details>\n", "")
    assert "<" not in inside
    tables = [line for line in text.splitlines() if line.startswith("|")]
    # Every line of a table has as many cells as its heading.
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {7, 6, 4, 3}


def test_a_page_that_is_too_long_names_what_it_leaves_out():
    one = result("net", "conv1")
    whole, short = markdown.dump(one), markdown.dump(one, limit=400)
    assert "<details>" in whole
    assert "<details>" not in short
    assert "Too long to show here: net" in short


# --- workflow commands -----------------------------------------------------------------------------------------------
def unescaped(text: str) -> str:
    """As the runner does it, percent signs last."""
    for code, sign in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


@pytest.mark.parametrize("name", HOSTILE)
def test_an_annotation_is_one_line_and_one_command(name):
    (command,) = actions.commands(result(name, name))
    assert command.startswith("::error title=")
    assert unprintable(command) == []
    assert "\n" not in command
    title, _, message = command.removeprefix("::error title=").partition("::")
    assert not set(",:") & set(title)
    assert unescaped(title).endswith(": regressed")
    assert unescaped(message).startswith("total: macs 1 → 2, regressed\n")


def test_signs_are_escaped_as_the_runner_undoes_them():
    assert actions.command("error", "a,b:c%\n", "a,b:c%\r\n") == r"::error title=a%2Cb%3Ac%25\n::a,b:c%25%0D%0A"


@given(st.text(alphabet=":#[]a \n\t", max_size=40))
def test_a_page_holds_no_command(text):
    page = actions.inert(text)
    assert not any(line.lstrip().startswith("::") for line in page.split("\n"))
    assert "##[" not in page


def test_under_actions_the_summary_is_appended_and_errors_annotated(project, analyze, monkeypatch):
    project('models = ["nin"]\nbudgets = { nin = { macs = 1 } }')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    Path("summary.md").write_text("before\n")
    done = analyze("check")
    assert done.status == 1
    page = Path("summary.md").read_text(encoding="utf-8")
    assert page.startswith("before\n### Check failed")
    assert "MACs budget" in page
    assert re.findall(r"(?m)^::error title=nin%3A regressed::total: macs [\d,]+, budget 1, regressed$", done.err)
    assert "::error" not in done.out


def test_a_summary_that_cannot_be_written_is_no_reason_to_fail(project, analyze, monkeypatch):
    project()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "none/summary.md")
    done = analyze("check")
    assert done.status == 0
    assert "cannot write the job's summary" in done.err


def test_outside_of_actions_nothing_of_it_happens(project, analyze, monkeypatch):
    project('models = ["nin"]\nbudgets = { nin = { macs = 1 } }')
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert "::error" not in analyze("check").err
    assert not Path("summary.md").exists()


# A module may be called anything that has no dot in it.
NET = """
import torch
from torch import nn

NAMES = [{names}]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for name in NAMES:
            self.add_module(name, nn.Linear(2, 2))

    def forward(self, x):
        for name in NAMES:
            x = getattr(self, name)(x)
        return x

def inputs():
    return torch.zeros(1, 2),
"""


@pytest.mark.parametrize("form", ["table", "md", "csv", "json", "junit", "latex"])
def test_a_models_own_names_end_to_end(project, analyze, monkeypatch, form):
    root = project('models = ["net.py:Net"]')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    names = ", ".join(ascii(name) for name in HOSTILE if "." not in name and "\ud800" not in name)
    (root / "net.py").write_text(NET.format(names=names))
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    (root / "net.py").write_text(NET.format(names=names + ", '::error::added'"))
    done = analyze("check", "--format", form)
    assert done.status == 1
    assert unprintable(done.out) == []
    assert not any(line.lstrip().startswith("::") for line in done.out.splitlines())
    for line in done.err.splitlines():
        assert line.startswith(("analyze: ", "::error title=net.py%3ANet%3A regressed::"))


# --- exit status -----------------------------------------------------------------------------------------------------
def test_regressed_is_1_and_an_update_accepts_it_but_for_budgets():
    grown = result("net", "conv1")
    assert exit_status(grown, strict=False) == 1
    (one,) = grown.held
    without = grown.replace(held=(one.replace(verdicts=tuple(v for v in one.verdicts if v.budget is None)),))
    assert exit_status(without, strict=False) == 1
    assert exit_status(without.replace(updated=True), strict=False) == 0
    assert exit_status(grown.replace(updated=True), strict=False) == 1
