"""`analyze check` from settings to exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.regression.counts import baseline
from analyzer.regression.counts.candidates import counted, runs_code
from analyzer.regression.counts.result import snapshots

NAME = "analyzer-baseline.json"
ROOT = Path(__file__).parents[3]


def keep(name: str, counted_as: str) -> None:
    """The baseline has, under one model's name, another's counts: as if the model had changed since."""
    found = dict(baseline.read(Path(NAME), NAME) or {})
    candidate = counted(counted_as, Path.cwd())
    assert candidate.error is None
    found[name] = snapshots(candidate)
    baseline.write(Path(NAME), found)


def verdicts(done) -> list[dict]:
    return json.loads(done.out)["verdicts"]


# --- the usual way ---------------------------------------------------------------------------------------------------
def test_no_baseline_passes_and_says_how_to_make_one(project, analyze):
    project()
    done = analyze("check")
    assert done.status == 0
    assert "There is no baseline analyzer-baseline.json" in done.out
    assert "analyze check --update" in done.out.replace("\n", " ")
    assert analyze("check", "--strict").status == 3


def test_made_then_passed_then_grown_then_accepted(project, analyze):
    project()
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    keep("nin", "nin@cccp1.out=95")
    grown = analyze("check")
    assert grown.status == 1
    assert "Check failed: 1 regressed" in grown.out
    assert "cccp1" in grown.out
    assert "analyze check --update takes it into" in grown.out.replace("\n", " ")
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0


def test_an_improvement_passes_and_says_how_to_keep_it(project, analyze):
    project()
    keep("nin", "nin@cccp1.out=97")
    done = analyze("check", "--strict")
    assert done.status == 0
    assert "1 improved" in done.out
    assert "analyze check --update takes this into" in done.out


def test_figures_are_exact_in_json(project, analyze):
    """One channel less in conv4's first 1x1 and one more in its second: each layer by itself."""
    project()
    keep("nin", "nin@cccp1.out=95")
    done = analyze("check", "--format", "json")
    assert done.status == 1
    envelope = json.loads(done.out)
    assert (envelope["schema_version"], envelope["status"]) == (2, "failed")
    params = {v["path"]: (v["before"], v["after"], v["outcome"]) for v in envelope["verdicts"]
              if (v["metric"], v["mode"]) == ("params", "inference")}  # fmt: skip
    # cccp1 is 1x1 from 96 channels with biases; cccp2 reads what it makes.
    assert params["cccp1"] == (95 * 96 + 95, 96 * 96 + 96, "regressed")
    assert params["cccp2"] == (96 * 95 + 96, 96 * 96 + 96, "regressed")
    assert params["total"][1] - params["total"][0] == (96 + 1) + 96
    (macs,) = [v for v in envelope["verdicts"] if (v["path"], v["metric"], v["mode"]) == ("total", "macs", "training")]
    assert macs["ratio"] == macs["after"] / macs["before"]
    assert {record["mode"] for record in envelope["records"]} == {"inference", "training"}


def test_the_forms_say_the_same(project, analyze):
    project()
    keep("nin", "nin@cccp1.out=95")
    sheet = analyze("check", "--format", "csv")
    assert sheet.status == 1
    assert len(sheet.out.splitlines()) == 1 + len(verdicts(analyze("check", "--format", "json")))
    for form in ("md", "latex", "junit", "table"):
        done = analyze("check", "--format", form, "-o", "out")
        assert (done.status, done.out) == (1, "")
        assert "cccp1" in Path("out").read_text()


def test_tolerance(project, analyze):
    project('models = ["nin"]\ntolerance = 0.05')
    keep("nin", "nin@cccp1.out=95")
    done = analyze("check")
    assert done.status == 0
    assert "1 unchanged" in done.out
    assert "Growth of up to 5 % is tolerated" in done.out.replace("\n", " ")
    assert "In brackets: within the tolerance" in done.out
    assert analyze("check", "--tolerance", "0").status == 1
    for wrong in ("-1", "nan", "much"):
        assert analyze("check", "--tolerance", wrong).status == 2


def test_budgets_work_without_a_baseline_and_under_update(project, analyze):
    project("budgets = { nin = { macs = 1.0e9, params = 1e8 } }")
    done = analyze("check")
    assert done.status == 1
    assert "over budget: MACs" in done.out
    assert "1,000,000,000 1,100,188,800" in done.out
    assert analyze("check", "--update").status == 1
    assert Path(NAME).exists()
    found = [v for v in verdicts(analyze("check", "--format", "json")) if v["budget"]]
    assert [(v["metric"], v["outcome"]) for v in found] == [("macs", "regressed"), ("params", "unchanged")]
    project("budgets = { nin = { macs = 1100188800 } }")
    assert analyze("check").status == 0


# --- models: named, added, gone, broken ------------------------------------------------------------------------------
def test_nothing_to_check(project, analyze):
    project("")
    done = analyze("check")
    assert (done.status, done.out) == (2, "")
    assert "nothing to check" in done.err


def test_a_model_that_is_new_passes(project, analyze):
    project()
    analyze("check", "--update")
    project('models = ["nin", "alexnet"]')
    done = analyze("check")
    assert done.status == 0
    assert "alexnet: it is not in the baseline" in done.out
    assert analyze("check", "--strict").status == 3


def test_a_model_that_is_gone_is_a_row_and_an_update_drops_it(project, analyze):
    project('models = ["nin", "alexnet"]')
    analyze("check", "--update")
    project()
    done = analyze("check")
    assert done.status == 0
    assert "alexnet: it is in the baseline and no longer among the models" in done.out
    assert analyze("check", "--strict").status == 3
    assert analyze("check", "--variant", "nin", "--strict").status == 0  # What was not asked for is not gone.
    analyze("check", "--update")
    assert list(baseline.read(Path(NAME), NAME)) == ["nin"]


