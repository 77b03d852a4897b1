"""Attention by every road, and recurrent layers: the same multiply-adds whichever operators torch chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from analyzer.counting.execution.count_any_model import count_model
from analyzer.records.rows import Count
from tests.counting.operators.calls import Calls, learned

PLACES = pytest.mark.parametrize("on", ["meta", "real"])
BATCH, HEADS, LENGTH, SOURCE, WIDTH = 2, 4, 5, 7, 8
SOFTMAX = 5
SCORES = BATCH * HEADS * LENGTH * SOURCE


def check(
    model: nn.Module, args: Any, macs: int, backward: int, kwargs: Any = None, on: Any = ("meta", "real")
) -> Count:
    """The figures in each place, in training and not, and the same rows in every place. Returns the last count."""
    for train in (False, True):
        counts = [count_model(model, args, kwargs, train=train, on=place).count for place in on]
        for count in counts:
            assert (count.totals.macs, count.totals.backward_macs) == (macs, backward if train else None)
            assert count.unknown_ops == {}
        assert all(count.rows == counts[0].rows for count in counts)
    return counts[-1]


def operands(value: int = WIDTH, heads: int = HEADS) -> tuple[Tensor, Tensor, Tensor]:
    return (
        learned(BATCH, HEADS, LENGTH, WIDTH),
        learned(BATCH, heads, SOURCE, WIDTH),
        learned(BATCH, heads, SOURCE, value),
    )


def flops(model: nn.Module, args: Any) -> int:
    return count_model(model, args, train=False, on="meta").count.totals.flops


# --- scaled dot product ----------------------------------------------------------------------------------------------
attend = F.scaled_dot_product_attention
KINDS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], int, int]] = {
    # Function, inputs, the values' width, operations per score in addition to the softmax.
    "plain": (attend, operands(), WIDTH, 1),
    "values of another width": (attend, operands(3), 3, 1),
    "causal": (lambda q, k, v: attend(q, k, v, is_causal=True), operands(), WIDTH, 2),
    "an added mask": (lambda q, k, v, m: attend(q, k, v, attn_mask=m), (*operands(), torch.zeros(5, 7)), WIDTH, 2),
    "a boolean mask": (
        lambda q, k, v, m: attend(q, k, v, attn_mask=m),
        (*operands(), torch.ones(5, 7, dtype=torch.bool)),
        WIDTH,
        2,
    ),
    "dropout": (lambda q, k, v: attend(q, k, v, dropout_p=0.3), operands(), WIDTH, 1),
    "grouped keys": (lambda q, k, v: attend(q, k, v, enable_gqa=True), operands(heads=2), WIDTH, 1),
    "another scale": (lambda q, k, v: attend(q, k, v, scale=0.5), operands(), WIDTH, 1),
}


@pytest.mark.parametrize("name", KINDS)
def test_scaled_dot_product_attention(name):
    """Q · Kᵀ and P · V; backward dV, dP, dQ and dK: twice that."""
    function, args, value, _ = KINDS[name]
    check(Calls(function), args, SCORES * (WIDTH + value), 2 * SCORES * (WIDTH + value))


@pytest.mark.parametrize("name", KINDS)
def test_its_flops(name):
    function, args, value, extra = KINDS[name]
    assert flops(Calls(function), args) == 2 * SCORES * (WIDTH + value) + SCORES * (SOFTMAX + extra)


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_every_backend_of_the_processor(backend):
    def function(*args: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return attend(*args)

    check(Calls(function), operands(), SCORES * 2 * WIDTH, 2 * SCORES * 2 * WIDTH)


@pytest.mark.parametrize("operator", ["flash_attention_for_cpu", "attention_math"])
def test_backends_called_by_their_own_names(operator):
    function = getattr(torch.ops.aten, f"_scaled_dot_product_{operator}")
    check(Calls(lambda *args: function(*args)[0]), operands(), SCORES * 2 * WIDTH, 2 * SCORES * 2 * WIDTH)


def test_attention_without_a_batch():
    args = learned(HEADS, LENGTH, WIDTH), learned(HEADS, SOURCE, WIDTH), learned(HEADS, SOURCE, 3)
    macs = HEADS * LENGTH * SOURCE * (WIDTH + 3)
    check(Calls(attend), args, macs, 2 * macs)


# --- flex attention --------------------------------------------------------------------------------------------------
def causal(batch: Any, head: Any, query: Any, key: Any) -> Any:
    return query >= key


def nearer(score: Any, batch: Any, head: Any, query: Any, key: Any) -> Any:
    return score + query - key


SQUARE = (learned(2, 4, 16, 8), learned(2, 4, 16, 8), learned(2, 4, 16, 8))
FLEX: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], int]] = {
    "plain": (flex_attention, SQUARE, 0),
    "a function of the scores": (lambda *args: flex_attention(*args, score_mod=nearer), SQUARE, 1),
    "grouped keys": (
        lambda *args: flex_attention(*args, enable_gqa=True),
        (SQUARE[0], learned(2, 2, 16, 8), learned(2, 2, 16, 8)),
        0,
    ),
    "a mask of blocks, whole": (
        lambda q, k, v: flex_attention(q, k, v, block_mask=create_block_mask(causal, 2, 4, 16, 16, device=q.device)),
        SQUARE,
        1,
    ),
}


@pytest.mark.parametrize("name", FLEX)
def test_flex_attention(name):
    """A higher-order operator: counted under its name, as attention, also under autograd, where the CPU has none."""
    function, args, extra = FLEX[name]
    scores = 2 * 4 * 16 * 16
    for train in (False, True):
        counts = [count_model(Calls(function), args, train=train, on=on).count for on in ("meta", "real")]
        for count in counts:
            (row,) = [row for row in count.rows if row.macs]
            assert (row.op, row.macs, row.outputs[0]) == ("flex_attention", scores * (8 + 8), (2, 4, 16, 8))
            assert row.flops == 2 * row.macs + scores * (1 + SOFTMAX + extra)
            assert row.backward_macs == (2 * row.macs if train else None)
            assert count.unknown_ops == {}
        assert [row for row in counts[0].rows if row.macs] == [row for row in counts[1].rows if row.macs]


def test_a_block_mask_made_beforehand():
    """The mask is on the CPU: its blocks have values on meta too."""
    mask = create_block_mask(causal, None, None, 16, 16, device="cpu")
    counted = count_model(Calls(lambda *args: flex_attention(*args, block_mask=mask)), SQUARE, train=True)
    assert counted.count.totals.macs == 2 * 4 * 16 * 16 * 16
    assert counted.count.totals.backward_macs == 2 * counted.count.totals.macs


def test_flex_attention_is_itself_again_afterwards():
    from torch.nn.attention import flex_attention as module

    before = dict(vars(module))
    count_model(Calls(flex_attention), SQUARE, train=True)
    assert {name: value for name, value in vars(module).items() if before.get(name) is not value} == {}


# --- multi-head attention and transformers ---------------------------------------------------------------------------
E = 16
PROJECTED = (2 * BATCH * LENGTH + 2 * BATCH * SOURCE) * E * E  # Query and output; key and value.
MIXED = 2 * BATCH * LENGTH * SOURCE * E  # All heads together are as wide as the model.
SELF_ATTENTION = 4 * BATCH * LENGTH * E * E + 2 * BATCH * LENGTH * LENGTH * E
FEED = 32


def x(length: int = LENGTH, width: int = E) -> Tensor:
    return learned(BATCH, length, width)


@pytest.mark.parametrize("settings", [{}, {"need_weights": False}, {"average_attn_weights": False}])
def test_multi_head_attention(settings):
    model = nn.MultiheadAttention(E, 4, batch_first=True)
    check(model, (x(), x(SOURCE), x(SOURCE)), PROJECTED + MIXED, 2 * (PROJECTED + MIXED), settings)
    same = x()
    check(model, (same, same, same), SELF_ATTENTION, 2 * SELF_ATTENTION, settings)


def test_multi_head_attention_time_first():
    """The projections in are one product; data gets no gradient through them, and the scores do."""
    model, source = nn.MultiheadAttention(E, 4), torch.zeros(LENGTH, BATCH, E)
    check(model, (source, source, source), SELF_ATTENTION, 2 * SELF_ATTENTION - 3 * BATCH * LENGTH * E * E)


def test_multi_head_attention_of_other_widths():
    """Keys 6 wide, values 7 wide, and one more of each that is learned."""
    model = nn.MultiheadAttention(E, 4, batch_first=True, kdim=6, vdim=7, add_bias_kv=True)
    macs = 2 * BATCH * LENGTH * E * E + BATCH * SOURCE * (6 + 7) * E + 2 * BATCH * LENGTH * (SOURCE + 1) * E
    count = check(model, (x(), x(SOURCE, 6), x(SOURCE, 7)), macs, 2 * macs)
    assert count.totals.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer(norm_first, activation):
    model = nn.TransformerEncoderLayer(E, 4, FEED, activation=activation, batch_first=True, norm_first=norm_first)
    macs = SELF_ATTENTION + 2 * BATCH * LENGTH * E * FEED
    check(model, (x(),), macs, 2 * macs)
    tokens, scores = BATCH * LENGTH, BATCH * 4 * LENGTH * LENGTH
    biases = tokens * (4 * E + FEED + E)
    # Scale and softmax of the scores; two norms; two residuals; one activation. No dropout at inference.
    assert flops(model, (x(),)) == 2 * macs + biases + 6 * scores + 2 * 6 * tokens * E + 2 * tokens * E + tokens * FEED


def test_an_encoder_in_eval_has_no_fused_path_to_hide_in():
    layer = nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True)
    model = nn.TransformerEncoder(layer, 3).eval()
    macs = 3 * (SELF_ATTENTION + 2 * BATCH * LENGTH * E * FEED)
    check(model, (x(),), macs, 2 * macs)
    with torch.no_grad():
        assert count_model(model, (torch.zeros(BATCH, LENGTH, E),), on="real").count.totals.macs == macs
    assert torch.backends.mha.get_fastpath_enabled()
    assert not model.training


def test_padding_counts_as_data():
    """torch's fused path would leave padded tokens out; here padding is counted, as everywhere."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True), 2).eval()
    padded = torch.tensor([[False] * LENGTH, [False] * 3 + [True] * 2])
    macs = 2 * (SELF_ATTENTION + 2 * BATCH * LENGTH * E * FEED)
    check(model, (x(),), macs, 2 * macs, {"src_key_padding_mask": padded})


