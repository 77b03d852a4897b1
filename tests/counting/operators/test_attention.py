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

from analyzer.counting.execution.run import count_model
from analyzer.records.record import Count

PLACES = pytest.mark.parametrize("on", ["meta", "real"])
BATCH, HEADS, LENGTH, SOURCE, WIDTH = 2, 4, 5, 7, 8
SOFTMAX = 5
SCORES = BATCH * HEADS * LENGTH * SOURCE


def learns(*shape: int) -> Tensor:
    return torch.zeros(shape, requires_grad=True)


class Does(nn.Module):
    """A function of its inputs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def held(
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


def fed(value: int = WIDTH, heads: int = HEADS) -> tuple[Tensor, Tensor, Tensor]:
    return learns(BATCH, HEADS, LENGTH, WIDTH), learns(BATCH, heads, SOURCE, WIDTH), learns(BATCH, heads, SOURCE, value)


def flops(model: nn.Module, args: Any) -> int:
    return count_model(model, args, train=False, on="meta").count.totals.flops


# --- scaled dot product ----------------------------------------------------------------------------------------------
attend = F.scaled_dot_product_attention
KINDS: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], int, int]] = {
    # Function, inputs, the values' width, operations on a score beside the softmax.
    "plain": (attend, fed(), WIDTH, 1),
    "values of another width": (attend, fed(3), 3, 1),
    "causal": (lambda q, k, v: attend(q, k, v, is_causal=True), fed(), WIDTH, 2),
    "an added mask": (lambda q, k, v, m: attend(q, k, v, attn_mask=m), (*fed(), torch.zeros(5, 7)), WIDTH, 2),
    "a mask of truths": (
        lambda q, k, v, m: attend(q, k, v, attn_mask=m),
        (*fed(), torch.ones(5, 7, dtype=torch.bool)),
        WIDTH,
        2,
    ),
    "dropout": (lambda q, k, v: attend(q, k, v, dropout_p=0.3), fed(), WIDTH, 1),
    "grouped keys": (lambda q, k, v: attend(q, k, v, enable_gqa=True), fed(heads=2), WIDTH, 1),
    "a scale of one's own": (lambda q, k, v: attend(q, k, v, scale=0.5), fed(), WIDTH, 1),
}


@pytest.mark.parametrize("name", KINDS)
def test_scaled_dot_product_attention(name):
    """Q · Kᵀ and P · V; backward dV, dP, dQ and dK: twice that."""
    function, args, value, _ = KINDS[name]
    held(Does(function), args, SCORES * (WIDTH + value), 2 * SCORES * (WIDTH + value))


@pytest.mark.parametrize("name", KINDS)
def test_its_flops(name):
    function, args, value, extra = KINDS[name]
    assert flops(Does(function), args) == 2 * SCORES * (WIDTH + value) + SCORES * (SOFTMAX + extra)


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
def test_every_backend_of_the_processor(backend):
    def function(*args: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            return attend(*args)

    held(Does(function), fed(), SCORES * 2 * WIDTH, 2 * SCORES * 2 * WIDTH)


@pytest.mark.parametrize("operator", ["flash_attention_for_cpu", "attention_math"])
def test_backends_called_by_their_own_names(operator):
    function = getattr(torch.ops.aten, f"_scaled_dot_product_{operator}")
    held(Does(lambda *args: function(*args)[0]), fed(), SCORES * 2 * WIDTH, 2 * SCORES * 2 * WIDTH)


def test_attention_without_a_batch():
    args = learns(HEADS, LENGTH, WIDTH), learns(HEADS, SOURCE, WIDTH), learns(HEADS, SOURCE, 3)
    macs = HEADS * LENGTH * SOURCE * (WIDTH + 3)
    held(Does(attend), args, macs, 2 * macs)


# --- flex attention --------------------------------------------------------------------------------------------------
def causal(batch: Any, head: Any, query: Any, key: Any) -> Any:
    return query >= key


def nearer(score: Any, batch: Any, head: Any, query: Any, key: Any) -> Any:
    return score + query - key


SQUARE = (learns(2, 4, 16, 8), learns(2, 4, 16, 8), learns(2, 4, 16, 8))
FLEX: dict[str, tuple[Callable[..., Any], tuple[Tensor, ...], int]] = {
    "plain": (flex_attention, SQUARE, 0),
    "a function of the scores": (lambda *args: flex_attention(*args, score_mod=nearer), SQUARE, 1),
    "grouped keys": (
        lambda *args: flex_attention(*args, enable_gqa=True),
        (SQUARE[0], learns(2, 2, 16, 8), learns(2, 2, 16, 8)),
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
    """A higher-order operator: counted by its own name, as attention, also under autograd, where the CPU has none."""
    function, args, extra = FLEX[name]
    scores = 2 * 4 * 16 * 16
    for train in (False, True):
        counts = [count_model(Does(function), args, train=train, on=on).count for on in ("meta", "real")]
        for count in counts:
            (row,) = [row for row in count.rows if row.macs]
            assert (row.op, row.macs, row.outputs[0]) == ("flex_attention", scores * (8 + 8), (2, 4, 16, 8))
            assert row.flops == 2 * row.macs + scores * (1 + SOFTMAX + extra)
            assert row.backward_macs == (2 * row.macs if train else None)
            assert count.unknown_ops == {}
        assert [row for row in counts[0].rows if row.macs] == [row for row in counts[1].rows if row.macs]


def test_a_block_mask_made_beforehand():
    """It is on the CPU and its model on meta: counted on real tensors, and said so."""
    mask = create_block_mask(causal, None, None, 16, 16, device="cpu")
    found = count_model(Does(lambda *args: flex_attention(*args, block_mask=mask)), SQUARE, train=True)
    assert found.count.totals.macs == 2 * 4 * 16 * 16 * 16
    assert found.count.totals.backward_macs == 2 * found.count.totals.macs
    assert "counted on real tensors" in found.notes[0]


def test_flex_attention_is_itself_again_afterwards():
    from torch.nn.attention import flex_attention as module

    before = dict(vars(module))
    count_model(Does(flex_attention), SQUARE, train=True)
    assert {name: value for name, value in vars(module).items() if before.get(name) is not value} == {}


# --- multi-head attention and transformers ---------------------------------------------------------------------------
E = 16
PROJECTED = (2 * BATCH * LENGTH + 2 * BATCH * SOURCE) * E * E  # Query and output; key and value.
MIXED = 2 * BATCH * LENGTH * SOURCE * E  # All heads together are as wide as the model.
OWN = 4 * BATCH * LENGTH * E * E + 2 * BATCH * LENGTH * LENGTH * E
FEED = 32


def x(length: int = LENGTH, width: int = E) -> Tensor:
    return learns(BATCH, length, width)


@pytest.mark.parametrize("settings", [{}, {"need_weights": False}, {"average_attn_weights": False}])
def test_multi_head_attention(settings):
    model = nn.MultiheadAttention(E, 4, batch_first=True)
    held(model, (x(), x(SOURCE), x(SOURCE)), PROJECTED + MIXED, 2 * (PROJECTED + MIXED), settings)
    same = x()
    held(model, (same, same, same), OWN, 2 * OWN, settings)


def test_multi_head_attention_time_first():
    """The projections in are one product; data gets no gradient through them, and the scores do."""
    model, source = nn.MultiheadAttention(E, 4), torch.zeros(LENGTH, BATCH, E)
    held(model, (source, source, source), OWN, 2 * OWN - 3 * BATCH * LENGTH * E * E)


def test_multi_head_attention_of_other_widths():
    """Keys 6 wide, values 7 wide, and one more of each that is learned."""
    model = nn.MultiheadAttention(E, 4, batch_first=True, kdim=6, vdim=7, add_bias_kv=True)
    macs = 2 * BATCH * LENGTH * E * E + BATCH * SOURCE * (6 + 7) * E + 2 * BATCH * LENGTH * (SOURCE + 1) * E
    count = held(model, (x(), x(SOURCE, 6), x(SOURCE, 7)), macs, 2 * macs)
    assert count.totals.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_an_encoder_layer(norm_first, activation):
    model = nn.TransformerEncoderLayer(E, 4, FEED, activation=activation, batch_first=True, norm_first=norm_first)
    macs = OWN + 2 * BATCH * LENGTH * E * FEED
    held(model, (x(),), macs, 2 * macs)
    tokens, scores = BATCH * LENGTH, BATCH * 4 * LENGTH * LENGTH
    biases = tokens * (4 * E + FEED + E)
    # Scale and softmax of the scores; two norms; two residuals; one activation. No dropout at inference.
    assert flops(model, (x(),)) == 2 * macs + biases + 6 * scores + 2 * 6 * tokens * E + 2 * tokens * E + tokens * FEED


def test_an_encoder_in_eval_has_no_fused_path_to_hide_in():
    layer = nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True)
    model = nn.TransformerEncoder(layer, 3).eval()
    macs = 3 * (OWN + 2 * BATCH * LENGTH * E * FEED)
    held(model, (x(),), macs, 2 * macs)
    with torch.no_grad():
        assert count_model(model, (torch.zeros(BATCH, LENGTH, E),), on="real").count.totals.macs == macs
    assert torch.backends.mha.get_fastpath_enabled()
    assert not model.training


def test_padding_counts_as_data():
    """torch's fused path would leave padded tokens out; here padding is counted, as everywhere."""
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True), 2).eval()
    padded = torch.tensor([[False] * LENGTH, [False] * 3 + [True] * 2])
    macs = 2 * (OWN + 2 * BATCH * LENGTH * E * FEED)
    held(model, (x(),), macs, 2 * macs, {"src_key_padding_mask": padded})


