"""Peers inside this process, on small models with the arithmetic written out.

fvcore and torch's tools are always installed; tests of the other peers are skipped where they are not.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from analyzer.counting.execution.count_any_model import count_model
from analyzer.reconcile.explain import Explanation, explain
from analyzer.reconcile.module_tracking import named_arguments, named_modules_with_repeats, positional_arguments
from analyzer.reconcile.peer_task import ModelCall, run_peer
from analyzer.reconcile.peers import PEERS

# The peers call what newer torch and Python deprecate.
pytestmark = pytest.mark.filterwarnings("ignore")
CORE = ("fvcore", "FlopCounterMode", "profiler")


def reconciled(peer: str, model: nn.Module, *args: torch.Tensor, **kwargs: torch.Tensor) -> Explanation:
    """One peer's result, explained. In every test of this file nothing remains unexplained."""
    if peer not in CORE:
        pytest.importorskip(PEERS[peer].package, reason=f"{peer} is not installed; pip install '.[peers]'")
    rows = count_model(model.eval(), args, kwargs, train=False).count.rows
    explanation = explain(run_peer(peer, ModelCall(model.eval(), list(args), kwargs)), PEERS[peer], rows)
    assert explanation.result.total == sum(row.figure for row in explanation.result.rows)
    assert (explanation.unexplained, explanation.unexplained_modules) == (0, ())
    return explanation


def causes(explanation: Explanation) -> dict[tuple[str, str], float]:
    """(what, operator) → MACs."""
    return {(cause.what, cause.op): cause.macs for cause in explanation.causes}


# A convolution with batch norm and ReLU, then a linear layer


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 16, 5)
    )


IMAGE = torch.zeros(2, 3, 8, 8)
CONV, POSITIONS, LINEAR = 2 * 4 * 8 * 8 * 3 * 9, 2 * 4 * 8 * 8, 2 * 64 * 5
PLAIN: dict[str, dict[tuple[str, str], int]] = {
    "fvcore": {("counts norms", "batch_norm"): 2 * POSITIONS},
    "FlopCounterMode": {},
    "profiler": {},
    "ptflops": {
        ("counts bias", "conv2d"): POSITIONS,
        ("counts bias", "linear"): 2 * 5,
        ("counts norms", "batch_norm"): 2 * POSITIONS,
        ("counts activations", "relu"): POSITIONS,
        ("counts pools", "max_pool2d"): POSITIONS,
        ("counted twice", "relu"): POSITIONS,
        ("counted twice", "max_pool2d"): POSITIONS,
        # Figures of its hooks are divided by the batch size, those of its patched functions are not.
        ("counts one sample", "batch"): -(CONV + POSITIONS + LINEAR + 10 + 4 * POSITIONS) // 2,
    },
    "thop": {("counts norms", "batch_norm"): 4 * POSITIONS},
    "torchinfo": {
        ("counts bias", "conv2d"): POSITIONS,
        ("counts bias", "linear"): 2 * 5,
        ("counts norms", "batch_norm"): 2 * (4 + 4),  # The batch times its parameters.
    },
    "calflops": {},
    "deepspeed": {},
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_plain_network(peer):
    explanation = reconciled(peer, plain(), IMAGE)
    assert causes(explanation) == PLAIN[peer]
    assert explanation.macs == CONV + LINEAR + sum(PLAIN[peer].values())
    assert explanation.result.total == explanation.macs * PEERS[peer].per_mac


# A transposed convolution: 4 x 4 becomes 8 x 8


UP = 1 * 6 * 4 * 4 * 5 * 2 * 2
TRANSPOSED = {
    "fvcore": {},
    "FlopCounterMode": {},
    "profiler": {("skipped", "conv_transpose2d"): -UP},
    "ptflops": {("counts bias", "conv_transpose2d"): 5 * 8 * 8},
    "thop": {("by the output's side", "conv_transpose2d"): 3 * UP},
    "torchinfo": {("by the output's side", "conv_transpose2d"): 3 * UP, ("counts bias", "conv_transpose2d"): 5 * 8 * 8},
    "calflops": {},
    "deepspeed": {},
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_transposed_convolution(peer):
    model = nn.Sequential(nn.ConvTranspose2d(6, 5, 2, stride=2))
    assert causes(reconciled(peer, model, torch.zeros(1, 6, 4, 4))) == TRANSPOSED[peer]


# Attention: the projection is a module, the rest a function


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24, bias=False)

    def forward(self, x):
        query, key, value = self.qkv(x).reshape(x.shape[0], x.shape[1], 3, 2, 4).permute(2, 0, 3, 1, 4)
        return F.scaled_dot_product_attention(query, key, value)


TOKENS = torch.zeros(1, 5, 8)
SCORES = 2 * 5 * 5  # heads, queries, keys
SKIPPED_ATTENTION = {("skipped", "scaled_dot_product_attention"): -SCORES * (4 + 4)}


@pytest.mark.parametrize("peer", ["fvcore", "profiler", "ptflops", "thop", "calflops"])
def test_attention_is_skipped(peer):
    assert causes(reconciled(peer, Attention(), TOKENS)) == SKIPPED_ATTENTION


def test_torchinfo_counts_a_linear_layer_once_per_sample():
    wanted = {**SKIPPED_ATTENTION, ("once a sample", "linear"): 8 * 24 - 5 * 8 * 24}
    assert causes(reconciled("torchinfo", Attention(), TOKENS)) == wanted


def test_flop_counter_mode_may_see_attention():
    """By the operator that torch chooses on this machine; either way nothing is unexplained."""
    assert causes(reconciled("FlopCounterMode", Attention(), TOKENS)) in ({}, SKIPPED_ATTENTION)


def test_ptflops_counts_multi_head_attention_as_a_whole():
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(self, x):
            return self.heads(x, x, x, need_weights=False)[0]

    assert causes(reconciled("ptflops", Heads(), TOKENS)) == {
        ("counts bias", "linear"): 4 * 5 * 8,
        ("counts softmax", "scaled_dot_product_attention"): SCORES,
        ("counts scaling", "scaled_dot_product_attention"): 5 * 8,
    }


@pytest.mark.parametrize("peer", PEERS)
def test_an_encoder_layer_leaves_nothing_unexplained(peer):
    """Fused where gradients are off, separate operators where they are on."""
    reconciled(peer, nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), 1), TOKENS)