def test_a_decoder_layer():
    model = nn.TransformerDecoderLayer(E, 4, FEED, batch_first=True)
    macs = SELF_ATTENTION + PROJECTED + MIXED + 2 * BATCH * LENGTH * E * FEED
    check(model, (x(), x(SOURCE)), macs, 2 * macs)
    check(nn.TransformerDecoder(model, 2).eval(), (x(), x(SOURCE)), 2 * macs, 4 * macs)


def test_the_whole_transformer():
    model = nn.Transformer(E, 4, 1, 1, FEED, batch_first=True)
    encoder = 4 * BATCH * SOURCE * E * E + 2 * BATCH * SOURCE * SOURCE * E + 2 * BATCH * SOURCE * E * FEED
    decoder = SELF_ATTENTION + PROJECTED + MIXED + 2 * BATCH * LENGTH * E * FEED
    check(model, (x(SOURCE), x()), encoder + decoder, 2 * (encoder + decoder))


class Fused(nn.Module):
    """The operators of torch's fast path, called by hand."""

    def __init__(self, layer: bool) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True)
        self.whole = layer

    def forward(self, source: Tensor) -> Tensor:
        layer = self.layer
        attention = layer.self_attn
        weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
        if not self.whole:
            return torch._native_multi_head_attention(source, source, source, E, 4, *weights)[0]
        norms = (layer.norm1.weight, layer.norm1.bias, layer.norm2.weight, layer.norm2.bias)
        feed = (layer.linear1.weight, layer.linear1.bias, layer.linear2.weight, layer.linear2.bias)
        return torch._transformer_encoder_layer_fwd(source, E, 4, *weights, False, False, 1e-5, *norms, *feed)


