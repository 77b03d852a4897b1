from __future__ import annotations

import pytest

from analyzer.language_models.attention_conventions import attention_macs, pairs
from analyzer.records.rows import Row
from tests.language_models.models import architecture


@pytest.mark.parametrize("tokens", [1, 2, 7, 16])
@pytest.mark.parametrize("window", [0, 1, 3, 7, 16, 40])
def test_pairs_are_those_of_the_mask(tokens, window):
    kept = [
        (query, key)
        for query in range(tokens)
        for key in range(tokens)
        if key <= query and (not window or query - key < window)
    ]
    assert pairs(tokens, window) == len(kept)


def row(path: str, queries: int, keys: int, backward: int | None = None) -> Row:
    heads, width = 4, 16
    macs = heads * queries * keys * 2 * width
    shapes = ((1, heads, queries, width), (1, heads, keys, width), (1, heads, keys, width))
    return Row(path, path, "scaled_dot_product_attention", 1, shapes, (shapes[0],), 0, 0, 0, macs, 2 * macs, 0, 0, 0,
               backward)  # fmt: skip


def test_conventions():
    model = architecture(window=8, windowed_layers=(1,))
    rows = [row("model.layers.0.attn", 32, 32), row("model.layers.1.attn", 32, 32)]
    per_pair = 4 * 2 * 16
    assert attention_macs(rows, model, "full") == 2 * per_pair * 32 * 32
    assert attention_macs(rows, model, "causal") == 2 * per_pair * (32 * 33 // 2)
    # The second layer: 8 · 9 / 2 pairs for the first 8 tokens, 8 for each of the other 24.
    assert attention_macs(rows, model, "needed") == per_pair * (32 * 33 // 2 + 36 + 24 * 8)


def test_the_backward_pass_follows_the_mask_and_decoding_has_none():
    model = architecture()
    trained = row("layers.0", 16, 16, backward=1000 * 256)
    whole = trained.macs + 256_000
    assert attention_macs([trained], model, "full", step=True) == whole
    assert attention_macs([trained], model, "causal", step=True) == whole * (16 * 17 // 2) // 256
    decode = row("layers.0", 1, 100)
    assert attention_macs([decode], model, "causal") == decode.macs
