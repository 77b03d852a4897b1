"""The multiply-adds of attention by convention: what dense kernels run, what a causal mask needs, what a window needs.

A kernel without knowledge of the mask multiplies every query with every key (full). Under a causal mask a query needs
only the keys up to its own; in a layer with a window only the last ones of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from math import prod
from typing import Literal, NamedTuple, TypeAlias

from analyzer.language_models.architecture import Architecture
from analyzer.records.record import Record
from analyzer.records.rows import Row

Convention: TypeAlias = Literal["full", "causal", "needed"]
LAYER = re.compile(r"(?:^|\.)(\d+)(?:\.|$)")


class Product(NamedTuple):
    """A row that multiplies queries with keys, or scores with values; the tokens of both."""

    row: Row
    queries: int
    keys: int


def attention_products(rows: Sequence[Row]) -> Iterator[Product]:
    """Attention operators, and where attention is written out, the two products around a softmax.

    Those are products without weights in a module with a softmax over as many queries and keys. A softmax may have one
    key more: a sink.
    """
    scores: dict[str, set[tuple[int, ...]]] = {}
    for row in rows:
        if "softmax" in row.op and row.outputs and len(row.outputs[0]) >= 3:
            queries, keys = row.outputs[0][-2:]
            scores.setdefault(row.path, set()).update({(queries, keys), (queries, keys - 1)})
    for row in rows:
        if not row.macs or len(row.inputs) < 2:
            continue
        if "attention" in row.op and len(row.inputs) >= 3 and len(row.inputs[0]) >= 2:
            yield Product(row, row.inputs[0][-2], row.inputs[1][-2])
        elif row.path in scores and not row.weights:
            shape = next((s[-2:] for s in (row.outputs[0], row.inputs[0]) if s[-2:] in scores[row.path]), None)
            if shape:
                yield Product(row, *shape)


def pairs(tokens: int, window: int = 0) -> int:
    """Pairs of a query and a key among as many tokens that a causal mask keeps, with a window of the last ones only."""
    if not window or window > tokens:
        window = tokens
    return window * (window + 1) // 2 + (tokens - window) * window


def attention_macs(
    rows: Sequence[Row], architecture: Architecture, convention: Convention, *, step: bool = False
) -> int:
    """The MACs of all attention; with `step` also those of its backward pass.

    `needed` is causal, and limited to the window in layers that have one. Attention to other tokens than the queries'
    own, as in a decoding step, is full.
    """
    total = 0
    for row, tokens, keys in attention_products(rows):
        macs = row.macs + ((row.backward_macs or 0) + (row.recomputed_macs or 0) if step else 0)
        if convention != "full" and tokens == keys:
            windowed = convention == "needed" and _layer(row.path) in architecture.windowed_layers
            macs = macs * pairs(tokens, architecture.window if windowed else 0) // tokens**2
        total += macs
    return total


def forward_macs(record: Record, architecture: Architecture, convention: Convention) -> int:
    """The MACs of a forward pass with its attention by a convention."""
    whole, masked = (attention_macs(record.rows, architecture, name) for name in ("full", convention))
    return record.totals.macs - whole + masked


def saved_by_absorption(rows: Sequence[Row], architecture: Architecture) -> int:
    """The MACs of a decoding step that multi-head latent attention can leave out (DeepSeek-AI 2024, section 2.1.2).

    transformers multiplies the latents of all earlier tokens to keys and values in every step. Multiplied into queries
    and outputs instead, these weights apply to the new token alone, and the scores are with the latents themselves.
    """
    latent = architecture.latent
    if latent is None:
        return 0
    weights = latent.rank * architecture.heads * (latent.unrotated + latent.value)
    expansion = sum(row.macs for row in rows if row.weights == weights and row.macs)
    attention = [product for product in attention_products(rows) if product.queries != product.keys]
    pairs_of_heads = sum(product.row.macs // latent.pair_width for product in attention)
    new_tokens = sum(prod(row.inputs[0][:-3]) * queries for row, queries, _ in attention)
    absorbed = new_tokens * weights + pairs_of_heads * (2 * latent.rank + latent.rotated)
    return max(expansion + sum(product.row.macs for product in attention) - absorbed, 0)


def _layer(path: str) -> int | None:
    """The number of the layer that a path belongs to: 5 of `model.layers.5.self_attn`."""
    match = LAYER.search(path)
    return int(match[1]) if match else None