def test_a_decoder_layer():
    model = nn.TransformerDecoderLayer(E, 4, FEED, batch_first=True)
    macs = OWN + PROJECTED + MIXED + 2 * BATCH * LENGTH * E * FEED
    held(model, (x(), x(SOURCE)), macs, 2 * macs)
    held(nn.TransformerDecoder(model, 2).eval(), (x(), x(SOURCE)), 2 * macs, 4 * macs)


def test_the_whole_transformer():
    model = nn.Transformer(E, 4, 1, 1, FEED, batch_first=True)
    encoder = 4 * BATCH * SOURCE * E * E + 2 * BATCH * SOURCE * SOURCE * E + 2 * BATCH * SOURCE * E * FEED
    decoder = OWN + PROJECTED + MIXED + 2 * BATCH * LENGTH * E * FEED
    held(model, (x(SOURCE), x()), encoder + decoder, 2 * (encoder + decoder))


class Fused(nn.Module):
    """The operators of torch's fast path, called by hand."""

    def __init__(self, layer: bool) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(E, 4, FEED, batch_first=True)
        self.whole = layer

    def forward(self, source: Tensor) -> Tensor:
        one = self.layer
        attention = one.self_attn
        weights = (attention.in_proj_weight, attention.in_proj_bias, attention.out_proj.weight, attention.out_proj.bias)
        if not self.whole:
            return torch._native_multi_head_attention(source, source, source, E, 4, *weights)[0]
        norms = (one.norm1.weight, one.norm1.bias, one.norm2.weight, one.norm2.bias)
        feed = (one.linear1.weight, one.linear1.bias, one.linear2.weight, one.linear2.bias)
        return torch._transformer_encoder_layer_fwd(source, E, 4, *weights, False, False, 1e-5, *norms, *feed)


