"""Recurrent layers in training: products over all steps have the MACs and gradients of the steps themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from analyzer.counting.execution.count_any_model import count_model

KINDS = [("LSTM", 0), ("LSTM", 3), ("GRU", 0), ("RNN", 0)]


class Part(nn.Module):
    """A recurrent layer of which one result is used: all steps, or the last hidden or cell state."""

    def __init__(self, layer: nn.Module, part: str) -> None:
        super().__init__()
        self.layer, self.part = layer, part

    def forward(self, *args):
        output, states = self.layer(*args)
        if self.part == "output":
            return output if isinstance(output, Tensor) else output.data
        return states if isinstance(states, Tensor) else states[self.part == "cell"]


def layer(kind: str, projection: int, **settings) -> nn.Module:
    return getattr(nn, kind)(5, 4, **({"proj_size": projection} if projection else {}), **settings)


def totals(model: nn.Module, args) -> list[tuple[int, int]]:
    results = [count_model(model, args, train=True, on=on).count.totals for on in ("meta", "real")]
    return [(result.macs, result.backward_macs) for result in results]


@pytest.mark.parametrize(("kind", "projection"), KINDS)
@pytest.mark.parametrize("part", ["output", "hidden", "cell"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_meta_and_real_tensors_agree(kind, projection, part, packed, frozen, given):
    model = Part(layer(kind, projection, num_layers=2, bidirectional=True, batch_first=True, dropout=0.5), part)
    if frozen:
        model.layer.weight_ih_l0.requires_grad_(False)
        model.layer.bias_ih_l0.requires_grad_(False)
    source = torch.zeros(3, 4, 5)
    args = [pack_padded_sequence(source, [4, 3, 1], batch_first=True) if packed else source]
    if given:
        states = [torch.zeros(4, 3, projection or 4, requires_grad=True), torch.zeros(4, 3, 4, requires_grad=True)]
        args.append(tuple(states) if kind == "LSTM" else states[0])
    on_meta, real = totals(model, args)
    assert on_meta == real


def test_the_arithmetic_of_a_layer():
    """6 steps of 2 samples. Forward 12 * 16 * (5 + 4); backward the inputs' matrix 12 * 80, the states' matrix 12 * 64,
    and the states but the first, 10 * 64."""
    on_meta, real = totals(nn.LSTM(5, 4), [torch.zeros(6, 2, 5)])
    assert on_meta == real == (12 * 16 * 9, 12 * 80 + 12 * 64 + 10 * 64)


def test_one_step_has_no_state_with_a_gradient():
    on_meta, real = totals(nn.GRU(5, 4), [torch.zeros(1, 2, 5)])
    assert on_meta == real == (2 * 12 * 9, 2 * 12 * 9)


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells_in_a_loop_agree(kind):
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = getattr(nn, kind)(5, 4)

        def forward(self, source: Tensor) -> Tensor:
            state = None
            for row in source:
                state = self.cell(row, state)
            return state if isinstance(state, Tensor) else state[0]

    on_meta, real = totals(Loop(), [torch.zeros(3, 2, 5)])
    assert on_meta == real
