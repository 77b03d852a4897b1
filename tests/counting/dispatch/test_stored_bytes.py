"""Tensors that are stored in other tensors count with the bytes that are stored."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from analyzer.counting.api import count_module
from tests.torch_releases import needs_torch

aten = torch.ops.aten
ALIKE = frozenset({aten.detach.default, aten.clone.default, aten._to_copy.default, aten.alias.default})


class Int8Weight(Tensor):
    """int8 values and a float32 scale per row, which torch takes for a float32 matrix: a stand-in for torchao's."""

    @staticmethod
    def __new__(cls, values: Tensor, scales: Tensor) -> Any:
        return Tensor._make_wrapper_subclass(cls, values.shape, dtype=scales.dtype, device=values.device)

    def __init__(self, values: Tensor, scales: Tensor) -> None:
        self.stored, self.scales = values, scales

    def __tensor_flatten__(self) -> Any:
        return ["stored", "scales"], None

    @classmethod
    def __tensor_unflatten__(cls, inner: Any, context: Any, size: Any, stride: Any) -> Int8Weight:
        return cls(inner["stored"], inner["scales"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in ALIKE:
            kwargs.pop("dtype", None)
            return cls(func(args[0].stored, **kwargs), func(args[0].scales, **kwargs))
        plain = [item.dequantized() if isinstance(item, Int8Weight) else item for item in args]
        return func(*plain, **kwargs)

    def dequantized(self) -> Tensor:
        return self.stored.to(self.scales.dtype) * self.scales[:, None]


def int8_linear(width: int, out: int) -> nn.Module:
    layer = nn.Linear(width, out, bias=False)
    weight = Int8Weight(torch.ones(out, width, dtype=torch.int8), torch.ones(out))
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@pytest.mark.parametrize("train", [None, True], ids=["inference", "training"])
def test_a_quantized_weight_counts_its_values_and_scales(train):
    model = nn.Sequential(int8_linear(64, 32), nn.Linear(32, 8, bias=False))
    record = count_module(model, [torch.zeros(2, 64)], {}, train=train, memory=True)
    assert [row.params for row in record.rows] == [64 * 32, 32 * 8]
    stored = 64 * 32 + 4 * 32
    assert record.rows[0].bytes_read == stored + 4 * 2 * 64
    assert record.totals.macs == 2 * 64 * 32 + 2 * 32 * 8
    assert record.memory.parameters == stored + 4 * 32 * 8


@needs_torch(2, 10, "sparse gradients on meta are not empty")
def test_a_sparse_gradient_has_a_strict_note():
    """On meta torch makes it empty."""
    model = nn.Sequential(nn.Embedding(10, 8, sparse=True), nn.Linear(8, 8))
    record = count_module(model, [torch.zeros(2, dtype=torch.int64)], {}, train=True, memory=True)
    assert record.memory.gradients == 4 * (8 * 8 + 8)
    assert any("sparse" in note for note in record.strict_notes)
