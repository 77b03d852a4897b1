"""Attention over jagged nested tensors, as in torch's tutorial on transformers of nested tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as attend

from analyzer import count
from analyzer.counting.operators.jagged_attention import attention_by_sequence
from tests.counting.operators.calls import Calls

WIDTH, HEADS = 8, 2


def jagged(*sequences: Tensor) -> Tensor:
    return torch.nested.as_nested_tensor(list(sequences), layout=torch.jagged)


def by_heads(sequences: Tensor) -> Tensor:
    return sequences.unflatten(-1, [HEADS, WIDTH // HEADS]).transpose(1, 2)


def merged(attended: Tensor) -> Tensor:
    return attended.transpose(1, 2).flatten(-2).values()


@pytest.mark.parametrize("train", [None, True])
def test_every_score_of_a_sequence_and_no_padding(train):
    """Sequences of 3 and 2: 9 + 4 scores a head, each of them a product for the score and one for the value."""

    def run(first: Tensor, second: Tensor) -> Tensor:
        sequences = by_heads(jagged(first, second))
        return merged(attend(sequences, sequences, sequences))

    inputs = torch.randn(3, WIDTH, requires_grad=True), torch.randn(2, WIDTH, requires_grad=True)
    totals = count(Calls(run), inputs, train=train).totals
    assert totals.macs == 2 * (3 * 3 + 2 * 2) * WIDTH
    assert totals.backward_macs == (2 * totals.macs if train else None)


class CrossAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.both = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, queries: Tensor, memory: Tensor) -> Tensor:
        keys = by_heads(self.both(memory))
        return merged(attend(by_heads(self.query(queries)), keys, keys))


def test_queries_and_keys_of_other_lengths():
    queries = jagged(torch.ones(3, WIDTH), torch.ones(2, WIDTH))
    memory = jagged(torch.ones(5, WIDTH), torch.ones(1, WIDTH))
    totals = count(CrossAttention(), (queries, memory)).totals
    assert totals.macs == (3 + 2 + 5 + 1) * WIDTH * WIDTH + 2 * (3 * 5 + 2 * 1) * WIDTH


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_the_result_is_torchs():
    model = CrossAttention().eval()
    inputs = jagged(torch.randn(3, WIDTH), torch.randn(2, WIDTH)), jagged(torch.randn(5, WIDTH), torch.randn(1, WIDTH))
    with torch.no_grad():
        expected = model(*inputs)
        with attention_by_sequence():
            result = model(*inputs)
    torch.testing.assert_close(result, expected)
