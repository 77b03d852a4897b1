"""Memory by liveness: by hand on a small network, and the closed form against the run on every variant."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from analyzer.counting.closed_form.formulas import count_steps
from analyzer.counting.closed_form.memory import peak_memory
from analyzer.counting.dispatch.memory import track_memory
from analyzer.models.builder import construct
from analyzer.networks import VARIANTS, find
from analyzer.networks.walk import walk

FLOAT = 4


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 7)).to("meta")


def test_inference_by_hand():
    """2 samples. While the second linear layer runs, its input and its output are alive; the first's output is gone."""
    found = track_memory(two_layers(), [torch.zeros(2, 3, device="meta")])
    assert found.parameters == FLOAT * (3 * 5 + 5 + 5 * 7 + 7)
    assert found.inputs == FLOAT * 2 * 3
    assert (found.activations, found.peak_path) == (FLOAT * 2 * (5 + 7), "2")
    assert (found.saved, found.gradients, found.buffers) == (0, 0, 0)
    assert found.peak == FLOAT * (3 * 5 + 5 + 5 * 7 + 7 + 2 * 3 + 2 * (5 + 7))
    made = {module.path: module.allocated for module in found.modules}
    assert made == {"0": FLOAT * 2 * 5, "1": FLOAT * 2 * 5, "2": FLOAT * 2 * 7}


def test_training_by_hand():
    found = track_memory(two_layers(), [torch.zeros(2, 3, device="meta")], train=True)
    # The sigmoid keeps its output, which the second layer keeps too; the first keeps only the input.
    assert found.saved == FLOAT * 2 * 5
    assert found.gradients == found.parameters == FLOAT * (3 * 5 + 5 + 5 * 7 + 7)
    assert [found.optimizer(name) for name in ("sgd", "momentum", "adam")] == [
        0,
        found.gradients,
        2 * found.gradients,
    ]


def test_frozen_parameters_have_no_gradient_and_no_optimizer_state():
    model = two_layers()
    model[0].requires_grad_(False)
    found = track_memory(model, [torch.zeros(2, 3, device="meta")], train=True)
    assert found.gradients == FLOAT * (5 * 7 + 7)
    assert found.optimizer("adam") == 2 * FLOAT * (5 * 7 + 7)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("size", "batch"), [(None, 1), (160, 3)])
def test_the_closed_form_is_the_run(name, size, batch):
    network = find(name)
    steps = walk(network, size and (3, size, size), batch=batch)
    params = count_steps(steps).totals.params
    source = torch.zeros(steps[0].inputs[0], device="meta")
    assert peak_memory(network, steps, params) == track_memory(construct(network, steps, train=False), [source])


def test_a_batch_scales_what_it_should():
    network = find("googlenet")
    one, eight = (peak_memory(network, walk(network, batch=batch), 0) for batch in (1, 8))
    assert eight.activations == 8 * one.activations
    assert eight.inputs == 8 * one.inputs
    # At norm2: its input, the padded square and their average, or three sums of 192x56x56 beside it.
    assert (one.peak_path, one.activations) == ("norm2", FLOAT * 192 * 56 * 56 * 4)
