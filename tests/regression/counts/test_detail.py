"""Baselines with less detail: smaller, and still exact about every layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.check_all_models import snapshots
from analyzer.regression.counts.compare_with_baseline import LAYERS, compare
from analyzer.regression.counts.models_to_check import count_candidate
from analyzer.regression.counts.snapshot import reduced
from tests.regression.snapshots import layer, model

BEFORE = model(layer("a.x", macs=10, params=3), layer("a.y", macs=20), layer("b.z", macs=5))
SETTINGS = 'models = ["nin", "googlenet"]\n'


def outcomes(detail, *layers, tolerance=0.0):
    check = compare(
        "net", "inference", reduced(BEFORE, detail), model(*layers), tolerance=lambda metric: tolerance
    )  # fmt: skip
    return {(c.path, c.metric): c.outcome for c in check.changes if c.differs}


@pytest.mark.parametrize("detail", ["modules", "totals"])
def test_every_variant_survives_the_round_trip(detail):
    before = {name: snapshots(count_candidate(name, Path.cwd()), detail) for name in VARIANTS}
    loaded = baseline_json.load(baseline_json.dump(before))
    for name, modes in before.items():
        for mode, snapshot in modes.items():
            layers = tuple(sorted(snapshot.layers, key=lambda layer: layer.key))
            assert loaded[name][mode] == snapshot.replace(layers=layers)
            assert loaded[name][mode].totals == snapshots(count_candidate(name, Path.cwd()))[mode].totals


@pytest.mark.parametrize("detail", ["modules", "totals"])
def test_equal_and_renamed_layers_are_no_change(detail):
    assert outcomes(detail, *BEFORE.layers) == {}
    renamed = layer("a.first", macs=10, params=3), *reversed(BEFORE.layers[1:])
    assert outcomes(detail, *renamed) == {}


def test_modules_show_which_module_grew():
    grown = layer("a.x", macs=10, params=3), layer("a.y", macs=21), layer("b.z", macs=5)
    assert outcomes("modules", *grown) == {("total", "macs"): "regressed", ("a", "macs"): "regressed"}
    assert outcomes("totals", *grown) == {("total", "macs"): "regressed"}


@pytest.mark.parametrize("tolerance", [0.0, 0.5])
@pytest.mark.parametrize("detail", ["modules", "totals"])
def test_layers_that_change_while_their_sum_does_not_are_detected(detail, tolerance):
    shifted = layer("a.x", macs=11, params=3), layer("a.y", macs=19), layer("b.z", macs=5)
    outcome = "unchanged" if tolerance else "regressed"
    assert outcomes(detail, *shifted, tolerance=tolerance) == {("total", LAYERS): outcome}


def test_detail_by_model_in_a_project(project, analyze):
    root = project(SETTINGS + 'detail = { "*" = "modules", nin = "totals" }')
    assert analyze("check", "--update").status == 0
    assert analyze("check", "--strict").status == 0
    models = json.loads((root / "analyzer-baseline.json").read_text())["models"]
    assert models["nin"]["inference"]["detail"] == "totals"
    paths = {entry["path"] for entry in models["googlenet"]["inference"]["layers"]}
    assert "inception_4a.branch_5x5.reduce" in paths or "inception_4a.branch_5x5" in paths
    stored = (root / "analyzer-baseline.json").read_text().replace('"digest": "', '"digest": "f', 1)
    (root / "analyzer-baseline.json").write_text(stored)
    done = analyze("check")
    assert done.status == 1
    assert "sums are equal" in " ".join(done.out.split())


def test_totals_are_a_small_part_of_a_baseline(project, analyze):
    root = project(SETTINGS)
    sizes = []
    for detail in ("layers", "modules", "totals"):
        project(SETTINGS + f'detail = "{detail}"')
        assert analyze("check", "--update").status == 0
        sizes.append((root / "analyzer-baseline.json").stat().st_size)
    assert sizes[0] > 1.3 * sizes[1] > 10 * sizes[2]
