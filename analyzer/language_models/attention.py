"""The multiply-adds of attention by convention: what dense kernels run, what a causal mask needs, what a window needs.

A kernel without knowledge of the mask multiplies every query with every key (whole). Under a causal mask a query needs
only the keys up to its own; in a layer with a window only the last ones of these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from analyzer.language_models.architecture import Architecture
from analyzer.records.record import Record
from analyzer.records.rows import Row

Convention: TypeAlias = Literal["whole", "causal", "needed"]
LAYER = re.compile(r"(?:^|\.)(\d+)(?:\.|$)")


def is_attention(row: Row) -> bool:
    return "attention" in row.op and len(row.inputs) >= 3 and len(row.inputs[0]) >= 2 and bool(row.macs)


def pairs(tokens: int, window: int = 0) -> int:
    """Pairs of a query and a key among as many tokens that a causal mask keeps, with a window of the last ones only."""
    if not window or window > tokens:
        window = tokens
    return window * (window + 1) // 2 + (tokens - window) * window


def attention_macs(
    rows: Sequence[Row], architecture: Architecture, convention: Convention, *, step: bool = False
) -> int:
    """The MACs of all attention operators; with `step` also those of their backward pass.

    `needed` is causal, and limited to the window in layers that have one. Attention to other tokens than the queries'
    own, as in a decoding step, is whole.
    """
    total = 0
    for row in filter(is_attention, rows):
        macs = row.macs + ((row.backward_macs or 0) + (row.recomputed_macs or 0) if step else 0)
        tokens, keys = row.inputs[0][-2], row.inputs[1][-2]
        if convention != "whole" and tokens == keys:
            windowed = convention == "needed" and _layer(row.path) in architecture.windowed_layers
            macs = macs * pairs(tokens, architecture.window if windowed else 0) // tokens**2
        total += macs
    return total


def forward_macs(record: Record, architecture: Architecture, convention: Convention) -> int:
    """The MACs of a forward pass with its attention by a convention."""
    whole, masked = (attention_macs(record.rows, architecture, name) for name in ("whole", convention))
    return record.totals.macs - whole + masked


def _layer(path: str) -> int | None:
    """The number of the layer that a path belongs to: 5 of `model.layers.5.self_attn`."""
    match = LAYER.search(path)
    return int(match[1]) if match else None
