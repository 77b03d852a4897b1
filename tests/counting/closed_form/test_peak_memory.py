"""Peak memory by hand on a small network, and the closed form against the dispatch counter on every variant."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from analyzer.counting.closed_form.formulas import count_steps
from analyzer.counting.closed_form.peak_memory import peak_memory
from analyzer.counting.dispatch.memory_by_liveness import track_memory
from analyzer.models.spec_to_module import construct
from analyzer.networks import VARIANTS, find
from analyzer.networks.walk import walk

FLOAT = 4


def two_layers() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 5), nn.Sigmoid(), nn.Linear(5, 7)).to("meta")


def test_inference_by_hand():
    """2 samples. While the second linear layer runs, its input and its output are alive; the first's output is gone."""
    tracked = track_memory(two_layers(), [torch.zeros(2, 3, device="meta")])
    assert tracked.parameters == FLOAT * (3 * 5 + 5 + 5 * 7 + 7)
    assert tracked.inputs == FLOAT * 2 * 3
    assert (tracked.activations, tracked.peak_path) == (FLOAT * 2 * (5 + 7), "2")
    assert (tracked.saved, tracked.gradients, tracked.buffers) == (0, 0, 0)
    assert tracked.peak == FLOAT * (3 * 5 + 5 + 5 * 7 + 7 + 2 * 3 + 2 * (5 + 7))
    allocated = {module.path: module.allocated for module in tracked.modules}
    assert allocated == {"0": FLOAT * 2 * 5, "1": FLOAT * 2 * 5, "2": FLOAT * 2 * 7}


def test_training_by_hand():
    tracked = track_memory(two_layers(), [torch.zeros(2, 3, device="meta")], train=True)
    # The sigmoid keeps its output, which the second layer keeps too; the first keeps only the input.
    assert tracked.saved == FLOAT * 2 * 5
    assert tracked.gradients == tracked.parameters == FLOAT * (3 * 5 + 5 + 5 * 7 + 7)
    # Adam counts the steps of each of the four tensors in a float32.
    states = {name: optimizer.state for name, optimizer in tracked.optimizers.items()}
    assert states["sgd"] == 0
    assert states["momentum"] == tracked.gradients
    assert states["adam"] == states["adamw"] == 2 * tracked.gradients + FLOAT * 4


def test_frozen_parameters_have_no_gradient_and_no_optimizer_state():
    model = two_layers()
    model[0].requires_grad_(False)
    tracked = track_memory(model, [torch.zeros(2, 3, device="meta")], train=True)
    assert tracked.gradients == FLOAT * (5 * 7 + 7)
    assert tracked.optimizers["adam"].state == 2 * FLOAT * (5 * 7 + 7) + FLOAT * 2


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize(("size", "batch"), [(None, 1), (160, 3)])
def test_the_closed_form_equals_the_dispatch_counter(name, size, batch):
    network = find(name)
    steps = walk(network, size and (3, size, size), batch=batch)
    params = count_steps(steps).totals.params
    source = torch.zeros(steps[0].inputs[0], device="meta")
    assert peak_memory(network, steps, params) == track_memory(construct(network, steps, train=False), [source])


def test_a_batch_scales_activations_and_inputs():
    network = find("googlenet")
    single, eight = (peak_memory(network, walk(network, batch=batch), 0) for batch in (1, 8))
    assert eight.activations == 8 * single.activations
    assert eight.inputs == 8 * single.inputs
    # At norm2: its input, the padded square and their average, or three sums of 192x56x56 in addition.
    assert (single.peak_path, single.activations) == ("norm2", FLOAT * 192 * 56 * 56 * 4)
