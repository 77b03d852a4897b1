"""Attention and recurrent cells: operators that consist of several products.

The same block costs the same MACs whichever operator torch chooses for it: fused, flash or decomposed.
"""

from __future__ import annotations

from math import prod

from analyzer.core.shapes import Shape
from analyzer.counting.operators.call import Call, Formula, Work, named, products

SOFTMAX = 5
NORM = 6
# Per hidden unit and step, in addition to the products; each gate is one addition and one activation. LSTM: 4 gates, 3
# for the cell state, 2 for the output. GRU: 3 gates, reset times candidate, 4 for the new state. RNN: one gate.
CELL_OPERATIONS = {"lstm": 4 + 4 + 3 + 2, "gru": 3 + 3 + 1 + 4, "rnn": 2}


def _attention(scores: int, query: Shape, value: Shape, extras: int = 0) -> Work:
    """Q · Kᵀ and P · V for each score, its scale, softmax and `extras`."""
    return products(scores * (query[-1] + value[-1]), scores * (1 + SOFTMAX + extras))


def attention(call: Call) -> Work:
    """softmax(Q · Kᵀ · scale) · V over (..., heads, length, width); a mask is one addition per score.

    Causal attention is counted whole. With grouped keys every query head does its own products. Batches and heads
    broadcast, so the scores are counted from the output.
    """
    query, key, value = call.args[:3]
    scores = prod(call.outputs[0][:-1]) * key[-2]
    masked = call.arg(3, "attn_mask") is not None or bool(call.arg(5, "is_causal", False))
    return _attention(scores, query, value, masked)


def flash_attention(call: Call) -> Work:
    """The fused operators of `scaled_dot_product_attention`; their arguments are in other positions."""
    query, key, value = call.args[:3]
    return _attention(prod(query[:-1]) * key[-2], query, value)


def flex_attention(call: Call) -> Work:
    """A block mask is counted whole, as a causal one is; it and a function of the scores are one operation each."""
    query, key, value, score, mask = call.args[:5]
    extras = sum(getattr(function, "__name__", "") not in ("_identity", "noop_mask") for function in (score, mask[-1]))
    return _attention(prod(query[:-1]) * key[-2], query, value, extras)


def flash_attention_backward(call: Call) -> Work:
    """dV = Pᵀ · dO, dP = dO · Vᵀ, dQ = dS · K, dK = dSᵀ · Q: twice the forward. Recomputed scores are not counted."""
    query, key, value = call.args[1:4]
    scores = prod(query[:-1]) * key[-2]
    return products(2 * scores * (query[-1] + value[-1]), 4 * scores)


def length_first_attention(first: int, offsets: int, backward: bool = False) -> Formula:
    """flash-attention's and xformers' kernels, over (batch, length, heads, width), or (tokens, heads, width) packed.

    `first` and `offsets` are the places of the query and of the query's offsets, after which come the key's offsets
    and the greatest lengths. A packed batch is counted as if each of its sequences had the greatest length.
    """

    def work(call: Call) -> Work:
        query, key, value = call.args[first : first + 3]
        packed = call.arg(offsets, "cum_seq_q")
        heads = query[-2]
        if isinstance(packed, tuple):
            longest_query, longest_key = call.args[offsets + 2 : offsets + 4]
            scores = (packed[0] - 1) * heads * longest_query * longest_key
        else:
            scores = query[0] * heads * query[1] * key[1]
        forward = _attention(scores, query, value)
        return products(2 * forward.macs, 4 * scores) if backward else forward

    return work


def native_multi_head_attention(call: Call) -> Work:
    """The fused `nn.MultiheadAttention`: three input projections, attention, output projection."""
    query, key, _, width = call.args[:4]
    batch, length, source = query[0], query[1], key[1]
    return _heads(batch, length, source, width, call.args[4], masked=call.arg(9, "mask") is not None)


def _heads(batch: int, length: int, source: int, width: int, heads: int, *, masked: bool) -> Work:
    tokens, sources = batch * length, batch * source
    project = (2 * tokens + 2 * sources) * width * width
    scores = batch * heads * length * source
    mixed = 2 * batch * length * source * width
    biases = (2 * tokens + 2 * sources) * width
    return products(project + mixed, biases + scores * (1 + SOFTMAX + masked))


