"""Modules that exist only in this process are timed in it, and stay as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analyzer
from analyzer.core.errors import AnalyzerError

SHORT = {"budget_s": 0.2, "threads": 1}


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).train()


@pytest.mark.slow
@pytest.mark.parametrize("train", [False, True])
def test_a_module_is_timed_and_left_as_it_was(train):
    model = net()
    weights = [parameter.clone() for parameter in model.parameters()]
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    record = analyzer.measure(model, input="3x8x8", batch=2, train=train, **SHORT)
    assert record.measurement.pass_timing.median_s > 0
    assert any("in this process" in warning for warning in record.measurement.warnings)
    assert record.totals.macs == 2 * (4 * 36 * 27 + 144 * 2)
    assert {timing.path for timing in record.measurement.of("operator")} >= {"0", "3"}
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_arguments_keep_their_values():
    seen = []

    class Watch(nn.Module):
        def forward(self, x, scale):
            seen.append((float(x.sum()), scale.tolist()))
            return x * scale.sum()

    analyzer.measure(Watch(), torch.full((1, 4), 2.0), {"scale": torch.tensor([3, 3])}, **SHORT)
    assert {value for value, _ in seen} == {8.0}
    assert {tuple(scale) for _, scale in seen} == {(3, 3)}


@pytest.mark.parametrize(
    ("model", "arguments"),
    [
        (3, {}),
        (nn.Linear, {}),
        ("nin", {"args": (torch.zeros(1),)}),
        (net(), {"args": (torch.zeros(1, 3, 8, 8),), "input": "3x8x8"}),
        (net(), {"args": (torch.zeros(1, 3, 8, 8),), "batch": 2}),
        (net(), {"args": (torch.zeros(1, 5, 8, 8),)}),
    ],
)
def test_bad_arguments(model, arguments):
    with pytest.raises(AnalyzerError):
        analyzer.measure(model, **arguments, **SHORT)


def test_a_module_that_cannot_be_copied():
    class Held(nn.Module):
        def __deepcopy__(self, memo):
            raise RuntimeError("held")

    with pytest.raises(AnalyzerError, match="by reference"):
        analyzer.measure(Held(), torch.zeros(1), **SHORT)