@pytest.mark.parametrize("whole", [False, True])
def test_fused_operators_cost_what_they_replace(whole):
    source = torch.zeros(BATCH, LENGTH, E)
    meta, real = (count_model(Fused(whole), (source,), on=on).count for on in ("meta", "real"))
    assert meta.rows == real.rows
    assert real.totals.macs == OWN + (2 * BATCH * LENGTH * E * FEED if whole else 0)
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
    """A matrix for the input and one for the state, each applied once a step and sample; a projection is a third."""
    output, macs = projection or HIDDEN, 0
    for layer in range(layers):
        width = INPUT if layer == 0 else directions * output
        macs += directions * (gates * HIDDEN * (width + output) + projection * HIDDEN)
    return steps * macs


def states(layers: int, output: int = HIDDEN) -> Tensor:
    return learns(layers, SAMPLES, output)


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize(("layers", "directions"), [(1, 1), (2, 1), (2, 2)])
def test_recurrent_layers(name, layers, directions):
    """With a first state that learns every product has two gradients."""
    kind, gates = RECURRENT[name]
    first = states(layers * directions)
    model = kind(INPUT, HIDDEN, layers, bidirectional=directions == 2)
    macs = layers_macs(gates, layers, directions)
    args = (learns(STEPS, SAMPLES, INPUT), (first, states(layers * directions)) if name == "lstm" else first)
    count = held(model, args, macs, 2 * macs)
    assert [(row.path, row.op) for row in count.rows] == [("", name)]
    assert count.totals.params == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", RECURRENT)