# Recurrent layers


STEPS = torch.zeros(2, 3, 4)
MATRICES, BIASES, UNITS = 24 * 4 + 24 * 6, 24 + 24, 6
LSTM = {
    "fvcore": {("skipped", "lstm"): -6 * MATRICES},
    "ptflops": {("counts bias", "lstm"): 6 * BIASES, ("counts gates", "lstm"): 6 * 10 * UNITS},
    "thop": {("counts bias", "lstm"): 6 * BIASES, ("counts gates", "lstm"): 6 * 8 * UNITS},
    "torchinfo": {("counts bias", "lstm"): 6 * BIASES},
    "calflops": {("skipped", "lstm"): -6 * MATRICES},
    "deepspeed": {("skipped", "lstm"): -6 * MATRICES},
}


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


@pytest.mark.parametrize("peer", LSTM)
def test_an_lstm(peer):
    explanation = causes(reconciled(peer, Recurrent(), STEPS))
    explanation.pop(("counts one sample", "batch"), None)
    assert explanation == LSTM[peer]


@pytest.mark.parametrize("peer", ["FlopCounterMode", "profiler"])
def test_a_decomposed_lstm_is_the_same_work(peer):
    """Without oneDNN's fused layer the steps are ordinary products, which both tools count."""
    with torch.backends.mkldnn.flags(enabled=False):
        explanation = causes(reconciled(peer, Recurrent(), STEPS))
    assert not [what for what, _ in explanation if what != "counts elementwise"]


# Shared modules


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.Linear(6, 6, bias=False)
        self.first, self.second = nn.Sequential(layer), nn.Sequential(layer)

    def forward(self, x):
        return self.second(self.first(x))


SHARED = {
    **dict.fromkeys(("fvcore", "FlopCounterMode", "profiler", "torchinfo", "deepspeed"), 0),
    **dict.fromkeys(("ptflops", "calflops"), 2 * 36),  # Both calls, summed under both parents.
    "thop": 3 * 2 * 36,  # And two hooks, so that each call counts twice.
}


@pytest.mark.parametrize("peer", PEERS)
def test_a_shared_module(peer):
    explanation = reconciled(peer, Shared(), torch.zeros(1, 6))
    assert causes(explanation) == ({("counted twice", "linear"): SHARED[peer]} if SHARED[peer] else {})


# Helpers


def test_the_model_is_left_unchanged():
    model = plain().eval()
    before = [set(vars(module)) for module in model.modules()], F.relu, torch.matmul
    hooks: Callable[[], list[int]] = lambda: [len(module._forward_hooks) for module in model.modules()]  # noqa: E731
    for peer in CORE:
        reconciled(peer, model, IMAGE)
    assert ([set(vars(module)) for module in model.modules()], F.relu, torch.matmul) == before
    assert not any(hooks())


class Named(nn.Module):
    def forward(self, x, scale=None, *, flag=False):
        return x if scale is None else x * scale


def test_named_arguments_in_order():
    x, scale = torch.zeros(1), torch.ones(1)
    assert positional_arguments(Named(), [x], {"scale": scale}) == (x, scale)
    assert positional_arguments(Named(), [x], {}) == (x,)
    with pytest.raises(TypeError, match="only positional arguments"):
        positional_arguments(Named(), [x], {"flag": True})


def test_arguments_by_name():
    x, scale = torch.zeros(1), torch.ones(1)
    assert named_arguments(Named(), [x], {"scale": scale}) == {"x": x, "scale": scale}
    with pytest.raises(TypeError, match="no names"):
        named_arguments(Many(), [x, scale], {})


class Many(nn.Module):
    def forward(self, *tensors):
        return tensors


def test_a_shared_module_is_visited_under_each_parent():
    assert [path for path, _ in named_modules_with_repeats(Shared())] == ["", "first", "first.0", "second", "second.0"]
