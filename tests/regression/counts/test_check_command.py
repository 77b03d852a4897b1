"""`analyze check` from settings to exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.check_all_models import snapshots
from analyzer.regression.counts.models_to_check import _inputs_advice, count_candidate, runs_code

NAME = "analyzer-baseline.json"
ROOT = Path(__file__).parents[3]


def store(name: str, counted_as: str) -> None:
    """Stores another model's counts under a name, as if the model had changed since."""
    stored = dict(baseline_json.read(Path(NAME), NAME) or {})
    candidate = count_candidate(counted_as, Path.cwd())
    assert candidate.error is None
    stored[name] = snapshots(candidate)
    baseline_json.write(Path(NAME), stored)


def changes(done) -> list[dict]:
    return json.loads(done.out)["changes"]


# --- baseline --------------------------------------------------------------------------------------------------------
def test_a_project_without_a_baseline_passes(project, analyze):
    project()
    done = analyze("check")
    assert done.status == 0
    assert "no baseline analyzer-baseline.json" in done.out
    assert "analyze check --update" in done.out.replace("\n", " ")
    assert analyze("check", "--strict").status == 3


def test_growth_fails_until_an_update_accepts_it(project, analyze):
    project()
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    store("nin", "nin@cccp1.out=95")
    grown = analyze("check")
    assert grown.status == 1
    assert "Check failed: 1 regressed" in grown.out
    assert "cccp1" in grown.out
    assert "--update" in grown.out
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0


def test_an_improvement_passes(project, analyze):
    project()
    store("nin", "nin@cccp1.out=97")
    done = analyze("check", "--strict")
    assert done.status == 0
    assert "1 improved" in done.out
    assert "--update" in done.out


def test_json_has_exact_counts_of_each_layer(project, analyze):
    """cccp1 grew from 95 to 96 output channels."""
    project()
    store("nin", "nin@cccp1.out=95")
    done = analyze("check", "--format", "json")
    assert done.status == 1
    envelope = json.loads(done.out)
    assert (envelope["schema_version"], envelope["status"]) == (2, "failed")
    params = {v["path"]: (v["before"], v["after"], v["outcome"]) for v in envelope["changes"]
              if (v["metric"], v["mode"]) == ("params", "inference")}  # fmt: skip
    # cccp1 is 1x1 from 96 channels with biases; cccp2 reads its output.
    assert params["cccp1"] == (95 * 96 + 95, 96 * 96 + 96, "regressed")
    assert params["cccp2"] == (96 * 95 + 96, 96 * 96 + 96, "regressed")
    assert params["total"][1] - params["total"][0] == (96 + 1) + 96
    (macs,) = [v for v in envelope["changes"] if (v["path"], v["metric"], v["mode"]) == ("total", "macs", "training")]
    assert macs["ratio"] == macs["after"] / macs["before"]
    assert {record["mode"] for record in envelope["records"]} == {"inference", "training"}


def test_every_format_has_the_change(project, analyze):
    project()
    store("nin", "nin@cccp1.out=95")
    sheet = analyze("check", "--format", "csv")
    assert sheet.status == 1
    assert len(sheet.out.splitlines()) == 1 + len(changes(analyze("check", "--format", "json")))
    for form in ("md", "latex", "junit", "table"):
        done = analyze("check", "--format", form, "-o", "out")
        assert (done.status, done.out) == (1, "")
        assert "cccp1" in Path("out").read_text()


def test_tolerance(project, analyze):
    project('models = ["nin"]\ntolerance = 0.05')
    store("nin", "nin@cccp1.out=95")
    done = analyze("check")
    assert done.status == 0
    assert "1 unchanged" in done.out
    assert "up to 5 %" in done.out.replace("\n", " ")
    assert "In brackets" in done.out
    assert analyze("check", "--tolerance", "0").status == 1
    for wrong in ("-1", "nan", "much"):
        assert analyze("check", "--tolerance", wrong).status == 2


