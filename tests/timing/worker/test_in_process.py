"""Modules in memory are sent to fresh processes; those that cannot be are timed in this one. They stay as they are."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analyzer
from analyzer.core.errors import AnalyzerError

SHORT = {"budget_s": 0.2, "threads": 1, "processes": 1}


def net():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2)).train()


@pytest.mark.slow
@pytest.mark.parametrize(("train", "sent"), [(False, False), (True, False), (True, True)])
def test_a_module_is_timed_and_left_as_it_was(train, sent):
    model = net()
    if not sent:
        model.scale = lambda x: x  # pickle refuses it.
    weights = [parameter.clone() for parameter in model.parameters()]
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    record = analyzer.measure(model, input="3x8x8", batch=2, train=train, **SHORT)
    assert record.measurement.pass_timing.median_s > 0
    warned = [warning for warning in record.measurement.warnings if "in this process" in warning]
    assert ["lambda" in warning for warning in warned] == [True] * (not sent)
    assert record.totals.macs == 2 * (4 * 36 * 27 + 144 * 2)
    assert {timing.path for timing in record.measurement.of("operator")} >= {"0", "3"}
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert model.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_a_sent_module_gets_its_arguments_and_ids_of_an_input_are_drawn(tmp_path, monkeypatch):
    (tmp_path / "asserting.py").write_text(ASSERTING, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from asserting import Net

    given = analyzer.measure(Net(7), torch.full((1, 4), 7), **SHORT)
    drawn = analyzer.measure(Net(None), input="4:int64<3", batch=2, **SHORT)
    for record in (given, drawn):
        assert record.measurement.pass_timing.median_s > 0
        assert not any("in this process" in warning for warning in record.measurement.warnings)


ASSERTING = """
import torch
class Net(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value
    def forward(self, x):
        if self.value is None:
            assert x.shape == (2, 4) and 0 <= x.min() and x.max() < 3
        else:
            assert x.tolist() == [[self.value] * 4]
        return x + 1.0
"""


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
