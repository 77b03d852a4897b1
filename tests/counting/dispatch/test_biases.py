"""Which parameters are biases: recurrent layers and attention name theirs differently."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import analyzer
from analyzer.counting.dispatch.module_names import is_bias

PAIR = torch.zeros(5, 2, 6)


def biases(module: nn.Module, *args: torch.Tensor) -> int:
    rows = analyzer.count(module, args).rows
    weights, biases_ = sum(row.weights for row in rows), sum(row.biases for row in rows)
    assert weights + biases_ == sum(parameter.numel() for parameter in module.parameters())
    return biases_


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_recurrent_layers(kind, gates):
    """`bias_ih_l0` and `bias_hh_l0`: one per gate and hidden unit, per layer and direction."""
    assert biases(kind(6, 8), PAIR) == 2 * gates * 8
    assert biases(kind(6, 8, num_layers=3, bidirectional=True), PAIR) == 3 * 2 * 2 * gates * 8
    assert biases(kind(6, 8, bias=False), PAIR) == 0


def test_a_projection_has_no_bias():
    assert biases(nn.LSTM(6, 8, proj_size=4), PAIR) == 2 * 4 * 8


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
def test_recurrent_cells(kind, gates):
    """`bias_ih` and `bias_hh`."""
    assert biases(kind(6, 8), PAIR[0]) == 2 * gates * 8


def test_attention():
    """`in_proj_bias` for queries, keys and values; that of the output; `bias_k` and `bias_v` are a key and a value."""
    assert biases(nn.MultiheadAttention(6, 2), PAIR, PAIR, PAIR) == 3 * 6 + 6
    assert biases(nn.MultiheadAttention(6, 2, add_bias_kv=True), PAIR, PAIR, PAIR) == 3 * 6 + 6 + 2 * 6
    assert biases(nn.MultiheadAttention(6, 2, bias=False), PAIR, PAIR, PAIR) == 0


def test_a_transformer_layer():
    """Attention 4 x 6, two linear layers 10 + 6, two norms 6 each."""
    assert biases(nn.TransformerEncoderLayer(6, 2, dim_feedforward=10).eval(), PAIR) == 4 * 6 + 10 + 6 + 2 * 6


@pytest.mark.parametrize(
    "name", ["bias", "conv.bias", "rnn.bias_ih_l0", "rnn.bias_hh_l1_reverse", "a.in_proj_bias", "a.bias_k"]
)
def test_names_of_biases(name):
    assert is_bias(name)


@pytest.mark.parametrize(
    "name", ["weight", "bias.weight", "rnn.weight_ih_l0", "rnn.weight_hr_l0", "biased.scale", "unbiased"]
)
def test_names_of_others(name):
    assert not is_bias(name)
