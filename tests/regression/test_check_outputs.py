"""Output for other programs: Markdown, JUnit XML and workflow commands, with hostile names; and the exit status."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.regression.counts.check_all_models import CountsResult
from analyzer.regression.counts.compare_with_baseline import compare
from analyzer.regression.counts.models_to_check import Candidate
from analyzer.regression.outcome import Change, CheckResult, ModelCheck, exit_status
from reports.regression import junit, markdown, sarif_gitlab_badges
from reports.regression.workflow_commands import annotation_commands, command, neutralize
from tests.regression.snapshots import layer, model

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


def grown_result(name: str, path: str, *, updated: bool = False) -> CountsResult:
    """One model of one layer, which grew from one multiply-add to two."""
    before = model(layer(path, macs=1), **{path: 1})
    after = model(layer(path, macs=2), **{path: 1})
    check = compare(name, "inference", before, after, budgets={"macs": 1})
    return CountsResult((check,), updated, "", (Candidate(name),), "analyzer-baseline.json")


def unprintable(text: str) -> list[str]:
    return [sign for sign in text if not sign.isprintable() and sign != "\n"]


# --- JUnit -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_junit_is_valid_xml_for_any_names(name):
    text = junit.dump(grown_result(name, name))
    document = Xml.fromstring(text.encode("utf-8"))
    assert unprintable(text) == []
    failures = document.findall(".//failure")
    assert [case.get("name") for case in document.iter("testcase") if case.find("failure") is not None] == [
        "macs",
        "macs budget",
    ]
    assert len(failures) == int(document.get("failures"))


@given(st.text(), st.text())
def test_junit_of_random_names(name, path):
    Xml.fromstring(junit.dump(grown_result(name, path)).encode("utf-8"))


def test_junit_has_a_test_case_per_model_and_metric():
    document = Xml.fromstring(junit.dump(grown_result("net", "conv1")))
    cases = {case.get("name"): case for case in document.iter("testcase")}
    assert set(cases) == {"params", "macs", "flops", "activations", "bytes_read", "bytes_written", "peak_memory",
                          "calls", "macs budget"}  # fmt: skip
    assert {case.get("classname") for case in cases.values()} == {"net"}
    assert cases["macs"].find("failure").get("message") == "total: macs 1 → 2, regressed"
    assert "conv1 conv2d: macs 1 → 2, regressed" in cases["macs"].find("failure").text
    assert cases["macs budget"].find("failure").get("message") == "total: macs 2, budget 1, regressed"
    assert cases["params"].find("failure") is None


def test_junit_of_an_update_fails_only_for_budgets():
    document = Xml.fromstring(junit.dump(grown_result("net", "conv1", updated=True)))
    assert [c.get("name") for c in document.iter("testcase") if c.find("failure") is not None] == ["macs budget"]


def test_junit_has_an_error_for_a_model_that_cannot_be_counted(project, analyze):
    project('models = ["ninn", "nin"]')
    assert analyze("check", "--junit", "out.xml").status == 2
    document = Xml.parse("out.xml").getroot()
    assert document.get("errors") == "1"
    assert "unknown model 'ninn'" in document.find(".//error").get("message")
    assert {
        case.find("skipped").get("message") for case in document.iter("testcase") if case.get("classname") == "nin"
    } == {"new: it is not in the baseline"}
    done = analyze("check", "--junit", "none/out.xml")
    assert done.status == 2
    assert "name another file with --junit" in done.err


# --- Markdown --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HOSTILE)
def test_markup_in_names_is_escaped(name):
    text = markdown.dump(grown_result(name, name))
    assert unprintable(text) == []
    inside = text.replace("<details><summary>", "").replace("</summary>", "").replace("\n</details>\n", "")
    assert "<" not in inside
    tables = [line for line in text.splitlines() if line.startswith("|")]
    # Every line of a table has as many cells as its heading.
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in tables} <= {7, 6, 4, 3}


def test_a_page_that_is_too_long_names_the_omitted_models():
    grown = grown_result("net", "conv1")
    whole, short = markdown.dump(grown), markdown.dump(grown, limit=400)
    assert "<details>" in whole
    assert "<details>" not in short
    assert "Too long to show here: net" in short


def test_a_comment_has_the_worst_first_and_fits_into_githubs_limit():
    names = ["aaa", *(f"model{number:04}" for number in range(400))]
    checks = [check for name in names for check in grown_result(name, "conv1").checks]
    improved = tuple(change.replace(outcome="improved") for change in checks[0].changes)
    checks[0] = checks[0].replace(changes=improved)
    text = markdown.dump(CountsResult(tuple(checks), False, "", tuple(map(Candidate, names)), "analyzer-baseline.json"))
    assert 50_000 < len(text.encode()) < 60_000
    assert "--format json has everything" in text
    assert "<summary>model0000" in text
    assert "<summary>aaa" not in text.partition("<summary>model0000")[0]  # Its section is shorter, and may fit last.


# --- workflow commands -----------------------------------------------------------------------------------------------
def unescaped(text: str) -> str:
    """Decodes as the runner does, percent signs last."""
    for code, sign in (("%2C", ","), ("%3A", ":"), ("%0A", "\n"), ("%0D", "\r"), ("%25", "%")):
        text = text.replace(code, sign)
    return text


@pytest.mark.parametrize("name", HOSTILE)
def test_an_annotation_is_one_line_and_one_command(name):
    (annotation,) = annotation_commands(grown_result(name, name))
    assert annotation.startswith("::error title=")
    assert unprintable(annotation) == []
    assert "\n" not in annotation
    title, _, message = annotation.removeprefix("::error title=").partition("::")
    assert not set(",:") & set(title)
    assert unescaped(title).endswith(": regressed")
    assert unescaped(message).startswith("total: macs 1 → 2, regressed\n")


def test_characters_are_escaped_as_the_runner_decodes_them():
    assert command("error", "a,b:c%\n", "a,b:c%\r\n") == r"::error title=a%2Cb%3Ac%25\n::a,b:c%25%0D%0A"


@given(st.text(alphabet=":#[]a \n\t", max_size=40))
def test_neutralized_text_has_no_command(text):
    page = neutralize(text)
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


def test_a_summary_that_cannot_be_written_does_not_fail_the_check(project, analyze, monkeypatch):
    project()
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "none/summary.md")
    done = analyze("check")
    assert done.status == 0
    assert "cannot write the job's summary" in done.err


def test_outside_of_actions_there_are_no_annotations(project, analyze, monkeypatch):
    project('models = ["nin"]\nbudgets = { nin = { macs = 1 } }')
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    assert "::error" not in analyze("check").err
    assert not Path("summary.md").exists()


# A module's name may contain anything but a dot.
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
def test_hostile_module_names_end_to_end(project, analyze, monkeypatch, form):
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
def test_regressed_is_1_and_an_update_accepts_all_but_budgets():
    grown = grown_result("net", "conv1")
    assert exit_status(grown, strict=False) == 1
    assert exit_status(grown.replace(updated=True), strict=False) == 1
    (check,) = grown.checks
    changes = tuple(change for change in check.changes if change.budget is None)
    without_budget = grown.replace(checks=(check.replace(changes=changes),))
    assert exit_status(without_budget, strict=False) == 1
    assert exit_status(without_budget.replace(updated=True), strict=False) == 0


@pytest.mark.parametrize(
    ("outcome", "fields", "statuses"),
    [
        ("unchanged", {}, (0, 0)),
        ("improved", {}, (0, 0)),
        ("inconclusive", {}, (0, 4)),
        ("incomparable", {}, (3, 3)),
        ("incomparable", {"missing": True}, (0, 3)),
        ("incomparable", {"error": AnalyzerError("bad")}, (2, 2)),
        ("incomparable", {"error": CannotMeasure("no")}, (3, 3)),
        ("regressed", {"error": AnalyzerError("bad")}, (1, 1)),
        ("unchanged", {"unknown_ops": {"odd": 1}}, (0, 1)),
    ],
)
def test_the_exit_status_without_and_with_strict(outcome, fields, statuses):
    check = ModelCheck("net", (Change("net", "total", "macs", 1, 2, outcome),), **fields)
    result = CheckResult((check,))
    assert (exit_status(result, strict=False), exit_status(result, strict=True)) == statuses


def test_a_budget_without_a_value_is_undecided_also_under_update():
    change = Change("net", "total", "macs", None, None, "incomparable", budget=1)
    assert exit_status(CheckResult((ModelCheck("net", (change,)),), updated=True), strict=False) == 3


# --- SARIF, GitLab and badges ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", [*HOSTILE, "net.py:Net", "tests/test_a.py::test_b"])
def test_sarif_and_gitlab_have_a_finding_per_metric(name):
    result = grown_result(name, name)
    run = json.loads(sarif_gitlab_badges.sarif(result))["runs"][0]
    assert "macs" in {entry["ruleId"] for entry in run["results"]} <= {"macs", "unknown_ops"}
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {entry["ruleId"] for entry in run["results"]}
    entries = json.loads(sarif_gitlab_badges.gitlab(result))
    assert len({entry["fingerprint"] for entry in entries}) == len(entries) == len(run["results"])
    file = name.partition(":")[0] if name.endswith(("Net", "test_b")) else "pyproject.toml"
    assert {entry["location"]["path"] for entry in entries} == {file}
    assert {entry["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for entry in run["results"]} == {file}
    assert unprintable(sarif_gitlab_badges.sarif(result)) == unprintable(sarif_gitlab_badges.gitlab(result)) == []


def test_sarif_is_written_in_addition_and_has_a_category(project, analyze, tmp_path):
    """Code scanning replaces earlier results of one category: those of counts must not be replaced by times."""
    assert analyze("check", "googlenet", "--sarif", "check.sarif").out.strip()
    (run,) = json.loads((tmp_path / "check.sarif").read_text())["runs"]
    assert run["automationDetails"] == {"id": "macscope check/"}
    assert "--sarif" in analyze("check", "googlenet", "--sarif", "none/check.sarif").err


def test_a_fingerprint_does_not_depend_on_the_values():
    first, second = (list(sarif_gitlab_badges.findings(grown_result("net", path))) for path in ("a", "b"))
    assert [finding.fingerprint for finding in first] == [finding.fingerprint for finding in second]


def test_a_model_that_cannot_be_counted_is_a_finding():
    error = CannotMeasure("no torch")
    check = compare("net.py:Net", "inference", None, None, reason="it cannot be counted: no torch", error=error)
    (finding,) = sarif_gitlab_badges.findings(CountsResult((check,), False, "", (), "b.json"))
    assert (finding.level, finding.rule, finding.file) == ("error", "error", "net.py")


@pytest.mark.parametrize(
    ("result", "message", "color"),
    [
        (grown_result("net", "a"), "failed: 1 regressed", "red"),
        (CountsResult((compare("net", "inference", model(), model()),), False, "", (), "b.json"), "1 unchanged",
         "brightgreen"),
        (CountsResult((compare("net", "inference", None, model()),), False, "", (), "b.json"), "1 new", "yellow"),
    ],
)  # fmt: skip
def test_a_badge_is_an_endpoint_of_shields(result, message, color):
    content = json.loads(sarif_gitlab_badges.badge(result))
    assert (content["schemaVersion"], content["message"], content["color"]) == (1, message, color)