def test_the_first_state_of_zeros_needs_no_gradient(name):
    """Then the state's matrix hands nothing on at the first step: a product less for every sample."""
    kind, gates = RECURRENT[name]
    macs = layers_macs(gates, 1, 1)
    held(kind(INPUT, HIDDEN), (learns(STEPS, SAMPLES, INPUT),), macs, 2 * macs - SAMPLES * gates * HIDDEN * HIDDEN)


@pytest.mark.parametrize("bias", [True, False])
def test_an_lstm_with_projections(bias):
    model = nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True, proj_size=4, bias=bias)
    macs = layers_macs(4, 2, 2, 4)
    args = (learns(STEPS, SAMPLES, INPUT), (states(4, 4), states(4)))
    held(model, args, macs, 2 * macs)


def test_batch_first_without_bias_and_without_a_batch():
    batch_first = nn.LSTM(INPUT, HIDDEN, bias=False, batch_first=True)
    count = count_model(batch_first, (learns(SAMPLES, STEPS, INPUT),), on="meta").count
    assert count.totals.macs == layers_macs(4, 1, 1)
    alone = count_model(nn.LSTM(INPUT, HIDDEN), (learns(STEPS, INPUT),), on="meta").count
    assert alone.totals.macs == layers_macs(4, 1, 1, steps=STEPS)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_flops(name):
    """Joined and squashed gates and the blend of the state, beside two biases a gate."""
    kind, gates = RECURRENT[name]
    each = {"lstm": 4 + 4 + 3 + 2, "gru": 3 + 3 + 1 + 4, "rnn": 1 + 1}[name]
    steps = STEPS * SAMPLES
    expected = 2 * layers_macs(gates, 1, 1) + steps * (2 * gates * HIDDEN + each * HIDDEN)
    assert flops(kind(INPUT, HIDDEN), (learns(STEPS, SAMPLES, INPUT),)) == expected


class Packs(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.inner = kind(INPUT, HIDDEN, 2, bidirectional=True)

    def forward(self, source: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(source, lengths, enforce_sorted=False)
        return pad_packed_sequence(self.inner(packed)[0])[0]


@pytest.mark.parametrize("name", RECURRENT)
def test_packed_sequences_leave_padding_out(name):
    """Lengths 2, 7 and 4: thirteen steps in all. Lengths are values, so it runs on real tensors and says so."""
    kind, gates = RECURRENT[name]
    found = count_model(Packs(kind), (learns(STEPS, SAMPLES, INPUT), torch.tensor([2, 7, 4])), train=True)
    macs = layers_macs(gates, 2, 2, steps=2 + 7 + 4)
    assert found.count.totals.macs == macs
    # Chains of states begin at zeros and hand no gradient on there: forwards with all samples, backwards with the
    # longest alone, which the others join later.
    assert found.count.totals.backward_macs == 2 * macs - 2 * (SAMPLES + 1) * gates * HIDDEN * HIDDEN
    assert "counted on real tensors" in found.notes[0]


CELLS = {"lstm_cell": (nn.LSTMCell, 4), "gru_cell": (nn.GRUCell, 3), "rnn_cell": (nn.RNNCell, 1)}


@pytest.mark.parametrize("name", CELLS)
def test_cells(name):
    kind, gates = CELLS[name]
    macs = SAMPLES * gates * HIDDEN * (INPUT + HIDDEN)
    state = learns(SAMPLES, HIDDEN)
    args = (learns(SAMPLES, INPUT), (state, learns(SAMPLES, HIDDEN)) if name == "lstm_cell" else state)
    count = held(kind(INPUT, HIDDEN), args, macs, 2 * macs)
    assert [(row.op, row.call) for row in count.rows] == [(name, 1)]


@PLACES
def test_kernels_of_a_library_are_switched_on_again(on):
    before = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    count_model(nn.LSTM(INPUT, HIDDEN), (learns(STEPS, SAMPLES, INPUT),), train=True, on=on)
    after = torch.backends.mkldnn.enabled, torch.backends.cudnn.enabled, torch.backends.mha.get_fastpath_enabled()
    assert after == before
