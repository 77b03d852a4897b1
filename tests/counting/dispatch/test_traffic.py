"""Memory traffic of operators that read or write a part of a tensor, and of packed weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.dispatch.counter import count_operators
from analyzer.records.rows import Row
from tests.torch_releases import GROUPED_MM

ROWS, WIDTH = 1000, 16
TABLE = 4 * ROWS * WIDTH  # Bytes.


class Apply(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Tensor) -> Tensor:
        return self.function(*args)


def row_of(function, *args: Tensor, device: str = "meta") -> Row:
    model = function if isinstance(function, nn.Module) else Apply(function)
    return count_operators(model.to(device), [arg.to(device) for arg in args]).rows[-1]


INDEX = torch.arange(3)
INDICES = 3 * 8  # Bytes of three int64.
LOOKED_UP = 4 * 3 * WIDTH


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    "function",
    [
        lambda table, index: F.embedding(index, table),
        lambda table, index: torch.index_select(table, 0, index),
        lambda table, index: table[index],
        lambda table, index: table.gather(0, index[:, None].expand(3, WIDTH)),
    ],
    ids=["embedding", "index_select", "index", "gather"],
)
def test_a_lookup_reads_the_rows_that_it_returns(function, device):
    row = row_of(function, torch.zeros(ROWS, WIDTH), INDEX, device=device)
    assert (row.bytes_read, row.bytes_written) == (INDICES + LOOKED_UP, LOOKED_UP)


def test_take_along_dim_and_take_read_single_elements():
    index = torch.zeros(3, 1, dtype=torch.int64)
    row = row_of(lambda table, index: torch.take_along_dim(table, index, 1), torch.zeros(3, WIDTH), index)
    assert (row.bytes_read, row.bytes_written) == (INDICES + 4 * 3, 4 * 3)
    row = row_of(torch.take, torch.zeros(ROWS, WIDTH), INDEX)
    assert (row.bytes_read, row.bytes_written) == (INDICES + 4 * 3, 4 * 3)


def test_a_lookup_reads_at_most_the_table():
    row = row_of(lambda table, index: F.embedding(index, table), torch.zeros(2, WIDTH), INDEX)
    assert (row.bytes_read, row.bytes_written) == (INDICES + 4 * 2 * WIDTH, LOOKED_UP)


def test_embedding_modules_read_rows_and_hold_the_table():
    row = row_of(nn.Embedding(ROWS, WIDTH), INDEX)
    assert (row.params, row.bytes_read, row.bytes_written) == (ROWS * WIDTH, INDICES + LOOKED_UP, LOOKED_UP)
    # Limiting norms reads the rows once before the lookup does.
    assert row_of(nn.Embedding(ROWS, WIDTH, max_norm=1.0), INDEX, device="cpu").bytes_read == INDICES + 2 * LOOKED_UP
    bag = row_of(nn.EmbeddingBag(ROWS, WIDTH), INDEX.view(1, 3), device="cpu")
    assert (bag.bytes_read, bag.bytes_written) == (INDICES + LOOKED_UP, 4 * WIDTH)


def test_a_slice_of_a_module_s_weight_is_a_view_and_the_product_reads_it_whole():
    row = row_of(lambda table, index: table[index.sum() * 0 + 1 : 3] @ table.t(), torch.zeros(4, WIDTH), INDEX,
                 device="cpu")  # fmt: skip
    assert row.bytes_read == 4 * (2 * WIDTH + 4 * WIDTH)


UPDATE = torch.zeros(3, WIDTH)


@pytest.mark.parametrize(
    ("function", "read"),
    [
        (lambda table, index, update: table.index_add_(0, index, update), INDICES + 2 * LOOKED_UP),
        (lambda table, index, update: table.index_copy_(0, index, update), INDICES + LOOKED_UP),
        (lambda table, index, update: table.index_fill_(0, index, 1.0), INDICES),
        (lambda table, index, update: table.index_put_((index,), update), INDICES + LOOKED_UP),
        (lambda table, index, update: table.index_put_((index,), update, accumulate=True), INDICES + 2 * LOOKED_UP),
        (lambda table, index, update: table[:3].copy_(update), LOOKED_UP),
    ],
    ids=["index_add_", "index_copy_", "index_fill_", "index_put_", "accumulate", "copy_"],
)
def test_an_update_in_place_writes_the_rows_that_it_touches_and_reads_them_to_add(function, read):
    row = row_of(function, torch.zeros(ROWS, WIDTH), INDEX, UPDATE)
    assert (row.bytes_read, row.bytes_written) == (read, LOOKED_UP)


def test_a_scatter_in_place_touches_an_element_per_index():
    index = torch.zeros(3, 1, dtype=torch.int64)
    table, update = torch.zeros(3, WIDTH), torch.zeros(3, 1)
    row = row_of(lambda table, index, update: table.scatter_(1, index, update), table, index, update)
    assert (row.bytes_read, row.bytes_written) == (INDICES + 12, 12)
    row = row_of(lambda table, index, update: table.scatter_add_(1, index, update), table, index, update)
    assert (row.bytes_read, row.bytes_written) == (INDICES + 24, 12)


def test_out_of_place_an_update_copies_the_table():
    row = row_of(
        lambda table, index, update: table.index_add(0, index, update), torch.zeros(ROWS, WIDTH), INDEX, UPDATE
    )
    assert (row.bytes_read, row.bytes_written) == (TABLE + INDICES + LOOKED_UP, TABLE)


def test_an_expanded_tensor_is_read_once():
    """Grouped-query attention by `expand`: 2 heads of keys for 8 of queries."""
    keys = torch.zeros(2, 1, 5, 4)
    row = row_of(lambda keys: keys.expand(2, 4, 5, 4).reshape(8, 5, 4), keys)
    assert (row.op, row.bytes_read, row.bytes_written) == ("reshape", 4 * 2 * 5 * 4, 4 * 8 * 5 * 4)


@GROUPED_MM
@pytest.mark.parametrize(("tokens", "groups"), [(2, 2), (8, 8), (100, 8)])
def test_a_grouped_product_reads_at_most_one_matrix_per_row(tokens, groups):
    left = torch.zeros(tokens, 16, dtype=torch.bfloat16)
    right, ends = torch.zeros(8, 16, 32, dtype=torch.bfloat16), torch.zeros(8, dtype=torch.int32)
    row = row_of(lambda left, right, ends: F.grouped_mm(left, right, offs=ends), left, right, ends)
    assert row.bytes_read == 2 * tokens * 16 + 2 * groups * 16 * 32 + 8 * 4
    assert row.macs == tokens * 16 * 32


@pytest.mark.filterwarnings("ignore")  # torch.ao.quantization is deprecated, and still used.
@pytest.mark.parametrize(
    ("dtype", "weight_bytes"), [(torch.qint8, 8 * 4 + 4 + 4), (torch.float16, 2 * 8 * 4)], ids=["int8", "float16"]
)
def test_packed_weights_have_parameters_and_their_size(dtype, weight_bytes):
    """Int8 has a scale and a zero point for the tensor; the bias is float32."""
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(8, 4)), {nn.Linear}, dtype=dtype)
    row = row_of(model, torch.zeros(1, 8), device="cpu")
    assert (row.weights, row.biases) == (8 * 4, 4)
    assert (row.bytes_read, row.bytes_written) == (4 * 8 + weight_bytes + 4 * 4, 4 * 4)


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_of_a_module_called_twice_count_once():
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 4)), {nn.Linear}, dtype=torch.qint8)
    rows = count_operators(nn.Sequential(model, model), [torch.zeros(1, 4)]).rows
    assert [row.params for row in rows] == [4 * 4 + 4, 0]
    assert rows[0].bytes_read == rows[1].bytes_read


@pytest.mark.filterwarnings("ignore")
def test_packed_weights_of_a_recurrent_layer():
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(8, 4)), {nn.LSTM}, dtype=torch.qint8)
    row = row_of(model, torch.zeros(3, 1, 8), device="cpu")
    assert (row.weights, row.biases) == (4 * 4 * (8 + 4), 2 * 4 * 4)


def test_a_four_bit_weight_has_the_parameters_that_it_stands_for():
    """bitsandbytes stores two elements per byte and their number in `quant_state`."""
    weight: Any = nn.Parameter(torch.zeros(16, 1, dtype=torch.uint8), requires_grad=False)
    weight.quant_state = type("QuantState", (), {"shape": (4, 8)})
    model = Apply(lambda x: x)
    model.weight = weight
    (row,) = count_operators(model, [torch.zeros(1)]).rows
    assert (row.op, row.params) == ("unused", 4 * 8)