@pytest.mark.parametrize("whole", [False, True])
def test_fused_operators_cost_what_they_replace(whole):
    source = torch.zeros(BATCH, LENGTH, E)
    meta, real = (count_model(Fused(whole), (source,), on=on).count for on in ("meta", "real"))
    assert meta.rows == real.rows
    assert real.totals.macs == SELF_ATTENTION + (2 * BATCH * LENGTH * E * FEED if whole else 0)
    plain = Fused(whole).eval().layer
    if whole:
        assert real.totals.flops == flops(plain, (source,))
    else:
        # Taken apart, weights asked for: their mean over heads is an operation a score, and queries are scaled instead.
        scores, queries = BATCH * 4 * LENGTH * LENGTH, BATCH * LENGTH * E
        assert real.totals.flops == flops(plain.self_attn, (source,) * 3) - scores - queries + scores


# --- recurrent layers ------------------------------------------------------------------------------------------------
INPUT, HIDDEN, STEPS, SAMPLES = 5, 6, 7, 3
RECURRENT = {"lstm": (nn.LSTM, 4), "gru": (nn.GRU, 3), "rnn": (nn.RNN, 1)}


def layers_macs(gates: int, layers: int, directions: int, projection: int = 0, steps: int = STEPS * SAMPLES) -> int:
    """A matrix for the input and one for the state, each applied once per step and sample; a projection is a third."""
    output, macs = projection or HIDDEN, 0
    for layer in range(layers):
        width = INPUT if layer == 0 else directions * output
        macs += directions * (gates * HIDDEN * (width + output) + projection * HIDDEN)
    return steps * macs