def test_budgets_work_without_a_baseline_and_under_update(project, analyze):
    project("budgets = { nin = { macs = 1.0e9, params = 1e8 } }")
    done = analyze("check")
    assert done.status == 1
    assert "MACs over budget" in done.out
    assert "1,000,000,000 1,100,188,800" in done.out
    assert analyze("check", "--update").status == 1
    assert Path(NAME).exists()
    budgets = [v for v in changes(analyze("check", "--format", "json")) if v["budget"]]
    assert [(v["metric"], v["outcome"]) for v in budgets] == [("macs", "regressed"), ("params", "unchanged")]
    project("budgets = { nin = { macs = 1100188800 } }")
    assert analyze("check").status == 0


# --- models: named, new, removed, broken -----------------------------------------------------------------------------
def test_nothing_to_check(project, analyze):
    project("")
    done = analyze("check")
    assert (done.status, done.out) == (2, "")
    assert "nothing to check" in done.err


def test_a_new_model_passes(project, analyze):
    project()
    analyze("check", "--update")
    project('models = ["nin", "alexnet"]')
    done = analyze("check")
    assert done.status == 0
    assert "1 new" in done.out
    assert analyze("check", "--strict").status == 3


def test_a_removed_model_is_listed_until_an_update_drops_it(project, analyze):
    project('models = ["nin", "alexnet"]')
    analyze("check", "--update")
    project()
    done = analyze("check")
    assert done.status == 0
    assert "1 removed" in done.out
    assert analyze("check", "--strict").status == 3
    assert analyze("check", "--variant", "nin", "--strict").status == 0  # The others are not selected.
    analyze("check", "--update")
    assert list(baseline_json.read(Path(NAME), NAME)) == ["nin"]


def test_a_model_that_cannot_be_counted_hides_no_other_and_keeps_its_counts(project, analyze):
    project('models = ["nin", "alexnet"]')
    store("nin", "nin@cccp1.out=97")
    store("ninn", "nin")
    project('models = ["nin", "ninn"]')
    done = analyze("check")
    assert done.status == 2
    assert "analyze: ninn: unknown model 'ninn'; nearest: nin" in done.err
    assert "1 improved" in done.out
    assert json.loads(analyze("check", "--format", "json").out)["status"] == "partial"
    assert analyze("check", "--update").status == 2
    assert sorted(baseline_json.read(Path(NAME), NAME)) == ["nin", "ninn"]
    store("nin", "nin@cccp1.out=95")
    assert analyze("check").status == 1  # Regressed takes precedence.


def test_a_model_named_twice_is_checked_once(project, analyze):
    project('models = ["nin", "nin "]')
    done = analyze("check", "--update")
    assert (done.status, done.err.splitlines()[0]) == (0, "analyze: nin is given twice; it is checked once")
    assert done.out.count("nin ") == 1


def test_an_update_of_one_model_keeps_the_others(project, analyze):
    project('models = ["nin", "alexnet"]')
    store("nin", "nin@cccp1.out=95")
    store("alexnet", "alexnet@conv1.out=94")
    assert analyze("check", "--update", "--variant", "nin").status == 0
    regressed = [v for v in changes(analyze("check", "--format", "json")) if v["outcome"] == "regressed"]
    assert {v["model"] for v in regressed} == {"alexnet"}


def test_a_variant_with_overrides_is_a_separate_model(project, analyze):
    project('models = ["googlenet@inception_4a.reduce_5x5=32"]')
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    assert list(baseline_json.read(Path(NAME), NAME)) == ["googlenet@inception_4a.reduce_5x5=32"]


def test_only_references_run_code():
    assert not runs_code("nin")
    assert not runs_code("googlenet@inception_4a.reduce_5x5=32")
    assert runs_code("net.py:Net")
    assert runs_code("program.pt2")


# --- references ------------------------------------------------------------------------------------------------------
def test_a_reference_is_relative_to_the_projects_folder(project, net, analyze, monkeypatch):
    root = project('models = ["nin", "net.py:Net"]')
    net()
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")
    assert analyze("check", "--update").status == 0
    stored = baseline_json.read(root / NAME, NAME)["net.py:Net"]
    # 4 to 8 and 8 to 2, with biases; in training each weight's gradient, and the second layer's input's.
    assert stored["inference"].totals["params"] == (4 * 8 + 8) + (8 * 2 + 2)
    assert stored["training"].totals["backward_macs"] == 4 * 8 + 2 * (8 * 2)


