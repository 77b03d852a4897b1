"""What training frameworks print for the FLOPs of one training token: their formulas, over the same model.

Each counts forward and backward, without recomputation, 2 per multiply-add. They disagree on the embedding, the output
layer and the causal mask. Sources are in docs/language-models.md.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from analyzer.core.frozen import Frozen
from analyzer.language_models.architecture import Architecture


class Formula(Frozen):
    """A formula: its text, what it leaves out or adds, and its value at a sequence length."""

    name: str
    text: str
    differs: str
    flops: Callable[[Architecture, int], int]
    attention: bool = True


def formulas(model: Architecture) -> tuple[Formula, ...]:
    """The formulas that apply: those with attention need a model that has heads in every layer."""
    return FORMULAS if model.heads and not model.scan else tuple(f for f in FORMULAS if not f.attention)


def _six_n(model: Architecture, length: int) -> int:
    return 6 * model.active_parameters


def _palm(model: Architecture, length: int) -> int:
    return 6 * model.active_parameters + _pairs(model, length)


def _nanogpt(model: Architecture, length: int) -> int:
    return 6 * (model.active_parameters - model.position_parameters) + _pairs(model, length)


def _torchtitan(model: Architecture, length: int) -> int:
    return 6 * (model.active_parameters - model.embedding_parameters) + _pairs(model, length)


def _pairs(model: Architecture, length: int) -> int:
    """12 · layers · heads · head size · length: two products per pair, forward and twice backward."""
    return 12 * model.layers * model.heads * model.head_size * length


def _megatron(model: Architecture, length: int) -> int:
    hidden = model.hidden
    ratio = Fraction(model.heads * model.head_size, hidden)
    attention = (1 + Fraction(model.kv_heads, model.heads) + Fraction(length, hidden)) * ratio
    gated = Fraction(3, 2) if model.gated else 1
    feed_forward = Fraction(_routed(model), hidden) * gated
    logits = Fraction(model.vocabulary, 2 * model.layers * hidden)
    return int(12 * model.layers * hidden**2 * (attention + feed_forward + logits))


def _maxtext(model: Architecture, length: int) -> int:
    hidden, width = model.hidden, model.heads * model.head_size
    feed_forward = 2 * _routed(model) * hidden * (3 if model.gated else 2) + 2 * hidden * model.experts
    projections = 2 * hidden * (width + 2 * model.kv_heads * model.head_size) + 2 * hidden * width
    causal = 4 * length * width // 2
    return 3 * ((feed_forward + projections + causal) * model.layers + 2 * hidden * model.vocabulary)


def _routed(model: Architecture) -> int:
    """The width of the feed-forward layers that a token passes: one, or its experts."""
    if not model.experts:
        return model.feed_forward
    expert = model.expert_feed_forward or model.feed_forward
    return expert * (model.experts_per_token + model.shared_experts)


FORMULAS = (
    Formula("6N", "6 · active parameters", "no attention; embedding as a product", _six_n, attention=False),
    Formula("PaLM", "6N + 12·layers·heads·head size·length", "embedding as a product", _palm),
    Formula("nanoGPT", "as PaLM, N without position embedding", "embedding as a product", _nanogpt),
    Formula("torchtitan", "as PaLM, N without input embedding", "no output layer if tied", _torchtitan),
    Formula("Megatron-LM", "12·layers·hidden²·(attention + feed-forward + logits)", "no router of experts", _megatron),
    Formula("MaxText", "3 · (projections + feed-forward + half of attention + logits)", "causal attention", _maxtext),
)  # fmt: skip