def states(layers: int, output: int = HIDDEN) -> Tensor:
    return learned(layers, SAMPLES, output)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (2, 2)])
def test_recurrent_layers(name, layers, directions):
    """With a first state that learns every product has two gradients."""
    kind, gates = RECURRENT[name]
    first = states(layers * directions)
    model = kind(INPUT, HIDDEN, layers, bidirectional=directions == 2)
    macs = layers_macs(gates, layers, directions)
    args = (learned(STEPS, SAMPLES, INPUT), (first, states(layers * directions)) if name == "lstm" else first)
    count = check(model, args, macs, 2 * macs)
    assert [(row.path, row.op) for row in count.rows] == [("", name)]
    assert count.totals.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", RECURRENT)
def test_the_first_state_of_zeros_needs_no_gradient(name):
    """Then the state's matrix hands nothing on at the first step: a product less for every sample."""
    kind, gates = RECURRENT[name]
    macs = layers_macs(gates, 1, 1)
    check(kind(INPUT, HIDDEN), (learned(STEPS, SAMPLES, INPUT),), macs, 2 * macs - SAMPLES * gates * HIDDEN * HIDDEN)


@pytest.mark.parametrize("bias", [True, False])
def test_an_lstm_with_projections(bias):
    model = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True, proj_size=4, bias=bias)
    macs = layers_macs(4, 2, 2, 4)
    args = (learned(STEPS, SAMPLES, INPUT), (states(4, 4), states(4)))
    check(model, args, macs, 2 * macs)


def test_batch_first_without_bias_and_without_a_batch():
    batch_first = nn.LSTM(INPUT, HIDDEN, bias=False, batch_first=True)
    count = count_model(batch_first, (learned(SAMPLES, STEPS, INPUT),), on="meta").count
    assert count.totals.macs == layers_macs(4, 1, 1)
    alone = count_model(nn.LSTM(INPUT, HIDDEN), (learned(STEPS, INPUT),), on="meta").count
    assert alone.totals.macs == layers_macs(4, 1, 1, steps=STEPS)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_flops(name):
    """Gates with activations and the new state, in addition to two biases per gate."""
    kind, gates = RECURRENT[name]
    each = {"lstm": 4 + 4 + 3 + 2, "gru": 3 + 3 + 1 + 4, "rnn": 1 + 1}[name]
    steps = STEPS * SAMPLES
    expected = 2 * layers_macs(gates, 1, 1) + steps * (2 * gates * HIDDEN + each * HIDDEN)
    assert flops(kind(INPUT, HIDDEN), (learned(STEPS, SAMPLES, INPUT),)) == expected


class Packs(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.inner = kind(INPUT, HIDDEN, 2, bidirectional=True)

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(source, lengths, enforce_sorted=False)
        return pad_packed_sequence(self.inner(packed)[0])[0]


@pytest.mark.parametrize("name", RECURRENT)
def test_packed_sequences_leave_padding_out(name):
    """Lengths 2, 7 and 4: thirteen steps in all. Lengths are values, so it runs on real tensors, with a note."""
    kind, gates = RECURRENT[name]
    counted = count_model(Packs(kind), (learned(STEPS, SAMPLES, INPUT), torch.tensor([2, 7, 4])), train=True)
    macs = layers_macs(gates, 2, 2, steps=2 + 7 + 4)
    assert counted.count.totals.macs == macs
    # Chains of states begin at zeros and hand no gradient on there: forwards with all samples, backwards with the
    # longest alone, which the others join later.
    assert counted.count.totals.backward_macs == 2 * macs - 2 * (SAMPLES + 1) * gates * HIDDEN * HIDDEN
    assert "counted on real tensors" in counted.notes[0]


CELLS = {"lstm_cell": (nn.LSTMCell, 4), "gru_cell": (nn.GRUCell, 3), "rnn_cell": (nn.RNNCell, 1)}


@pytest.mark.parametrize("name", CELLS)
def test_cells(name):
    kind, gates = CELLS[name]
    macs = SAMPLES * gates * HIDDEN * (INPUT + HIDDEN)
    state = learned(SAMPLES, HIDDEN)
    args = (learned(SAMPLES, INPUT), (state, learned(SAMPLES, HIDDEN)) if name == "lstm_cell" else state)
    count = check(kind(INPUT, HIDDEN), args, macs, 2 * macs)
    assert [(row.op, row.call) for row in count.rows] == [(name, 1)]


@PLACES
def test_kernels_of_a_library_are_switched_on_again(on):
    before = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    count_model(nn.LSTM(INPUT, HIDDEN), (learned(STEPS, SAMPLES, INPUT),), train=True, on=on)
    after = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    assert after == before