def test_a_reference_that_grows_fails(project, net, analyze):
    project('models = ["net.py:Net"]')
    net(width=8)
    analyze("check", "--update")
    net(width=9)
    done = analyze("check", "--format", "json")
    assert done.status == 1
    grown = {v["path"]: v["after"] - v["before"] for v in changes(done)
             if v["metric"] == "macs" and v["mode"] == "inference"}  # fmt: skip
    assert grown == {"total": 4 + 2, "first": 4, "last": 2}


FORWARD = "self.last(self.first(x).relu())"
# A change of the forward pass, the mode that it affects, and the metrics of the whole model that grow in that mode.
ONE_MODE = {
    "a second head in training": (f"({FORWARD}, self.first(x)) if self.training else {FORWARD}", "training", {"macs"}),
    "a second run at inference": (f"{FORWARD} if self.training else (self.first(x), {FORWARD})", "inference", {"macs"}),
    "only the backward pass": ("self.last(self.first(x * self.scale).relu())", "training", {"backward_macs"}),
    "a checkpoint": (
        "self.last(checkpoint(self.first, x * self.scale, use_reentrant=True).relu())",
        "training",
        {"backward_macs", "recomputed_macs"},
    ),
}


@pytest.mark.parametrize("name", ONE_MODE)
def test_a_change_of_one_mode_fails_in_that_mode(project, net, analyze, name):
    project('models = ["net.py:Net"]')
    net()
    source = Path("net.py").read_text(encoding="utf-8")
    head = "from torch.utils.checkpoint import checkpoint\nclass Net"
    source = source.replace("class Net", head).replace(
        "self.first =", "self.scale = nn.Parameter(torch.zeros(4))\n        self.first ="
    )
    # The parameter is there before and after.
    Path("net.py").write_text(source.replace("(x).relu", "(x + 0 * self.scale.detach()).relu"), encoding="utf-8")
    assert analyze("check", "--update").status == 0
    forward, mode, metrics = ONE_MODE[name]
    Path("net.py").write_text(source.replace(FORWARD, forward), encoding="utf-8")
    done = analyze("check", "--format", "json")
    assert done.status == 1
    products = ("macs", "backward_macs", "recomputed_macs")
    regressed = {
        (change["mode"], change["metric"])
        for change in changes(done)
        if change["path"] == "total" and change["outcome"] == "regressed" and change["metric"] in products
    }
    assert {metric for where, metric in regressed if where == mode} >= metrics
    assert {where for where, _ in regressed} == {mode}


def test_another_input_is_incomparable(project, net, analyze):
    project('models = ["net.py:Net"]')
    net()
    analyze("check", "--update")
    Path("net.py").write_text(Path("net.py").read_text().replace("zeros(1, 4)", "zeros(2, 4)"))
    done = analyze("check")
    assert done.status == 3
    assert "input is 2x4" in done.out.replace("\n", " ")
    assert analyze("check", "--update").status == 0


def test_a_reference_that_no_longer_builds(project, net, analyze):
    project('models = ["net.py:Net", "nin"]')
    net()
    analyze("check", "--update")
    Path("net.py").write_text("raise ValueError('no')\n")
    done = analyze("check")
    assert done.status == 2
    assert "net.py:Net raised ValueError: no" in done.err
    assert "not counted" in done.out
    Path("net.py").unlink()
    assert "no file net.py" in analyze("check").err


def test_a_reference_without_inputs_names_the_missing_function(project, net, analyze):
    project('models = ["net.py:Net"]')
    net()
    Path("net.py").write_text(Path("net.py").read_text().split("def Net_inputs")[0])
    done = analyze("check")
    assert done.status == 2
    assert "Net_inputs()" in done.err
    assert "--input" not in done.err
    assert "Net_inputs()" not in done.out, "standard error has the reason"
    assert "next to the model" in analyze("check", "--format", "md").out


