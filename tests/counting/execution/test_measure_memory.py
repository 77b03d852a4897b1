"""Memory of models wherever they run without values: caches in attributes, fake tensors, exported programs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import scaled_dot_product_attention

from analyzer.counting.api import count_module

FLOAT = 4


class Cache:
    def __init__(self) -> None:
        self.keys = torch.zeros(1, 2, 100, 8)


class WithAttributes(nn.Module):
    """A table, a list of tensors and a cache, none of which is a parameter or a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)
        self.cache, self.table, self.several = Cache(), torch.zeros(50, 16), [torch.zeros(3, 3)]

    def forward(self, x: Tensor) -> Tensor:
        heads = (self.linear(x) + self.table[: x.shape[1]]).unflatten(-1, (2, 8)).transpose(1, 2)
        return heads @ self.cache.keys.transpose(-1, -2)


class WithCacheArgument(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        return self.linear(x).unflatten(-1, (2, 8)).transpose(1, 2) @ cache.keys.transpose(-1, -2)


class GroupedQueries(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(32, 32), nn.Linear(32, 8)

    def forward(self, x: Tensor) -> Tensor:
        query = self.query(x).unflatten(-1, (8, 4)).transpose(1, 2)
        key = self.key(x).unflatten(-1, (2, 4)).transpose(1, 2)
        return scaled_dot_product_attention(query, key, key, is_causal=True, enable_gqa=True)


@pytest.mark.parametrize("train", [False, True])
def test_tensors_in_attributes_and_objects_are_inputs(train):
    source = torch.zeros(1, 10, 16)
    memory = count_module(WithAttributes(), [source], {}, train=train, memory=True).memory
    assert memory.inputs == FLOAT * (10 * 16 + 2 * 100 * 8 + 50 * 16 + 3 * 3)
    assert memory.parameters == FLOAT * (16 * 16 + 16)
    memory = count_module(WithCacheArgument(), [source, Cache()], {}, train=train, memory=True).memory
    assert memory.inputs == FLOAT * (10 * 16 + 2 * 100 * 8)


@pytest.mark.parametrize("train", [False, True])
def test_fake_tensors_and_exported_programs_have_the_same_memory(train):
    source = torch.zeros(1, 64, 32)
    expected = count_module(GroupedQueries(), [source], {}, train=train, memory=True).memory
    with FakeTensorMode():
        fake, fake_source = GroupedQueries(), torch.zeros(1, 64, 32)
    exported = torch.export.export(GroupedQueries(), (source,)).module()
    for model, given in ((fake, fake_source), (exported, source)):
        memory = count_module(model, [given], {}, train=train or None, memory=True).memory
        assert (memory.activations, memory.saved, memory.gradients) == (
            expected.activations,
            expected.saved,
            expected.gradients,
        )


def test_an_exported_program_has_no_other_batch(analyze, tmp_path):
    torch.export.save(torch.export.export(GroupedQueries(), (torch.zeros(1, 64, 32),)), tmp_path / "net.pt2")
    outcome = analyze("--model", str(tmp_path / "net.pt2"), "--memory")
    assert outcome.status == 0
    assert "Unknown" in outcome.out
    assert f"{FLOAT * 64 * 32:,}" in outcome.out  # The input.
