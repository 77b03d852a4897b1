"""Caches outside the model: in classes, in variables of a file and in `functools.lru_cache`."""

from __future__ import annotations

import functools
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from analyzer import count

TABLES: dict[int, Tensor] = {}
LAST: Tensor | None = None


@functools.lru_cache
def cached_table(size: int, device: torch.device) -> Tensor:
    return torch.ones(size, size, device=device) @ torch.ones(size, size, device=device)


def in_a_dict(x: Tensor) -> Tensor:
    if 8 not in TABLES:
        TABLES[8] = x.mT @ x
    return TABLES[8]


def in_a_class(x: Tensor) -> Tensor:
    Caching.tables = Caching.tables or [x.mT @ x]
    return Caching.tables[0]


def in_a_variable(x: Tensor) -> Tensor:
    global LAST
    LAST = x.mT @ x if LAST is None else LAST
    return LAST


def in_a_function(x: Tensor) -> Tensor:
    return cached_table(8, x.device)


class Caching(nn.Module):
    tables: ClassVar[list[Tensor]] = []

    def __init__(self, table) -> None:
        super().__init__()
        self.layer, self.table = nn.Linear(8, 8), table

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) @ self.table(x)


@pytest.mark.parametrize("table", [in_a_dict, in_a_class, in_a_variable, in_a_function], ids=lambda t: t.__name__)
def test_a_table_cached_outside_the_model_is_in_every_count(table):
    model, x = Caching(table), torch.ones(8, 8)
    # The layer, the table and their product: three products of 8 × 8 matrices.
    assert [count(model, x).totals.macs for _ in range(2)] == [3 * 8**3] * 2
    assert not any(tensor.is_meta for tensor in [*TABLES.values(), *Caching.tables])
    assert model(x).shape == (8, 8)
    TABLES.clear()
    Caching.tables = []
    globals()["LAST"] = None


def test_a_table_that_the_model_has_cached_stays():
    x = torch.ones(8, 8)
    model = Caching(in_a_dict)
    model(x)
    table = TABLES[8]
    assert count(model, x).totals.macs == 2 * 8**3
    assert TABLES[8] is table
    TABLES.clear()
