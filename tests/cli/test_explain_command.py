from __future__ import annotations

import json
from math import prod

import pytest


@pytest.mark.parametrize("metric", ["params", "macs", "flops", "activations", "traffic", "bytes_read", "bytes_written"])
def test_terms_multiply_to_the_values_in_json(analyze, metric):
    outcome = analyze("explain", "googlenet", "--module", "inception_4a", "--metric", metric, "--format", "json")
    data = json.loads(outcome.out)
    assert outcome.status == 0
    assert data["value"] == sum(row["value"] for row in data["rows"]) > 0
    for row in data["rows"]:
        assert row["value"] == sum(prod(size for _, size in term["factors"]) for term in row["terms"])


def test_the_module_is_an_argument_or_an_option(analyze):
    outcome = analyze("explain", "googlenet", "inception_4a.branch_5x5")
    assert outcome.out == analyze("explain", "googlenet", "--module", "inception_4a.branch_5x5").out
    assert outcome.out == analyze("explain", "--variant", "googlenet", "--module", "inception_4a.branch_5x5").out
    assert "48 · 14 · 14 · 16" in " ".join(outcome.out.split())


def test_the_gradients_of_weights_and_input_cost_a_forward_pass_each(analyze):
    outcome = analyze("explain", "googlenet", "conv2", "--metric", "step_macs", "--train", "--format", "json")
    (row,) = json.loads(outcome.out)["rows"]
    # 56 · 56 outputs of 192 channels, each 3 · 3 · 64 products; the forward pass and two gradients.
    assert row["value"] == 3 * (56 * 56 * 192 * 3 * 3 * 64)
    ((forward_and_gradients, *_),) = (term["factors"] for term in row["terms"])
    assert forward_and_gradients == ["forward and gradients", 3]


def test_the_terms_of_the_peak_of_memory(analyze):
    data = json.loads(analyze("explain", "alexnet", "--metric", "peak_memory", "--format", "json").out)
    sizes = {row["name"]: row["value"] for row in data["rows"]}
    assert sizes["inputs"] == 4 * 3 * 227 * 227
    assert data["value"] == sum(sizes.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ["googlenet", "inception_9z"],
        ["googlenet", "nin"],
        ["googlenet", "conv1", "--module", "conv1"],
        ["googlenet", "--metric", "step_macs"],
        ["googlenet", "conv1", "--metric", "peak_memory"],
        ["googlenet", "--metric", "seconds"],
        [],
    ],
)
def test_bad_input_is_one_line(analyze, arguments):
    outcome = analyze("explain", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
