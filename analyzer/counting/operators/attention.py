"""Attention and recurrent cells: operators that are a small network each.

The same block costs the same multiply-adds whichever operator torch chooses for it: fused, flash or taken apart.
"""

from __future__ import annotations

from math import prod

from analyzer.counting.operators.call import Call, Formula, Shape, Work, products

SOFTMAX = 5
NORM = 6


def attention(call: Call) -> Work:
    """softmax(Q · Kᵀ · scale) · V over (..., heads, length, width); a mask is one addition a score.

    Causal attention is counted whole: half of its scores are thrown away, not left out. With grouped keys every query
    head does its own products.
    """
    query, key, value = call.args[:3]
    scores = prod(query[:-1]) * key[-2]
    masked = call.arg(3, "attn_mask") is not None or bool(call.arg(5, "is_causal", False))
    return products(scores * (query[-1] + value[-1]), scores * (1 + SOFTMAX + masked))


def flash_attention(call: Call) -> Work:
    """The fused operators that `scaled_dot_product_attention` turns into; their arguments stand in other places."""
    query, key, value = call.args[:3]
    scores = prod(query[:-1]) * key[-2]
    return products(scores * (query[-1] + value[-1]), scores * (1 + SOFTMAX))


def flex_attention(call: Call) -> Work:
    """A mask of blocks is counted whole, as a causal one is; it and a function of the scores are one operation each."""
    query, key, value, score, mask = call.args[:5]
    scores = prod(query[:-1]) * key[-2]
    extras = sum(getattr(function, "__name__", "") not in ("_identity", "noop_mask") for function in (score, mask[-1]))
    return products(scores * (query[-1] + value[-1]), scores * (1 + SOFTMAX + extras))


def flash_attention_backward(call: Call) -> Work:
    """dV = Pᵀ · dO, dP = dO · Vᵀ, dQ = dS · K, dK = dSᵀ · Q: twice the forward. Scores computed again are not work."""
    query, key, value = call.args[1:4]
    scores = prod(query[:-1]) * key[-2]
    return products(2 * scores * (query[-1] + value[-1]), 4 * scores)


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
    """`lstm`, `gru`, `rnn_*` over whole sequences: every matrix is applied once a step and sample.

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


BLOCKS: dict[str, Formula] = {
    "aten::scaled_dot_product_attention": attention,
    "aten::_scaled_dot_product_attention_math": attention,
    "higher_order::flex_attention": flex_attention,
    **{
        f"aten::_scaled_dot_product_{kind}": flash_attention
        for kind in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
            "fused_attention_overrideable",
        )
    },
    **{
        f"aten::_scaled_dot_product_{kind}_backward": flash_attention_backward
        for kind in (
            "flash_attention",
            "flash_attention_for_cpu",
            "efficient_attention",
            "cudnn_attention",
            "fused_attention_overrideable",
        )
    },
    "aten::_native_multi_head_attention": native_multi_head_attention,
    "aten::_transformer_encoder_layer_fwd": transformer_encoder_layer,
    # LSTM: 4 gates joined from two products and squashed, 3 for the cell, 2 for the output. GRU: 3 gates joined and
    # squashed, reset times candidate, 4 for the blend. RNN: joined and squashed.
    "aten::lstm": recurrent(4, 4 + 4 + 3 + 2),
    "aten::gru": recurrent(3, 3 + 3 + 1 + 4),
    "aten::rnn_tanh": recurrent(1, 2),
    "aten::rnn_relu": recurrent(1, 2),
}
