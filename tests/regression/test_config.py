"""What `[tool.analyzer.check]` may say, and the line that a mistake gets."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.regression.config import KEYS, read


def test_without_a_file_or_a_table_there_are_the_defaults(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read(tmp_path)
    assert (found.models, found.baseline, found.tolerance, dict(found.budgets)) == (
        (),
        "analyzer-baseline.json",
        0.0,
        {},
    )
    assert (found.time_tolerance, found.time_limit) == (0.01, 0.05)


def test_everything_that_can_be_said(project):
    root = project(
        'models = ["googlenet", "net.py:Net"]\nbaseline = "ci/counts.json"\ntolerance = 0.01\n'
        "budgets = { googlenet = { macs = 1.6e9, calls = 200 } }\ntime_tolerance = 0.02\ntime_limit = 1"
    )
    (root / "below").mkdir()
    found = read(root / "below")
    assert found.root == root
    assert found.models == ("googlenet", "net.py:Net")
    assert found.baseline == "ci/counts.json"
    assert found.budgets == {"googlenet": {"macs": 1.6e9, "calls": 200}}
    assert str(found.budgets["googlenet"]["macs"]) == "1600000000"  # Shown as the whole number it is.
    assert (found.tolerance, found.time_tolerance, found.time_limit) == (0.01, 0.02, 1)


def test_models_with_a_budget_are_checked_where_none_are_named(project):
    assert read(project("budgets = { nin = { macs = 1 } }")).models == ("nin",)


MISTAKES = {
    'model = ["nin"]': "[tool.analyzer.check] has an unknown key 'model'; nearest: models",
    'models = "nin"': "models is 'nin'; wanted a list of names",
    "models = [1]": "models is [1]; wanted a list of names",
    'models = ["  "]': "models is ['  ']; wanted a list of names",
    "baseline = 3": "baseline is 3; wanted the name of a file",
    'baseline = ""': "baseline is ''; wanted the name of a file",
    'tolerance = "1 %"': "tolerance is '1 %'; wanted a number of at least 0, such as 0.01 for 1 %",
    "tolerance = -1": "tolerance is -1; wanted a number of at least 0",
    "tolerance = nan": "tolerance is nan; wanted a number of at least 0",
    "tolerance = true": "tolerance is True; wanted a number of at least 0",
    "time_limit = inf": "time_limit is inf; wanted a number of at least 0",
    "budgets = 1": "budgets is 1; wanted a table a model",
    "budgets = { nin = 5 }": "wanted a table a model",
    "budgets = { nin = { mac = 5 } }": "a budget of nin in an unknown metric 'mac'; nearest: macs",
    'budgets = { nin = { macs = "5" } }': "budgets.nin.macs is '5'; wanted a number of at least 0, such as 1.6e9",
    'models = ["nin"]\nbudgets = { ni = { macs = 5 } }': "a budget of 'ni', which is not in models; nearest: nin",
    "models = [": "cannot read pyproject.toml: ",
    '"\\u202e" = 1': "has an unknown key '\\u202e'",
}


@pytest.mark.parametrize("settings", MISTAKES)
def test_a_mistake_is_one_line_and_exit_2(project, analyze, settings):
    project(settings)
    done = analyze("check")
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("analyze: ")
    assert done.err.count("\n") == 1
    assert MISTAKES[settings] in done.err


def test_a_file_that_is_not_text(project, analyze):
    (project() / "pyproject.toml").write_bytes(b"\xff\xfe")
    assert analyze("check").status == 2


@pytest.mark.parametrize("text", ["tool = 1", "[tool]\nanalyzer = 1", "[tool.analyzer]\ncheck = []"])
def test_a_table_that_is_none(project, text):
    root = project()
    (root / "pyproject.toml").write_text(text)
    with pytest.raises(AnalyzerError, match="wanted a table"):
        read(root)


def test_the_docs_know_every_key():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in page] == []
