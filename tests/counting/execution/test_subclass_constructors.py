"""Models that construct tensors of their own classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as attend

from analyzer import count
from tests.counting.operators.calls import Calls


class Marked(Tensor):
    """A subclass with torch's constructor."""


def test_attention_with_a_bias_of_torchs_own_class():
    """Q · Kᵀ and P · V over 2 samples, 3 heads, 5 queries and 7 keys of width 4."""
    bias = pytest.importorskip("torch.nn.attention.bias")
    query, key = torch.ones(2, 3, 5, 4), torch.ones(2, 3, 7, 4)
    record = count(Calls(lambda q, k: attend(q, k, k, attn_mask=bias.causal_lower_right(5, 7))), (query, key))
    assert record.totals.macs == 2 * 3 * 5 * 7 * (4 + 4)


@pytest.mark.parametrize("made", [lambda: Marked([[1.0] * 8] * 6), lambda: Marked(6, 8).zero_()])
def test_a_weight_of_a_subclass_made_in_forward(made):
    layer = nn.Linear(8, 8)
    record = count(Calls(lambda x: layer(x) @ made().mT), (torch.ones(5, 8),))
    assert record.totals.macs == 5 * 8 * 8 + 5 * 8 * 6


def test_the_constructor_is_torchs_own_again():
    count(nn.Linear(8, 6), (torch.ones(5, 8),))
    assert "__new__" not in vars(Marked)
