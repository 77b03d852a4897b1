"""The baseline there and back, sorted, whole or not at all; what is no baseline is refused and left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline
from analyzer.regression.counts.candidates import counted
from analyzer.regression.counts.result import snapshots
from tests.regression.made import layer, model

NAME = "analyzer-baseline.json"
OURS = {"net": {"inference": model(layer("b", macs=2), layer("a", macs=1)), "training": model(mode="training")}}


# --- there and back --------------------------------------------------------------------------------------------------
def test_every_variant_comes_back_equal():
    before = {name: snapshots(counted(name, Path.cwd())) for name in VARIANTS}
    found = baseline.load(baseline.dump(before))
    for name, modes in before.items():
        for mode, one in modes.items():
            layers = tuple(sorted(one.layers, key=lambda layer: layer.key))
            assert found[name][mode] == one.replace(layers=layers)


def test_the_text_is_sorted_and_the_same_whatever_the_order():
    other = {"net": dict(reversed([*OURS["net"].items()]))}
    other["net"]["inference"] = model(layer("a", macs=1), layer("b", macs=2))
    assert baseline.dump(other) == baseline.dump(OURS)
    assert baseline.dump({"b": {}, "a": {}}) == baseline.dump({"a": {}, "b": {}})


def test_a_layer_is_a_line():
    assert '{"path": "a", "op": "conv2d", "call": 1, "macs": 1},' in baseline.dump(OURS)


# --- what is no baseline ---------------------------------------------------------------------------------------------
def broken(change) -> str:
    data = json.loads(baseline.dump(OURS))
    change(data)
    return json.dumps(data)


def inference(data):
    return data["models"]["net"]["inference"]


DAMAGED = {
    "a sum that does not fit": lambda d: inference(d)["totals"].update(macs=4),
    "a layer less": lambda d: inference(d)["layers"].pop(),
    "a layer twice": lambda d: inference(d)["layers"].append(inference(d)["layers"][0]),
    "kinds that do not fit": lambda d: inference(d)["operators"].update(relu=1),
    "a figure that is none": lambda d: inference(d)["layers"][0].update(macs="1"),
    "a negative figure": lambda d: inference(d)["layers"][0].update(macs=-1),
    "an unknown figure": lambda d: inference(d)["layers"][0].update(mac=0),
    "a truth for a number": lambda d: inference(d)["totals"].update(peak_memory=True),
    "no layers": lambda d: inference(d).pop("layers"),
    "layers that are none": lambda d: inference(d).update(layers=5),
    "another mode": lambda d: d["models"]["net"].update(testing=inference(d)),
    "models that are none": lambda d: d.update(models=[1]),
    "a path that is none": lambda d: inference(d)["layers"][0].update(path=None),
    "an unknown operator without calls": lambda d: inference(d).update(unknown_ops={"odd": None}),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_one_is_refused_by_name(case):
    with pytest.raises(AnalyzerError, match=r"^the baseline x\.json is damaged .*; analyze check --update") as caught:
        baseline.load(broken(DAMAGED[case]), "x.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, 2, "1", 1.5, True, [1]])
def test_another_schema_is_refused_by_its_number(version):
    with pytest.raises(AnalyzerError, match=r"has schema version .*, and this analyze reads 1"):
        baseline.load(broken(lambda d: d.update(schema_version=version)), "x.json")


MERGED = baseline.dump(OURS).replace('  "net"', '<<<<<<< ours\n  "net"')


@pytest.mark.parametrize("text", [MERGED, baseline.dump(OURS)[:-40]], ids=["conflict", "cut off"])
def test_a_broken_one_stays_ours_and_an_update_writes_it_again(project, analyze, text):
    root = project()
    (root / NAME).write_text(text)
    done = analyze("check")
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert "is not JSON" in done.err
    part = analyze("check", "--variant", "nin", "--update")  # That would lose the other models.
    assert (part.status, (root / NAME).read_text()) == (2, text)
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0


@pytest.mark.parametrize("text", ["[project]\nname = 1\n", "[]", '{"schema_version": 1, "records": []}', "", "null"])
def test_somebody_elses_file_is_never_written_over(project, analyze, text):
    root = project()
    (root / "other").write_text(text)
    for arguments in ((), ("--update",), ("--update", "--variant", "nin")):
        done = analyze("check", "--baseline", "other", *arguments)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert "name another file with --baseline" in done.err
        assert (root / "other").read_text() == text


def test_a_key_that_is_there_twice():
    with pytest.raises(AnalyzerError, match="a key is there twice"):
        baseline.load('{\n "schema_version": 1, "models": {}, "models": {}}', "x.json")


# --- nothing is lost -------------------------------------------------------------------------------------------------
def test_an_interrupted_update_leaves_what_was_there(project, analyze, monkeypatch):
    root = project()
    assert analyze("check", "--update").status == 0
    before = (root / NAME).read_bytes()
    project('models = ["nin", "alexnet"]')

    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    assert analyze("check", "--update").status == 130
    assert (root / NAME).read_bytes() == before
    assert sorted(path.name for path in root.iterdir()) == [NAME, "pyproject.toml"]


def test_a_place_that_cannot_be_written(project, analyze):
    root = project('models = ["nin"]\nbaseline = "none/such.json"')
    done = analyze("check", "--update")
    assert done.status == 2
    assert (
        done.err
        == "analyze: cannot write 'none/such.json': No such file or directory; name another file with --baseline\n"
    )
    (root / "folder").mkdir()
    assert analyze("check", "--baseline", "folder").status == 2


@pytest.mark.skipif(os.name != "posix", reason="locks of a Unix")
def test_updates_at_once_lose_no_model(project, environment):
    """Each of ten processes reads, changes and writes the file; all ten models are in it at the end."""
    root = project()
    command = [sys.executable, "-m", "analyzer", "check", "--update", "--variant"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([*command, name], cwd=root, env=environment, **quiet) for name in VARIANTS]
    for one in running:
        with one.stderr:
            assert one.wait(120) == 0, one.stderr.read()
    found = baseline.read(root / NAME, NAME)
    assert sorted(found) == sorted(VARIANTS)
    assert sorted(path.name for path in root.iterdir()) == [NAME, "pyproject.toml"]


def test_equal_counts_are_not_written_again(project, analyze):
    root = project()
    assert "wrote analyzer-baseline.json" in analyze("check", "--update").err
    stamp = (root / NAME).stat().st_mtime_ns
    assert "analyzer-baseline.json says so already" in analyze("check", "--update").err
    assert (root / NAME).stat().st_mtime_ns == stamp
