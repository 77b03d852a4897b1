"""The baseline file: round trip, sorted text, atomic writes; files that are not baselines raise an error and are
kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.check_all_models import snapshots
from analyzer.regression.counts.models_to_check import count_candidate
from tests.regression.snapshots import layer, model

NAME = "analyzer-baseline.json"
BASELINE = {"net": {"inference": model(layer("b", macs=2), layer("a", macs=1)), "training": model(mode="training")}}


# --- round trip ------------------------------------------------------------------------------------------------------
def test_every_variant_survives_the_round_trip():
    before = {name: snapshots(count_candidate(name, Path.cwd())) for name in VARIANTS}
    loaded = baseline_json.load(baseline_json.dump(before))
    for name, modes in before.items():
        for mode, snapshot in modes.items():
            layers = tuple(sorted(snapshot.layers, key=lambda layer: layer.key))
            assert loaded[name][mode] == snapshot.replace(layers=layers)


def test_the_text_does_not_depend_on_the_order():
    other = {"net": dict(reversed([*BASELINE["net"].items()]))}
    other["net"]["inference"] = model(layer("a", macs=1), layer("b", macs=2))
    assert baseline_json.dump(other) == baseline_json.dump(BASELINE)
    assert baseline_json.dump({"b": {}, "a": {}}) == baseline_json.dump({"a": {}, "b": {}})


def test_each_layer_is_a_line():
    assert '{"path": "a", "op": "conv2d", "call": 1, "macs": 1},' in baseline_json.dump(BASELINE)


# --- invalid baselines ----------------------------------------------------------------------------------------------
def damage(change) -> str:
    data = json.loads(baseline_json.dump(BASELINE))
    change(data)
    return json.dumps(data)


def inference(data):
    return data["models"]["net"]["inference"]


DAMAGED = {
    "wrong total": lambda d: inference(d)["totals"].update(macs=4),
    "missing layer": lambda d: inference(d)["layers"].pop(),
    "repeated layer": lambda d: inference(d)["layers"].append(inference(d)["layers"][0]),
    "wrong operators": lambda d: inference(d)["operators"].update(relu=1),
    "count as text": lambda d: inference(d)["layers"][0].update(macs="1"),
    "negative count": lambda d: inference(d)["layers"][0].update(macs=-1),
    "unknown metric": lambda d: inference(d)["layers"][0].update(mac=0),
    "boolean count": lambda d: inference(d)["totals"].update(peak_memory=True),
    "no layers": lambda d: inference(d).pop("layers"),
    "layers as a number": lambda d: inference(d).update(layers=5),
    "unknown mode": lambda d: d["models"]["net"].update(testing=inference(d)),
    "models as a list": lambda d: d.update(models=[1]),
    "missing path": lambda d: inference(d)["layers"][0].update(path=None),
    "unknown operator without calls": lambda d: inference(d).update(unknown_ops={"odd": None}),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_baseline_is_refused_by_name(case):
    with pytest.raises(AnalyzerError, match=r"^the baseline x\.json is damaged .*; analyze check --update") as caught:
        baseline_json.load(damage(DAMAGED[case]), "x.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", [0, 3, "1", 1.5, True, [1]])
def test_an_unknown_version_is_refused(version):
    with pytest.raises(AnalyzerError, match="schema version"):
        baseline_json.load(damage(lambda d: d.update(schema_version=version)), "x.json")


def test_version_1_is_read():
    assert baseline_json.load(damage(lambda d: d.update(schema_version=1)), "x.json") == baseline_json.load(
        baseline_json.dump(BASELINE)
    )


MERGED = baseline_json.dump(BASELINE).replace('  "net"', '<<<<<<< ours\n  "net"')


@pytest.mark.parametrize(
    ("text", "words"),
    [(MERGED, "--resolve"), (baseline_json.dump(BASELINE)[:-40], "is not JSON")],
    ids=["conflict", "cut off"],
)
def test_a_baseline_that_is_no_longer_json_is_replaced_by_an_update_of_all_models(project, analyze, text, words):
    root = project()
    (root / NAME).write_text(text)
    done = analyze("check")
    assert done.status == 2
    assert done.err.count("\n") == 1
    assert words in done.err
    partial = analyze("check", "--variant", "nin", "--update")  # Would lose the other models.
    assert (partial.status, (root / NAME).read_text()) == (2, text)
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0


@pytest.mark.parametrize("text", ["[project]\nname = 1\n", "[]", '{"schema_version": 1, "records": []}', "", "null"])
def test_another_file_is_never_overwritten(project, analyze, text):
    root = project()
    (root / "other").write_text(text)
    for arguments in ((), ("--update",), ("--update", "--variant", "nin")):
        done = analyze("check", "--baseline", "other", *arguments)
        assert (done.status, done.err.count("\n")) == (2, 1)
        assert "name another file with --baseline" in done.err
        assert (root / "other").read_text() == text


def test_a_repeated_key_is_refused():
    with pytest.raises(AnalyzerError, match="repeated"):
        baseline_json.load('{\n "schema_version": 1, "models": {}, "models": {}}', "x.json")


# --- writing ---------------------------------------------------------------------------------------------------------
def test_an_interrupted_update_keeps_the_old_file(project, analyze, monkeypatch):
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


def test_a_file_that_cannot_be_written(project, analyze):
    root = project('models = ["nin"]\nbaseline = "none/such.json"')
    done = analyze("check", "--update")
    assert done.status == 2
    assert "cannot write 'none/such.json'" in done.err
    assert done.err.count("\n") == 1
    (root / "folder").mkdir()
    assert analyze("check", "--baseline", "folder").status == 2


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="file locks of Unix")
def test_concurrent_updates_lose_no_model(project, environment):
    """Ten processes each read, change and write the file."""
    root = project()
    command = [sys.executable, "-m", "analyzer", "check", "--update", "--variant"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    running = [subprocess.Popen([*command, name], cwd=root, env=environment, **quiet) for name in VARIANTS]
    for process in running:
        with process.stderr:
            assert process.wait(120) == 0, process.stderr.read()
    assert sorted(baseline_json.read(root / NAME, NAME)) == sorted(VARIANTS)
    assert sorted(path.name for path in root.iterdir()) == [NAME, "pyproject.toml"]


def test_an_update_without_changes_does_not_write(project, analyze):
    root = project()
    assert "wrote analyzer-baseline.json" in analyze("check", "--update").err
    stamp = (root / NAME).stat().st_mtime_ns
    assert "analyzer-baseline.json is up to date" in analyze("check", "--update").err
    assert (root / NAME).stat().st_mtime_ns == stamp