def test_a_model_that_no_longer_exists_hides_no_other_and_keeps_its_counts(project, analyze):
    project('models = ["nin", "alexnet"]')
    keep("nin", "nin@cccp1.out=97")
    keep("ninn", "nin")
    project('models = ["nin", "ninn"]')
    done = analyze("check")
    assert done.status == 2
    assert "analyze: ninn: unknown model 'ninn'; nearest: nin" in done.err
    assert "1 improved" in done.out
    assert json.loads(analyze("check", "--format", "json").out)["status"] == "partial"
    assert analyze("check", "--update").status == 2
    assert sorted(baseline.read(Path(NAME), NAME)) == ["nin", "ninn"]
    keep("nin", "nin@cccp1.out=95")
    assert analyze("check").status == 1  # Regressed comes first.


def test_a_model_named_twice_is_checked_once(project, analyze):
    project('models = ["nin", "nin "]')
    done = analyze("check", "--update")
    assert (done.status, done.err.splitlines()[0]) == (0, "analyze: nin is named twice; it is checked once")
    assert done.out.count("nin ") == 1


def test_an_update_of_one_leaves_the_others(project, analyze):
    project('models = ["nin", "alexnet"]')
    keep("nin", "nin@cccp1.out=95")
    keep("alexnet", "alexnet@conv1.out=94")
    assert analyze("check", "--update", "--variant", "nin").status == 0
    found = verdicts(analyze("check", "--format", "json"))
    assert {v["model"] for v in found if v["outcome"] == "regressed"} == {"alexnet"}


def test_a_variant_with_a_change_is_a_model_of_its_own(project, analyze):
    project('models = ["googlenet@inception_4a.reduce_5x5=32"]')
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    assert list(baseline.read(Path(NAME), NAME)) == ["googlenet@inception_4a.reduce_5x5=32"]


def test_what_runs_code_and_what_does_not():
    assert not runs_code("nin")
    assert not runs_code("googlenet@inception_4a.reduce_5x5=32")
    assert runs_code("net.py:Net")
    assert runs_code("program.pt2")


# --- references ------------------------------------------------------------------------------------------------------
def test_a_reference_is_found_from_the_projects_folder(project, net, analyze, monkeypatch):
    root = project('models = ["nin", "net.py:Net"]')
    net()
    (root / "below").mkdir()
    monkeypatch.chdir(root / "below")
    assert analyze("check", "--update").status == 0
    found = baseline.read(root / NAME, NAME)["net.py:Net"]
    # 4 to 8 and 8 to 2, with biases; in training each weight's gradient, and the second layer's input's.
    assert found["inference"].totals["params"] == (4 * 8 + 8) + (8 * 2 + 2)
    assert found["training"].totals["backward_macs"] == 4 * 8 + 2 * (8 * 2)


def test_a_reference_that_grows_fails(project, net, analyze):
    project('models = ["net.py:Net"]')
    net(width=8)
    analyze("check", "--update")
    net(width=9)
    done = analyze("check", "--format", "json")
    assert done.status == 1
    grown = {v["path"]: v["after"] - v["before"] for v in verdicts(done)
             if v["metric"] == "macs" and v["mode"] == "inference"}  # fmt: skip
    assert grown == {"total": 4 + 2, "first": 4, "last": 2}


def test_another_input_is_not_compared(project, net, analyze):
    project('models = ["net.py:Net"]')
    net()
    analyze("check", "--update")
    Path("net.py").write_text(Path("net.py").read_text().replace("zeros(1, 4)", "zeros(2, 4)"))
    done = analyze("check")
    assert done.status == 3
    assert "its input is 2x4, and 1x4 in the baseline" in done.out.replace("\n", " ")
    assert analyze("check", "--update").status == 0


def test_a_reference_that_no_longer_builds(project, net, analyze):
    project('models = ["net.py:Net", "nin"]')
    net()
    analyze("check", "--update")
    Path("net.py").write_text("raise ValueError('no')\n")
    done = analyze("check")
    assert done.status == 2
    assert "net.py:Net raised ValueError: no" in done.err
    assert "cannot be counted" in done.out
    Path("net.py").unlink()
    assert "no file net.py" in analyze("check").err


def test_a_reference_without_inputs_is_told_of_the_function(project, net, analyze):
    project('models = ["net.py:Net"]')
    net()
    Path("net.py").write_text(Path("net.py").read_text().split("def Net_inputs")[0])
    done = analyze("check")
    assert done.status == 2
    assert "a check takes the inputs of the function NAME_inputs, or inputs, beside the model" in done.err


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
    (unknown,) = [v for v in verdicts(done) if v["metric"] == "unknown_ops" and v["mode"] == "inference"]
    assert (unknown["op"], unknown["before"], unknown["after"]) == ("macscope_check::odd", 1, 2)


# --- as a process ----------------------------------------------------------------------------------------------------
@pytest.mark.skipif(os.name != "posix", reason="pipes of a Unix")
@pytest.mark.parametrize(("before", "status"), [("nin", 0), ("nin@cccp1.out=95", 1)])
@pytest.mark.parametrize("form", ["table", "json", "junit"])
def test_a_closed_pipe_does_not_hide_a_failure(project, environment, before, status, form):
    root = project()
    keep("nin", before)
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
    keep("googlenet", "googlenet@inception_4a.reduce_5x5=15")
    keep("nin", "nin@cccp1.out=97")
    done = process("check", COLUMNS=str(width))
    assert done.status == 1
    assert max(map(len, done.out.splitlines())) <= width
    assert "reduce.conv" in done.out  # The end of a path tells more than its beginning.
