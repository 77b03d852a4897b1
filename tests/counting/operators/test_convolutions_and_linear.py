"""Products in every form, forward and backward, with the arithmetic written out; rows on meta equal those on the CPU.

Sizes are distinct primes where an operator allows, so that no two factors can be confused. Every input learns unless a
case says otherwise: a product of two sides then costs two products backward.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.execution.count_any_model import count_model
from analyzer.records.rows import Count
from tests.counting.operators.calls import Calls, learned


class Case(NamedTuple):
    what: nn.Module | Callable[..., Any]
    args: tuple[Any, ...]
    macs: int
    backward: int


def both(what: Any, args: tuple[Any, ...], macs: int) -> Case:
    """Each side's gradient costs one product."""
    return Case(what, args, macs, 2 * macs)


def counted(case: Case, *, train: bool, on: str) -> Count:
    model = case.what if isinstance(case.what, nn.Module) else Calls(case.what)
    return count_model(model, case.args, train=train, on=on).count


def check(case: Case, places: tuple[str, ...] = ("meta", "real")) -> list[Count]:
    """The case's figures in each place, and the same rows in all of them."""
    for train in (False, True):
        counts = [counted(case, train=train, on=on) for on in places]
        for count in counts:
            assert (count.totals.macs, count.totals.backward_macs) == (case.macs, case.backward if train else None)
            assert count.unknown_ops == {}
        assert all(count.rows == counts[0].rows for count in counts)
    return counts


