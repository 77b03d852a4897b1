"""`[tool.analyzer.check]`: what it may contain, and the error for each mistake."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.regression.config import KEYS, read


def test_without_a_file_or_a_table_the_defaults_apply(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = read(tmp_path)
    assert (config.models, config.baseline, dict(config.budgets)) == ((), "analyzer-baseline.json", {})
    assert (config.tolerance.of("nin", "macs"), config.time_tolerance, config.time_limit) == (0.0, 0.01, 0.05)


def test_every_key(project):
    root = project(
        'models = ["googlenet", "net.py:Net"]\nbaseline = "ci/counts.json"\ntolerance = 0.01\n'
        "budgets = { googlenet = { macs = 1.6e9, calls = 200 } }\ntime_tolerance = 0.02\ntime_limit = 1"
    )
    (root / "below").mkdir()
    config = read(root / "below")
    assert config.root == root
    assert config.models == ("googlenet", "net.py:Net")
    assert config.baseline == "ci/counts.json"
    assert config.budgets == {"googlenet": {"macs": 1.6e9, "calls": 200}}
    assert str(config.budgets["googlenet"]["macs"]) == "1600000000"  # TOML's 1.6e9 is a float.
    assert (config.tolerance.of("nin", "macs"), config.time_tolerance, config.time_limit) == (0.01, 0.02, 1)


def test_without_models_those_with_a_budget_are_checked(project):
    assert read(project("budgets = { nin = { macs = 1 } }")).models == ("nin",)


def test_tolerances_by_metric_and_by_pattern_of_models(project):
    tolerance = read(project(
        'models = ["googlenet", "googlenet-naive", "nin", "alexnet"]\n'
        '[tool.analyzer.check.tolerance]\nmacs = "1 %"\ntime = "4 %"\n"googlenet*" = { macs = 0.07, time = "2 %" }\n'
        'googlenet-naive = { macs = 0 }\nnin = "3 %"'
    )).tolerance  # fmt: skip
    cases = {
        ("alexnet", "macs"): 0.01, ("alexnet", "params"): 0.0, ("alexnet", "time"): 0.04,
        ("googlenet", "macs"): 0.07, ("googlenet", "params"): 0.0, ("googlenet", "time"): 0.02,
        ("googlenet-naive", "macs"): 0.0, ("googlenet-naive", "time"): 0.02,
        ("nin", "macs"): 0.03, ("nin", "params"): 0.03, ("nin", "time"): 0.04,
    }  # fmt: skip
    assert {case: tolerance.of(*case) for case in cases} == cases


def test_a_plain_tolerance_is_not_that_of_times(project):
    tolerance = read(project('tolerance = "50 %"')).tolerance
    assert (tolerance.of("nin", "macs"), tolerance.of("nin", "time")) == (0.5, 0.01)


MISTAKES = {
    'model = ["nin"]': "unknown key 'model'; nearest: models",
    'models = "nin"': "models is 'nin'",
    "models = [1]": "models is [1]",
    'models = ["  "]': "models is ['  ']",
    'models = [{ model = "nin", inputs = "3" }]': "unknown key 'inputs'; nearest: input",
    'models = [{ input = "3" }]': "models is ",
    'models = [{ model = "nin", input = 3 }]': "models.input is 3",
    'models = [{ model = "nin", input = "3xx" }]': "malformed input '3xx'",
    'models = [{ model = "nin", batch = 0 }]': "models.batch is 0",
    'models = ["nin", { model = "nin", batch = 2 }]': "'nin' twice",
    'models = ["google-*"]': "no built-in network matches 'google-*'; nearest: googlenet",
    "baseline = 3": "baseline is 3",
    'baseline = ""': "baseline is ''",
    'tolerance = "1"': "tolerance is '1'",
    'tolerance = "x %"': "tolerance is 'x %'",
    'tolerance = { mac = 0.1 }\nmodels = ["nin"]': "neither a metric nor one of the models; nearest: macs",
    "tolerance = { nin = { mac = 0.1 } }": "in an unknown metric 'mac'; nearest: macs",
    'tolerance = { time = "5 %" }': "limit above the tolerance",
    'detail = "rows"': "detail is 'rows'",
    "detail = { nin = 1 }": "detail.nin is 1",
    "tolerance = -1": "tolerance is -1",
    "tolerance = nan": "tolerance is nan",
    "tolerance = true": "tolerance is True",
    "time_limit = inf": "time_limit is inf",
    "time_limit = 0.001": "limit above the tolerance",
    "budgets = 1": "a table per model",
    "budgets = { nin = 5 }": "a table per model",
    "budgets = { nin = { mac = 5 } }": "unknown metric 'mac'; nearest: macs",
    'budgets = { nin = { macs = "5" } }': "budgets.nin.macs is '5'",
    f"budgets = {{ nin = {{ macs = 1{'0' * 400} }} }}": "budgets.nin.macs is 1000",
    'models = ["nin"]\nbudgets = { ni = { macs = 5 } }': "'ni', which is not in models; nearest: nin",
    "models = [": "cannot read pyproject.toml: ",
    '"\\u202e" = 1': "unknown key '\\u202e'",
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
def test_a_value_in_place_of_a_table(project, text):
    root = project()
    (root / "pyproject.toml").write_text(text)
    with pytest.raises(AnalyzerError, match="wanted a table"):
        read(root)


def test_the_docs_have_every_key():
    page = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in page] == []


def test_inputs_and_patterns_of_models(project, analyze):
    """One of 64 x 64 pixels in place of 224 x 224; all built-in networks with that beginning."""

    project('models = [{ model = "nin", input = "3x64x64", batch = 2 }, "googlenet-n*"]')
    assert analyze("check", "--update").status == 0
    text = Path("analyzer-baseline.json").read_text(encoding="utf-8")
    assert all(name in text for name in ("nin", "googlenet-naive", "googlenet-no-reduction"))
    counted = json.loads(analyze("nin", "--input", "3x64x64", "--batch", "2", "--format", "json").out)
    assert str(counted["records"][0]["totals"]["macs"]) in text
