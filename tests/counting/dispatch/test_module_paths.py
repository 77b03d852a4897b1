"""The module paths of operators and parameters: every parameter counts once."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.utils.parametrizations as parametrizations
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.execution.count_any_model import count_model
from analyzer.records.rows import Count
from tests.torch_releases import NO_WEIGHT_NORM_ON_META

MACS = 3 * 4 * 4


def count_on_both(model: nn.Module, *args: Any, train: bool = False) -> Count:
    """The count, with equal rows on meta and on real tensors, and every parameter once."""
    meta, real = (count_model(model, args, train=train, on=on).count for on in ("meta", "real"))
    assert meta.rows == real.rows
    assert meta.totals.params == sum(p.numel() for p in model.parameters())
    return meta


def rows() -> Tensor:
    return torch.zeros(3, 4)


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))
        self.bias = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(F.linear(x, self.weight, self.bias))


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Functional(), Functional()])
        self.scale = nn.Parameter(torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x) + x
        return x * self.scale


def test_functions_belong_to_the_module_whose_forward_called_them():
    count = count_on_both(Outer(), rows(), train=True)
    assert [(row.path, row.op, row.params, row.macs, row.backward_macs) for row in count.rows] == [
        ("blocks.0", "linear", 4 * 4 + 4, MACS, MACS),
        ("blocks.0", "gelu", 0, 0, 0),
        ("", "add", 0, 0, 0),
        ("blocks.1", "linear", 4 * 4 + 4, MACS, 2 * MACS),
        ("blocks.1", "gelu", 0, 0, 0),
        ("", "add", 0, 0, 0),
        ("", "mul", 4, 0, 0),
    ]


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.silent = nn.Linear(4, 2)
        self.spare = nn.Parameter(torch.zeros(5))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def test_a_shared_module_counts_each_call_and_its_parameters_once():
    count = count_on_both(Shared(), rows(), train=True)
    assert [(row.path, row.op, row.call, row.params, row.macs, row.backward_macs) for row in count.rows] == [
        ("first", "linear", 1, 4 * 4 + 4, MACS, MACS),
        ("first", "linear", 2, 0, MACS, 2 * MACS),
        ("", "unused", 1, 5, 0, 0),
        ("silent", "unused", 1, 4 * 2 + 2, 0, 0),
    ]


class Language(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 4)
        self.head = nn.Linear(4, 11, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.embed(ids))


def test_an_embedding_tied_to_a_head():
    count = count_on_both(Language(), torch.zeros(2, 3, dtype=torch.int64), train=True)
    assert [(row.path, row.params, row.macs, row.backward_macs) for row in count.rows] == [
        ("embed", 11 * 4, 0, 0),
        ("head", 0, 2 * 3 * 4 * 11, 2 * (2 * 3 * 4 * 11)),
    ]


class Slices(nn.Module):
    """Reads one parameter in two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight[:4]) + x @ self.weight[4:].T


def test_a_parameter_read_in_parts_counts_in_the_first_row():
    count = count_on_both(Slices(), rows(), train=True)
    assert [(row.op, row.params, row.macs, row.backward_macs) for row in count.rows] == [
        ("linear", 8 * 4, MACS, MACS),
        ("matmul", 0, MACS, MACS),
        ("add", 0, 0, 0),
    ]


class Flat(nn.Module):
    """Two parameters in one storage, as in flattened optimizers."""

    def __init__(self) -> None:
        super().__init__()
        store = torch.zeros(4 * 4 + 4)
        self.layer = nn.Linear(4, 4)
        self.layer.weight = nn.Parameter(store[:16].view(4, 4))
        self.layer.bias = nn.Parameter(store[16:])

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def test_parameters_in_one_storage():
    (row,) = count_model(Flat(), (rows(),), on="real").count.rows
    assert (row.weights, row.biases) == (4 * 4, 4)


class Lists(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList([torch.zeros(4, 4), torch.zeros(4, 4)])
        self.named = nn.ParameterDict({"shift": torch.zeros(4)})

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weights[0] + self.named["shift"]


def test_lists_and_dicts_of_parameters():
    count = count_on_both(Lists(), rows())
    assert [(row.path, row.op, row.params) for row in count.rows] == [
        ("", "matmul", 4 * 4),
        ("", "add", 4),
        ("weights", "unused", 4 * 4),
    ]


# --- computed weights ---------------------------------------------------------------------------------------


@NO_WEIGHT_NORM_ON_META
def test_a_parametrized_weight_norm():
    """A direction of 8x4 and a length per row; one operation per element computes the weight."""
    count = count_on_both(parametrizations.weight_norm(nn.Linear(4, 8)), rows(), train=True)
    assert [(row.path, row.op, row.params, row.macs) for row in count.rows] == [
        ("parametrizations.weight.0", "_weight_norm", 8 * 4 + 8, 0),
        ("", "linear", 8, 3 * 4 * 8),
    ]
    assert count.rows[0].flops == 8 * 4
    assert count.totals.backward_macs == 3 * 4 * 8


@NO_WEIGHT_NORM_ON_META
@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_the_older_weight_norm_is_a_hook_counted_in_the_layers_row():
    (row,) = count_on_both(nn.utils.weight_norm(nn.Linear(4, 8)), rows(), train=True).rows
    assert (row.op, row.params, row.macs, row.backward_macs) == ("linear", 8 * 4 + 8 + 8, 3 * 4 * 8, 3 * 4 * 8)


def test_spectral_norm_iterates_in_training_only():
    """uᵀWv is a matrix-vector and a vector product; training adds a power iteration, two products without gradient."""
    model = parametrizations.spectral_norm(nn.Linear(4, 8))
    vectors = {name: value.clone() for name, value in model.state_dict().items() if "weight.0" in name}
    layer, norm = 3 * 4 * 8, 8 * 4 + 8
    assert count_on_both(model, rows()).totals.macs == layer + norm
    trained = count_on_both(model, rows(), train=True).totals
    assert trained.macs == layer + norm + 2 * 8 * 4
    for name, value in vectors.items():
        assert torch.equal(model.state_dict()[name], value)


def test_frozen_layers():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4), nn.Linear(4, 2))
    model[2].weight.requires_grad_(False)
    backward = [row.backward_macs for row in count_on_both(model, rows(), train=True).rows]
    # The first has its weight's gradient only, the frozen one its input's only, the last both.
    assert backward == [3 * 4 * 8, 0, 3 * 8 * 4, 2 * (3 * 4 * 2)]
    model[0].requires_grad_(False)
    backward = [row.backward_macs for row in count_on_both(model, rows(), train=True).rows]
    assert backward == [0, 0, 0, 2 * (3 * 4 * 2)], "only the bias of the third is trained, whose gradient is a sum"
    model.requires_grad_(False)
    assert count_on_both(model, rows(), train=True).totals.backward_macs == 0
