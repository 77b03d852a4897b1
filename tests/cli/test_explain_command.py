from __future__ import annotations

import json
from math import prod

import pytest


@pytest.mark.parametrize("metric", ["params", "macs", "flops", "activations", "traffic"])
def test_terms_multiply_to_the_values_in_json(analyze, metric):
    outcome = analyze("explain", "googlenet", "--module", "inception_4a", "--metric", metric, "--format", "json")
    data = json.loads(outcome.out)
    assert outcome.status == 0
    assert data["value"] == sum(row["value"] for row in data["rows"]) > 0
    for row in data["rows"]:
        assert row["value"] == sum(prod(size for _, size in term["factors"]) for term in row["terms"])


def test_an_unknown_module_and_two_models_are_bad_input(analyze):
    assert analyze("explain", "googlenet", "--module", "inception_9z").status == 2
    assert analyze("explain", "googlenet", "nin").status == 2
    assert analyze("explain").status == 2
