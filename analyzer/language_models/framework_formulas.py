"""What training frameworks print for the FLOPs of one training token: their formulas, over the same model.

Each counts forward and backward, without recomputation, 2 per multiply-add. They disagree on the embedding, the output
layer and the causal mask. Sources are in docs/language-models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from analyzer.core.frozen import Frozen
from analyzer.language_models.architecture import Architecture, Latent


class Formula(Frozen):
    """A formula: its text, what it leaves out or adds, and its value at a sequence length."""

    name: str
    text: str
    differs: str
    flops: Callable[[Architecture, int], int]
    attention: bool = True


def formulas(model: Architecture) -> tuple[Formula, ...]:
    """The formulas that apply: those with attention need a model that has heads in every layer."""
    known = FORMULAS if model.latent is None else tuple(LATENT.get(formula.name, formula) for formula in FORMULAS)
    return known if model.heads and not model.scan else tuple(f for f in known if not f.attention)


def _six_n(model: Architecture, length: int) -> int:
    return 6 * model.active_parameters


def _palm(model: Architecture, length: int) -> int:
    return 6 * model.active_parameters + _pairs(model, length)


def _nanogpt(model: Architecture, length: int) -> int:
    return 6 * (model.active_parameters - model.position_parameters) + _pairs(model, length)


def _torchtitan(model: Architecture, length: int) -> int:
    return 6 * (model.active_parameters - model.embedding_parameters) + _pairs(model, length)


def _pairs(model: Architecture, length: int) -> int:
    """6 · layers · heads · 2 head sizes · length: the two products of a pair, forward and twice backward."""
    return 6 * model.layers * model.heads * model.pair_width * length


def _megatron(model: Architecture, length: int) -> int:
    hidden = model.hidden
    ratio = Fraction(model.heads * model.head_size, hidden)
    attention = (1 + Fraction(model.kv_heads, model.heads) + Fraction(length, hidden)) * ratio * model.layers
    gated = Fraction(3, 2) if model.gated else 1
    feed_forward = Fraction(_feed_forward(model), hidden) * gated
    logits = Fraction(model.vocabulary, 2 * hidden)
    return int(12 * hidden**2 * (attention + feed_forward + logits))


def _maxtext(model: Architecture, length: int) -> int:
    hidden, width = model.hidden, model.heads * model.head_size
    projections = 2 * hidden * (width + 2 * model.kv_heads * model.head_size) + 2 * hidden * width
    causal = 4 * length * width // 2
    return 3 * (_maxtext_feed_forward(model) + (projections + causal) * model.layers + 2 * hidden * model.vocabulary)


def _megatron_latent(model: Architecture, length: int) -> int:
    latent = model.latent
    assert latent
    norms = latent.rank + latent.query_rank
    per_layer = _latent_projections(model, latent) + norms + model.heads * Fraction(latent.pair_width * length, 2)
    feed_forward = (3 if model.gated else 2) * model.hidden * _feed_forward(model)
    return int(6 * (model.layers * per_layer + feed_forward + model.hidden * model.vocabulary))


def _maxtext_latent(model: Architecture, length: int) -> int:
    latent = model.latent
    assert latent
    causal = 2 * length * model.heads * latent.pair_width // 2
    attention = (2 * _latent_projections(model, latent) + causal) * model.layers
    return 3 * (_maxtext_feed_forward(model) + attention + 2 * model.hidden * model.vocabulary)


def _latent_projections(model: Architecture, latent: Latent) -> int:
    """The multiply-adds of one token in the projections of queries, of keys and values, and of the output."""
    hidden, heads = model.hidden, model.heads
    key = latent.unrotated + latent.rotated
    query = latent.query_rank * (hidden + heads * key) if latent.query_rank else hidden * heads * key
    key_value = hidden * (latent.rank + latent.rotated) + latent.rank * heads * (latent.unrotated + latent.value)
    return query + key_value + heads * latent.value * hidden


def _maxtext_feed_forward(model: Architecture) -> int:
    """FLOPs of one token, with the router of experts."""
    matrices = 2 * _feed_forward(model) * model.hidden * (3 if model.gated else 2)
    return matrices + 2 * model.hidden * model.experts * model.expert_layers


def _feed_forward(model: Architecture) -> int:
    """The width of the feed-forward layers that a token passes, over all layers: a dense one, or its experts."""
    chosen = model.expert_feed_forward * model.experts_per_token + model.shared_feed_forward
    return model.feed_forward * (model.layers - model.expert_layers) + chosen * model.expert_layers


FORMULAS = (
    Formula("6N", "6 · active parameters", "no attention; embedding as a product", _six_n, attention=False),
    Formula("PaLM", "6N + 12·layers·heads·head size·length", "embedding as a product", _palm),
    Formula("nanoGPT", "as PaLM, N without position embedding", "embedding as a product", _nanogpt),
    Formula("torchtitan", "as PaLM, N without input embedding", "no output layer if tied", _torchtitan),
    Formula("Megatron-LM", "12·layers·hidden²·(attention + feed-forward + logits)", "no router of experts", _megatron),
    Formula("MaxText", "3 · (projections + feed-forward + half of attention + logits)", "causal attention", _maxtext),
)  # fmt: skip
# Of multi-head latent attention; Megatron-LM halves the pairs there.
LATENT = {
    formula.name: formula
    for formula in (
        Formula("Megatron-LM", "6 · (projections + norms + half of attention + feed-forward + logits)",
                "causal attention; no router of experts", _megatron_latent),
        Formula("MaxText", "3 · (projections + feed-forward + half of attention + logits)", "causal attention",
                _maxtext_latent),
    )
}  # fmt: skip
