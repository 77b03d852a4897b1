from __future__ import annotations

import csv
import io
import json

import pytest

import analyzer


def test_formulas_and_values_in_json(analyze):
    outcome = analyze("scale", "googlenet", "--over", "height=width", "--at", "192..256:32", "--format", "json")
    assert outcome.status == 0
    data = json.loads(outcome.out)
    assert data["axes"] == [{"name": "height", "sizes": ["height", "width"], "present": 224}]
    formula = data["ranges"][0]["formulas"]["macs"]
    # 1024 · 1000 in the last layer; the rest is 32,278,528 / 32² per pixel.
    assert formula["terms"] == [
        {"powers": {"height": 0}, "coefficient": "1024000"},
        {"powers": {"height": 2}, "coefficient": "31522"},
    ]
    assert 32_278_528 == 31_522 * 32**2
    assert [row["height"] for row in data["values"]] == [192, 224, 256]
    for row in data["values"]:
        assert row["macs"] == eval(formula["python"], {"height": row["height"]})
        size = row["height"]
        assert row["macs"] == analyzer.count("googlenet", input=(3, size, size)).totals.macs


def test_csv_has_plain_integers(analyze):
    outcome = analyze(
        "scale", "nin", "--over", "batch", "--at", "1,8", "--metric", "macs,params", "--format", "csv", "--train"
    )
    (header, *rows) = csv.reader(io.StringIO(outcome.out))
    assert header == ["batch", "macs", "params"]
    assert [int(value) for value in rows[1]] == [8, 8 * int(rows[0][1]), int(rows[0][2])]


@pytest.mark.parametrize("form", ["table", "md", "latex"])
def test_texts_have_the_formula(analyze, form):
    out = analyze("scale", "googlenet", "--metric", "macs", "--format", form).out
    assert ("32{,}278{,}528" if form == "latex" else "32,278,528") in out


def test_a_size_that_the_model_refuses_is_named_and_the_others_are_shown(analyze):
    outcome = analyze("scale", "googlenet", "--over", "height=width", "--at", "8,224", "--format", "json")
    assert outcome.status == 0
    assert "height 8" in outcome.err
    data = json.loads(outcome.out)
    assert data["status"] == "partial"
    assert "error" in data["values"][0]
    refused = analyze("scale", "googlenet", "--over", "height=width", "--at", "8,9")
    assert (refused.status, refused.out) == (2, "")
    assert "accepts is 31" in refused.err
    assert refused.err.count("\n") == 1


def test_what_fits_a_memory(analyze):
    outcome = analyze(
        "scale",
        "alexnet",
        "--over",
        "batch,height=width",
        "--against",
        "2GB",
        "--at",
        "batch=1,512",
        "--format",
        "json",
    )
    data = json.loads(outcome.out)
    batch, size = data["memory"]["largest"]["batch"], data["memory"]["largest"]["height"]
    assert not batch["may_be_larger"]
    for fits, extra in ((True, 0), (False, 1)):
        peak = analyzer.count("alexnet", batch=batch["size"] + extra, memory=True).memory.peak
        assert (peak <= 2 * 10**9) == fits
        side = size["size"] + 32 * extra
        assert (analyzer.count("alexnet", input=(3, side, side), memory=True).memory.peak <= 2 * 10**9) == fits
    # Convolutions and fully connected layers have all MACs.
    for row in data["values"]:
        assert sum(row["macs_by_operator"].values()) == row["macs"]


def test_the_table_has_the_share_of_each_operator(analyze):
    out = analyze("scale", "alexnet", "--over", "height=width", "--metric", "macs", "--at", "227,355").out
    convolutions = sum(row.macs for row in analyzer.count("alexnet").rows if row.op == "conv2d")
    share = convolutions / analyzer.count("alexnet").totals.macs
    (line,) = [line for line in out.split("kind of operator")[1].splitlines() if line.startswith("227")]
    assert line.split()[1] == f"{100 * share:.1f}"


def test_a_page_has_a_chart_per_metric_and_the_shares(analyze, tmp_path):
    file = tmp_path / "costs.html"
    outcome = analyze("scale", "alexnet", "--over", "batch,height=width", "--metric", "macs,params", "--against", "2GB",
                      "--at", "height=227..355:64", "--at", "batch=1,8", "-o", str(file))  # fmt: skip
    assert outcome.status == 0
    page = file.read_text(encoding="utf-8")
    assert [f'id="chart-scale-{name}"' in page for name in ("params", "macs", "shares", "flops")] == [True] * 3 + [
        False
    ]
    assert "batch 8" in page


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "give a model"),
        (["googlenet", "nin"], "one model"),
        (["googlenet", "--over", "depth"], "depth"),
        (["googlenet", "--over", "batch", "--at", "height=8"], "height"),
        (["googlenet", "--over", "batch", "--at", "8..1"], "empty"),
        (["googlenet", "--at", "8"], "which size"),
        (["googlenet", "--metric", "mac"], "macs"),
        (["googlenet", "--metric", "cache_bytes"], "KV cache"),
        (["googlenet", "--module", "inception_9z"], "inception_9z"),
        (["googlenet", "--module", "inception_4a", "--memory"], "--memory"),
        (["googlenet", "--module", "inception_4a", "--against", "24GB"], "--against"),
        (["googlenet", "--against", "24XB"], "24XB"),
        (["googlenet", "--against", "abacus"], "abacus"),
        (["googlenet", "--against", "EPYC 7763"], "no published size of memory"),
        (["googlenet", "--format", "html"], "--at"),
        (["googlenet", "--over", "height=width", "--input", "3x224x256"], "height 224, width 256"),
        (["googlenet", "--at", "batch=1..5000", "--at", "height=1..5000"], "combinations"),
    ],
)
def test_bad_input_is_one_line(analyze, arguments, word):
    outcome = analyze("scale", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert word in outcome.err
    assert outcome.err.count("\n") == 1