@pytest.mark.parametrize(
    ("reference", "advice"),
    [
        ("net.py:Net", "define Net_inputs()"),
        ("package.net:Net", "define Net_inputs()"),
        ("net.py:Outer.Net", "define inputs()"),
        ("timm:vit", "models of pyproject.toml"),
        ("installed", "models of pyproject.toml"),
    ],
)
def test_the_advice_on_inputs_depends_on_the_reference(reference, advice):
    assert advice in _inputs_advice(reference)


UNKNOWN = """
import torch
from torch import nn

@torch.library.custom_op("macscope_check::odd", mutates_args=())
def odd(x: torch.Tensor) -> torch.Tensor:
    return x.clone()

odd.register_fake(lambda x: torch.empty_like(x))

class Net(nn.Module):
    def forward(self, x):
        for _ in range(TIMES):
            x = odd(x)
        return x

def inputs():
    return torch.zeros(1, 4),
"""


def test_a_model_on_the_command_line_keeps_the_input_of_the_settings(project, net, analyze):
    project('models = [{ model = "net.py:Net", input = "4", batch = 3 }]')
    net()
    assert analyze("check", "--update").status == 0
    done = analyze("check", "net.py:Net", "--format", "json")
    assert done.status == 0
    assert json.loads(done.out)["records"][0]["input"] == [[3, 4]]


def test_unknown_operators_are_named_and_counted(project, analyze):
    project('models = ["net.py:Net"]')
    Path("net.py").write_text(UNKNOWN.replace("TIMES", "1"))
    done = analyze("check", "--update")
    assert done.status == 0
    assert "macscope_check::odd 1" in done.out
    assert analyze("check").status == 0
    assert analyze("check", "--strict").status == 1
    Path("net.py").write_text(UNKNOWN.replace("TIMES", "2"))
    done = analyze("check", "--format", "json")
    assert done.status == 1
    (unknown,) = [v for v in changes(done) if v["metric"] == "unknown_ops" and v["mode"] == "inference"]
    assert (unknown["op"], unknown["before"], unknown["after"]) == ("macscope_check::odd", 1, 2)


RANDOM = """
import random
import numpy as np
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        numbers = random.randint(8, 99), int(torch.randint(99, ())), int(np.random.default_rng().integers(99))
        self.width = sum(numbers)
        self.layers = nn.ModuleList(nn.Linear(self.width, self.width) for _ in range(4))

    def forward(self, x):
        x = x.new_zeros(1, self.width)
        for layer in self.layers:
            if random.random() < 0.5:
                x = layer(x)
        return x

def inputs():
    return (torch.zeros(1),)
"""


@pytest.mark.slow
def test_chance_counts_the_same_in_every_process(project, environment):
    """The width is drawn when the model is built, and the layers when it runs."""
    root = project('models = ["net.py:Net"]')
    Path("net.py").write_text(RANDOM)

    def check(*options: str) -> int:
        command = [sys.executable, "-m", "analyzer", "check", *options]
        return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False).returncode

    assert [check("--update"), check(), check()] == [0, 0, 0]
    assert check("--strict") == 1  # A note says that chance decides.


# --- in a new process ------------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name != "posix", reason="pipes of Unix")
@pytest.mark.parametrize(("before", "status"), [("nin", 0), ("nin@cccp1.out=95", 1)])
@pytest.mark.parametrize("form", ["table", "json", "junit"])
def test_a_closed_pipe_does_not_hide_a_failure(project, environment, before, status, form):
    root = project()
    store("nin", before)
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "analyzer", "check", "--format", form]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, stdout=write, stderr=subprocess.PIPE, timeout=60, check=False
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (status, b"")


def test_this_project_passes_its_own_check(analyze, monkeypatch):
    monkeypatch.chdir(ROOT)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    assert analyze("check", "--strict").status == 0


@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(project, process, width):
    project('models = ["googlenet", "nin"]')
    store("googlenet", "googlenet@inception_4a.reduce_5x5=15")
    store("nin", "nin@cccp1.out=97")
    done = process("check", COLUMNS=str(width))
    assert done.status == 1
    assert max(map(len, done.out.splitlines())) <= width
    assert "reduce.conv" in done.out  # The end of a path is kept.