CONVOLUTIONS = {
    # Output elements · kernel · channels a group.
    "conv1d": both(nn.Conv1d(3, 5, 4), (learned(2, 3, 11),), 2 * 5 * 8 * 4 * 3),
    "conv2d": both(nn.Conv2d(3, 5, (2, 4)), (learned(2, 3, 7, 11),), 2 * 5 * 6 * 8 * (2 * 4) * 3),
    "conv3d": both(nn.Conv3d(3, 5, (1, 2, 3)), (learned(2, 3, 4, 5, 7),), 2 * 5 * 4 * 4 * 5 * (1 * 2 * 3) * 3),
    "conv2d of one image": both(nn.Conv2d(3, 5, 2), (learned(3, 7, 11),), 5 * 6 * 10 * 4 * 3),
    "conv1d in groups": both(nn.Conv1d(6, 9, 4, groups=3), (learned(2, 6, 11),), 2 * 9 * 8 * 4 * 2),
    "conv2d in groups": both(nn.Conv2d(6, 9, 2, groups=3), (learned(2, 6, 7, 11),), 2 * 9 * 6 * 10 * 4 * 2),
    "conv3d in groups": both(nn.Conv3d(6, 9, 2, groups=3), (learned(1, 6, 4, 5, 7),), 9 * 3 * 4 * 6 * 8 * 2),
    "depthwise": both(nn.Conv2d(7, 7, 3, groups=7), (learned(2, 7, 5, 11),), 2 * 7 * 3 * 9 * 9 * 1),
    "depthwise, twice as wide": both(nn.Conv2d(7, 14, 3, groups=7), (learned(2, 7, 5, 11),), 2 * 14 * 3 * 9 * 9),
    "dilated": both(nn.Conv2d(3, 5, 3, dilation=2), (learned(2, 3, 7, 11),), 2 * 5 * 3 * 7 * 9 * 3),
    "strided, padded": both(nn.Conv2d(3, 5, 3, stride=2, padding=1), (learned(2, 3, 7, 11),), 2 * 5 * 4 * 6 * 9 * 3),
    "same, an odd kernel": both(nn.Conv2d(3, 5, 3, padding="same"), (learned(2, 3, 7, 11),), 2 * 5 * 7 * 11 * 9 * 3),
    "same, an even kernel": both(nn.Conv2d(3, 5, 4, padding="same"), (learned(2, 3, 7, 11),), 2 * 5 * 7 * 11 * 16 * 3),
    "same, 1d, dilated": both(nn.Conv1d(3, 5, 3, padding="same", dilation=2), (learned(2, 3, 11),), 2 * 5 * 11 * 3 * 3),
    "same, 3d": both(nn.Conv3d(2, 3, 3, padding="same"), (learned(1, 2, 4, 5, 7),), 3 * 4 * 5 * 7 * 27 * 2),
    "valid": both(nn.Conv2d(3, 5, 3, padding="valid"), (learned(2, 3, 7, 11),), 2 * 5 * 5 * 9 * 9 * 3),
    "circular padding": both(
        nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular"), (learned(2, 3, 7, 11),), 2 * 5 * 7 * 11 * 9 * 3
    ),
    # Transposed: input elements · kernel · output channels a group.
    "transposed 1d": both(nn.ConvTranspose1d(3, 5, 4, stride=2), (learned(2, 3, 7),), 2 * 3 * 7 * 4 * 5),
    "transposed 2d": both(nn.ConvTranspose2d(3, 5, 3, padding=1), (learned(2, 3, 7, 11),), 2 * 3 * 7 * 11 * 9 * 5),
    "transposed 3d": both(nn.ConvTranspose3d(3, 5, 2), (learned(1, 3, 4, 5, 7),), 3 * 4 * 5 * 7 * 8 * 5),
    "transposed in groups": both(
        nn.ConvTranspose2d(6, 9, 3, stride=2, output_padding=1, groups=3), (learned(2, 6, 5, 7),), 2 * 6 * 5 * 7 * 9 * 3
    ),
    "F.conv2d": both(F.conv2d, (learned(2, 3, 7, 11), learned(5, 3, 2, 4)), 2 * 5 * 6 * 8 * 8 * 3),
    "F.conv_transpose2d": both(F.conv_transpose2d, (learned(2, 3, 7, 11), learned(3, 5, 2, 4)), 2 * 3 * 7 * 11 * 8 * 5),
    "an image that is data": Case(
        nn.Conv2d(3, 5, 3), (torch.zeros(2, 3, 7, 11),), 2 * 5 * 5 * 9 * 9 * 3, 2 * 5 * 5 * 9 * 9 * 3
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(name):
    check(CONVOLUTIONS[name])


MATRICES = {
    "linear of a vector": both(nn.Linear(7, 5), (learned(7),), 5 * 7),
    "linear of rows": both(nn.Linear(7, 5), (learned(3, 7),), 3 * 5 * 7),
    "linear of a batch": both(nn.Linear(7, 5, bias=False), (learned(2, 3, 7),), 2 * 3 * 5 * 7),
    "linear of images": both(nn.Linear(7, 5), (learned(2, 3, 11, 7),), 2 * 3 * 11 * 5 * 7),
    "mm": both(torch.mm, (learned(3, 7), learned(7, 5)), 3 * 7 * 5),
    "bmm": both(torch.bmm, (learned(2, 3, 7), learned(2, 7, 5)), 2 * 3 * 7 * 5),
    "addmm": both(torch.addmm, (learned(3, 5), learned(3, 7), learned(7, 5)), 3 * 7 * 5),
    "addmm of a row": both(torch.addmm, (learned(5), learned(3, 7), learned(7, 5)), 3 * 7 * 5),
    "baddbmm": both(torch.baddbmm, (learned(2, 3, 5), learned(2, 3, 7), learned(2, 7, 5)), 2 * 3 * 7 * 5),
    "addbmm": both(torch.addbmm, (learned(3, 5), learned(2, 3, 7), learned(2, 7, 5)), 2 * 3 * 7 * 5),
    "mv": both(torch.mv, (learned(3, 7), learned(7)), 3 * 7),
    "addmv": both(torch.addmv, (learned(3), learned(3, 7), learned(7)), 3 * 7),
    "dot": both(torch.dot, (learned(7), learned(7)), 7),
    "vdot": both(torch.vdot, (learned(7), learned(7)), 7),
    "inner": both(torch.inner, (learned(3, 7), learned(5, 7)), 3 * 5 * 7),
    "tensordot": both(
        lambda a, b: torch.tensordot(a, b, ([1, 2], [0, 1])), (learned(3, 5, 7), learned(5, 7, 11)), 3 * 11 * 5 * 7
    ),
    # (3x7 · 7x5) · 5x11 is cheaper than the other way round, which would take 7 · 5 · 11 + 3 · 7 · 11.
    "chain": both(
        lambda a, b, c: torch.linalg.multi_dot([a, b, c]),
        (learned(3, 7), learned(7, 5), learned(5, 11)),
        3 * 7 * 5 + 3 * 5 * 11,
    ),
    "chain_matmul": both(torch.chain_matmul, (learned(3, 7), learned(7, 5), learned(5, 11)), 3 * 7 * 5 + 3 * 5 * 11),
    # Squaring twice and one more product: a⁵ = (a²)² · a.
    "matrix_power": both(lambda a: torch.matrix_power(a, 5), (learned(3, 3),), 3 * 3**3),
    "@ with a transposed side": both(lambda a, b: a @ b.mT, (learned(3, 7), learned(5, 7)), 3 * 5 * 7),
    "@ of a slice": both(lambda a, b: a[:, 1:] @ b, (learned(3, 8), learned(7, 5)), 3 * 7 * 5),
}
MATMULS = {
    # Left rank, right rank, and the product's sizes; batches broadcast.
    "1 · 1": ((7,), (7,), 7),
    "2 · 1": ((3, 7), (7,), 3 * 7),
    "1 · 2": ((7,), (7, 5), 7 * 5),
    "2 · 2": ((3, 7), (7, 5), 3 * 7 * 5),
    "3 · 2": ((2, 3, 7), (7, 5), 2 * 3 * 7 * 5),
    "2 · 3": ((3, 7), (2, 7, 5), 2 * 3 * 7 * 5),
    "3 · 3": ((2, 3, 7), (2, 7, 5), 2 * 3 * 7 * 5),
    "4 · 3": ((11, 2, 3, 7), (2, 7, 5), 11 * 2 * 3 * 7 * 5),
    "4 · 4, both batches broadcast": ((2, 1, 3, 7), (1, 11, 7, 5), 2 * 11 * 3 * 7 * 5),
    "2 · 4": ((3, 7), (2, 11, 7, 5), 2 * 11 * 3 * 7 * 5),
    "5 · 2": ((2, 1, 11, 3, 7), (7, 5), 2 * 11 * 3 * 7 * 5),
    # torch multiplies elementwise for the gradient of the matrices.
    "3 · 1": ((2, 3, 7), (7,), 2 * 3 * 7),
    "1 · 3": ((7,), (2, 7, 5), 2 * 7 * 5),
}
MATRICES |= {
    f"matmul {name}": both(torch.matmul, (learned(*left), learned(*right)), macs)
    for name, (left, right, macs) in MATMULS.items()
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrix_products(name):
    check(MATRICES[name])


@pytest.mark.parametrize("bias", [True, False])
def test_bilinear(bias):
    """x1 · W for each output, then · x2. A step of a gradient that sums over no axis is elementwise."""
    forward = 2 * 3 * (5 * 7 + 7)
    # For W: the gradient times x1, elementwise, then x2. For x1: the gradient · W, then x2. For x2: x1 · W, then the
    # gradient.
    backward = 2 * 3 * 5 * 7 + (2 * 3 * 5 * 7 + 2 * 5 * 7) + (2 * 3 * 5 * 7 + 2 * 3 * 7)
    for on in ("meta", "real"):
        totals = counted(
            both(nn.Bilinear(5, 7, 3, bias=bias), (learned(2, 5), learned(2, 7)), forward), train=True, on=on
        ).totals
        assert totals.macs == forward
        assert totals.backward_macs == backward


GROUPED = {
    # Tokens of three experts: every token meets one matrix.
    "tokens in groups": both(
        lambda a, b: torch._grouped_mm(a, b, offs=torch.tensor([8, 24, 48], dtype=torch.int32, device=a.device)),
        (learned(48, 8), learned(3, 8, 16)),
        48 * 8 * 16,
    ),
    "a batch": both(lambda a, b: torch._grouped_mm(a, b), (learned(3, 4, 8), learned(3, 8, 16)), 3 * 4 * 8 * 16),
}


def has_grouped_products() -> bool:
    """Before torch 2.9 there is no kernel for a CPU."""
    try:
        torch._grouped_mm(torch.zeros(1, 16, 16, dtype=torch.bfloat16), torch.zeros(1, 16, 16, dtype=torch.bfloat16))
    except (AttributeError, RuntimeError):
        return False
    return True


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.skipif(not has_grouped_products(), reason="this torch has no grouped products on a CPU")
def test_grouped_products(name):
    check(GROUPED[name])


BAGS = {
    "a mean of rows": Case(nn.EmbeddingBag(11, 7), (torch.zeros(3, 5, dtype=torch.int64),), 0, 0),
    "a sum by offsets": Case(
        nn.EmbeddingBag(11, 7, mode="sum"), (torch.zeros(15, dtype=torch.int64), torch.tensor([0, 4, 9])), 0, 0
    ),
    # Weighted: a product an element gathered; backward one for the table, one for the weights.
    "weighted": both(
        nn.EmbeddingBag(11, 7, mode="sum"), (torch.zeros(3, 5, dtype=torch.int64), None, learned(3, 5)), 3 * 5 * 7
    ),
    "weighted by data": Case(
        nn.EmbeddingBag(11, 7, mode="sum"),
        (torch.zeros(3, 5, dtype=torch.int64), None, torch.zeros(3, 5)),
        3 * 5 * 7,
        3 * 5 * 7,
    ),
    "an embedding": Case(nn.Embedding(11, 7), (torch.zeros(3, 5, dtype=torch.int64),), 0, 0),
}


@pytest.mark.parametrize("name", BAGS)
def test_embeddings(name):
    check(BAGS[name])


def test_a_bag_adds_what_it_gathers():
    count = counted(BAGS["a mean of rows"], train=False, on="meta")
    assert count.totals.flops == 3 * 5 * 7
    weighted = counted(BAGS["weighted"], train=False, on="meta")
    assert weighted.totals.flops == 2 * 3 * 5 * 7


DISTANCES = {
    "euclidean": both(torch.cdist, (learned(2, 5, 7), learned(2, 3, 7)), 2 * 5 * 3 * 7),
    # More than 25 rows: torch makes the squares by a matrix product.
    "euclidean, many": both(torch.cdist, (learned(29, 7), learned(31, 7)), 29 * 31 * 7),
    "another norm": Case(lambda a, b: torch.cdist(a, b, p=1.0), (learned(5, 7), learned(3, 7)), 0, 0),
}


@pytest.mark.parametrize("name", ["euclidean", "another norm"])
def test_distances(name):
    check(DISTANCES[name])


def test_distances_of_many_points():
    """The same multiply-adds, though torch takes another way."""
    case = DISTANCES["euclidean, many"]
    for on in ("meta", "real"):
        assert counted(case, train=False, on=on).totals.macs == case.macs


def test_distances_flops():
    for name, flops in (("euclidean", 2 * (2 * 5 * 3 * 7) + 2 * 5 * 3), ("another norm", 3 * (5 * 3 * 7))):
        assert counted(DISTANCES[name], train=False, on="meta").totals.flops == flops


def compressed() -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says once a process that this layout is in beta.
        return torch.eye(6).to_sparse_csr()


# --- counted as if dense ---------------------------------------------------------------------------------------------
SPARSE: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int, str]] = {
    "sparse.mm": (torch.sparse.mm, (torch.eye(6).to_sparse(), learned(6, 5)), 6 * 6 * 5, "aten::_sparse_mm"),
    "@, coordinates": (torch.matmul, (torch.eye(6).to_sparse(), learned(6, 5)), 6 * 6 * 5, "aten::matmul"),
    "@, compressed rows": (torch.matmul, (compressed(), learned(6, 5)), 6 * 6 * 5, "aten::matmul"),
    "sparse.addmm": (
        torch.sparse.addmm,
        (learned(6, 5), torch.eye(6).to_sparse(), learned(6, 5)),
        6 * 6 * 5,
        "aten::_sparse_addmm",
    ),
    "linear": (F.linear, (learned(5, 6), compressed()), 5 * 6 * 6, "aten::linear"),
    "made on the way": (
        lambda x: torch.sparse.mm(torch.eye(6, device=x.device).to_sparse(), x),
        (learned(6, 5),),
        6 * 6 * 5,
        "aten::_sparse_mm",
    ),
}


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_products_are_counted_dense_and_marked(name):
    function, args, macs, op = SPARSE[name]
    result = count_model(Calls(function), args, train=True)
    assert result.count.totals.macs == macs
    assert result.count.totals.backward_macs == macs, "the dense side learns"
    assert result.count.as_if_dense == {op: 1}
    assert result.count.unknown_ops == {}
    assert result.notes[0].startswith("counted on"), "plain meta tensors have no sparse products"


class SparseWeight(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.eye(6).to_sparse())

    def forward(self, x: Tensor) -> Tensor:
        return torch.sparse.mm(self.weight, x)


def test_a_sparse_buffer_stays():
    model = SparseWeight()
    before = model.weight
    result = count_model(model, (torch.zeros(6, 5),)).count
    assert (result.totals.macs, result.as_if_dense) == (6 * 6 * 5, {"aten::_sparse_mm": 1})
    assert model.weight is before
    assert torch.equal(before.to_dense(), torch.eye(6))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_dynamically_quantized_linear_layers():
    if torch.backends.quantized.engine == "none":
        pytest.skip("this build of torch has no engine for int8 layers")
    float_model = nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3))
    model = torch.ao.quantization.quantize_dynamic(float_model, {nn.Linear}, dtype=torch.qint8)
    result = count_model(model, (torch.zeros(2, 7),), train=False)
    assert result.count.totals.macs == 2 * (7 * 5 + 5 * 3)
    assert result.count.totals.flops == 2 * 2 * (7 * 5 + 5 * 3) + 2 * (5 + 3) + 2 * 5
    assert result.count.as_if_dense == {"quantized::linear_dynamic": 2}
    assert [row.path for row in result.count.rows] == ["0", "1", "2"]


def test_int8_products():
    args = (torch.zeros(32, 16, dtype=torch.int8), torch.zeros(16, 24, dtype=torch.int8))
    for on in ("meta", "real"):
        result = count_model(Calls(torch._int_mm), args, on=on).count
        assert (result.totals.macs, result.totals.flops) == (32 * 16 * 24, 2 * 32 * 16 * 24)
        assert result.as_if_dense == {"aten::_int_mm": 1}