def transformer_encoder_layer(call: Call) -> Work:
    """The fused `nn.TransformerEncoderLayer`: attention, two norms, two residuals, two linear layers, an activation."""
    batch, length, width = call.args[0]
    hidden = call.args[14][0]
    inner = _heads(batch, length, length, width, call.args[2], masked=call.arg(18, "mask") is not None)
    tokens = batch * length
    feed = products(2 * tokens * width * hidden, tokens * (hidden + width) + tokens * hidden)
    rest = tokens * width * (2 * NORM + 2)
    return Work(inner.macs + feed.macs, inner.flops + feed.flops + rest)


def recurrent(gates: int, cell: int) -> Formula:
    """`lstm`, `gru`, `rnn_*` over whole sequences: every matrix is applied once per step and sample.

    `gates` rows of the first matrix belong to one hidden unit; `cell` operations make its next state from them. Padded
    and packed calls differ by one argument: a packed batch is (all steps of all samples, features).
    """

    def work(call: Call) -> Work:
        packed = not isinstance(call.args[3], bool)
        weights: tuple[Shape, ...] = call.args[3] if packed else call.args[2]
        _, layers, _, _, both_ways = call.args[4 if packed else 3 :][:5]
        steps = prod(call.args[0][:-1])
        matrices = sum(prod(shape) for shape in weights if len(shape) == 2)
        biases = sum(prod(shape) for shape in weights if len(shape) == 1)
        each = len(weights) // (layers * (2 if both_ways else 1))
        units = sum(shape[0] // gates for shape in weights[::each])
        return products(steps * matrices, steps * (biases + cell * units))

    return work


def library_recurrent(call: Call) -> Work:
    """cuDNN's, MIOpen's and oneDNN's layers: all matrices once per step and sample."""
    listed = call.args[1] if call.args[1] and isinstance(call.args[1][0], tuple) else call.args[1:5]
    return products(prod(call.args[0][:-1]) * sum(prod(shape) for shape in listed if len(shape) == 2))


def fused_cell(operations: int) -> Formula:
    """The pointwise part of a cell, from its products and its state."""
    return lambda call: Work(flops=operations * prod(call.args[2]))


FUSED = "flash_attention flash_attention_for_cpu efficient_attention cudnn_attention fused_attention_overrideable"
BLOCKS: dict[str, Formula] = {
    **named(attention, "scaled_dot_product_attention _scaled_dot_product_attention_math"),
    **named(flex_attention, "flex_attention", "higher_order"),
    **named(flash_attention, " ".join(f"_scaled_dot_product_{kind}" for kind in FUSED.split())),
    **named(flash_attention_backward, " ".join(f"_scaled_dot_product_{kind}_backward" for kind in FUSED.split())),
    **named(flash_attention, "_cudnn_attention_forward _triton_scaled_dot_attention"),
    **named(length_first_attention(0, 3), "_flash_attention_forward"),
    **named(length_first_attention(0, 4), "_efficient_attention_forward"),
    **named(length_first_attention(1, 4), "_flash_attention_forward_no_dropout_inplace"),
    **named(length_first_attention(1, 6, backward=True), "_flash_attention_backward"),
    **named(length_first_attention(1, 6, backward=True), "_efficient_attention_backward"),
    **named(length_first_attention(0, 3), "_varlen_attn", "torch_attn"),
    **named(length_first_attention(1, 4), "_varlen_attn_out", "torch_attn"),
    **named(length_first_attention(1, 6, backward=True), "_varlen_attn_backward", "torch_attn"),
    **named(native_multi_head_attention, "_native_multi_head_attention _triton_multi_head_attention"),
    **named(transformer_encoder_layer, "_transformer_encoder_layer_fwd"),
    **named(recurrent(4, CELL_OPERATIONS["lstm"]), "lstm"),
    **named(recurrent(3, CELL_OPERATIONS["gru"]), "gru"),
    **named(recurrent(1, CELL_OPERATIONS["rnn"]), "rnn_tanh rnn_relu"),
    **named(library_recurrent, "_cudnn_rnn miopen_rnn mkldnn_rnn_layer"),
    **named(fused_cell(CELL_OPERATIONS["lstm"]), "_thnn_fused_lstm_cell"),
    **named(fused_cell(CELL_OPERATIONS["gru"]), "_thnn_fused_gru_cell"),
}
