"""Dense blocks in training: every input of a concatenation gets a gradient, and the count is that of real tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from analyzer.counting.dispatch.concatenation import MIN_INPUTS
from analyzer.counting.execution.count_any_model import count_model

LAYERS = MIN_INPUTS + 4


class Dense(nn.Module):
    """Layer i has 2 + i inputs of one column each; `used` says which of the features reach the output."""

    def __init__(self, used: slice) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2 + index, 1, bias=False) for index in range(LAYERS))
        self.used = used

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.cat(features, 1)))
        return torch.cat(features[self.used], dim=1)


# Layers have 2 to LAYERS + 1 inputs, each a multiply-add for each of 3 samples; x itself needs no gradient.
FORWARD = 3 * sum(2 + index for index in range(LAYERS))


@pytest.mark.parametrize("used", [slice(None), slice(-1, None), slice(5, 6)])
def test_meta_and_real_tensors_agree(used):
    on_meta, real = (count_model(Dense(used), (torch.zeros(3, 2),), train=True, on=on).count for on in ("meta", "real"))
    assert on_meta.totals.macs == FORWARD
    assert [row.backward_macs for row in on_meta.rows] == [row.backward_macs for row in real.rows]


def test_the_arithmetic_of_a_dense_block():
    """Each layer's weight has as many MACs as the layer, and so have its inputs, but those of the first layer: x."""
    totals = count_model(Dense(slice(None)), (torch.zeros(3, 2),), train=True).count.totals
    assert (totals.macs, totals.backward_macs) == (FORWARD, 2 * FORWARD - 3 * 2)


def test_a_module_list_of_outputs_used_twice():
    class Twice(Dense):
        def forward(self, x: Tensor) -> Tensor:
            y = super().forward(x)
            return y + super().forward(x)

    on_meta, real = (
        count_model(Twice(slice(None)), (torch.zeros(3, 2),), train=True, on=on).count for on in ("meta", "real")
    )
    assert on_meta.totals == real.totals


class Stacked(nn.Module):
    """Layer i reads the sum of the outputs before it, so each stack of the first outputs gives them one gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        features = [x]
        for layer in self.layers:
            features.append(layer(torch.stack(features, 1).sum(1)))
        return features[-1]


def test_stacks_of_many_tensors():
    """A layer has 3 x 2 x 2 MACs, and twice as many backward; the first layer's input x needs no gradient."""
    on_meta, real = (count_model(Stacked(), (torch.zeros(3, 2),), train=True, on=on).count for on in ("meta", "real"))
    assert (on_meta.totals.macs, on_meta.totals.backward_macs) == (LAYERS * 12, 2 * LAYERS * 12 - 12)
    assert [row.backward_macs for row in on_meta.rows] == [row.backward_macs for row in real.rows]
