"""One product, one count: every spelling of a contraction has the same MACs, forward and backward, on every device."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.operators.einsum_as_matmul import _as_products
from tests.counting.operators.calls import Calls, learned

BATCH, ROWS, COLUMNS = 2, 3, 5
Function = Callable[[Tensor, Tensor], Any]


def totals(function: Function, left: Tensor, right: Tensor, on: str, *, train: bool = True) -> tuple[int, int | None]:
    count = count_model(Calls(function), (left, right), train=train, on=on).count
    assert count.unknown_ops == {}
    return count.totals.macs, count.totals.backward_macs


# (rows, depth) · (depth, columns)
MATRICES: dict[str, Function] = {
    "@": lambda a, b: a @ b,
    "matmul": torch.matmul,
    "mm": torch.mm,
    "einsum": lambda a, b: torch.einsum("nk,km->nm", a, b),
    "einsum, implicit output": lambda a, b: torch.einsum("nk,km", a, b),
    "einsum, transposed output": lambda a, b: torch.einsum("nk,km->mn", a, b),
    "einsum, by lists": lambda a, b: torch.einsum(a, [0, 1], b, [1, 2], [0, 2]),
    "linear": lambda a, b: F.linear(a, b.mT),
    "inner": lambda a, b: torch.inner(a, b.mT),
    "tensordot": lambda a, b: torch.tensordot(a, b, 1),
    "addmm": lambda a, b: torch.addmm(a.new_zeros(ROWS, COLUMNS), a, b),
    "addmm_": lambda a, b: a.new_zeros(ROWS, COLUMNS).addmm_(a, b),
    "multi_dot": lambda a, b: torch.linalg.multi_dot([a, b]),
    "chain_matmul": torch.chain_matmul,
    "vecdot": lambda a, b: torch.linalg.vecdot(a[:, None, :], b.mT[None]),
    "vecdot along the first axis": lambda a, b: torch.linalg.vecdot(a.mT[:, :, None], b[:, None, :], dim=0),
    "conv1d of kernel 1": lambda a, b: F.conv1d(a.mT[None], b.mT[:, :, None]),
}
# (batch, rows, depth) · (batch, depth, columns)
BATCHES: dict[str, Function] = {
    "@": lambda a, b: a @ b,
    "bmm": torch.bmm,
    "baddbmm": lambda a, b: torch.baddbmm(a.new_zeros(BATCH, ROWS, COLUMNS), a, b),
    "baddbmm_": lambda a, b: a.new_zeros(BATCH, ROWS, COLUMNS).baddbmm_(a, b),
    "addbmm": lambda a, b: torch.addbmm(a.new_zeros(ROWS, COLUMNS), a, b),
    "addbmm_": lambda a, b: a.new_zeros(ROWS, COLUMNS).addbmm_(a, b),
    "einsum": lambda a, b: torch.einsum("bnk,bkm->bnm", a, b),
    "einsum, with an ellipsis": lambda a, b: torch.einsum("...nk,...km->...nm", a, b),
    "a product for each sample": lambda a, b: torch.stack([x @ y for x, y in zip(a, b, strict=True)]),
}
# (depth) · (depth)
VECTORS: dict[str, Function] = {
    "@": lambda a, b: a @ b,
    "dot": torch.dot,
    "vdot": torch.vdot,
    "inner": torch.inner,
    "vecdot": torch.linalg.vecdot,
    "einsum": lambda a, b: torch.einsum("k,k->", a, b),
    "tensordot": lambda a, b: torch.tensordot(a, b, 1),
}
# (rows, depth) · (depth)
MATRIX_VECTOR: dict[str, Function] = {
    "@": lambda a, b: a @ b,
    "mv": torch.mv,
    "addmv": lambda a, b: torch.addmv(a.new_zeros(ROWS), a, b),
    "addmv_": lambda a, b: a.new_zeros(ROWS).addmv_(a, b),
    "inner": torch.inner,
    "einsum": lambda a, b: torch.einsum("nk,k->n", a, b),
    "vecdot": torch.linalg.vecdot,
    "linear": lambda a, b: F.linear(a, b),
}


@pytest.mark.parametrize("on", ["meta", "real"])
@pytest.mark.parametrize("depth", [7, 1])
@pytest.mark.parametrize(
    ("spellings", "left", "right"),
    [
        (MATRICES, (ROWS, -1), (-1, COLUMNS)),
        (BATCHES, (BATCH, ROWS, -1), (BATCH, -1, COLUMNS)),
        (VECTORS, (-1,), (-1,)),
        (MATRIX_VECTOR, (ROWS, -1), (-1,)),
    ],
    ids=["matrices", "batches", "vectors", "matrix and vector"],
)
def test_every_spelling_has_the_same_macs(spellings, left, right, depth, on):
    """Also where the summed axis has one element, which torch's einsum multiplies elementwise under autograd."""
    shapes = [[depth if size < 0 else size for size in shape] for shape in (left, right)]
    macs = prod(size for size in left if size > 0) * prod(size for size in right[-1:] if size > 0) * depth
    counts = {name: totals(function, *(learned(*s) for s in shapes), on) for name, function in spellings.items()}
    assert counts == dict.fromkeys(spellings, (macs, 2 * macs))


ELEMENTWISE: dict[str, Function] = {
    "outer": torch.outer,
    "tensordot without axes": lambda a, b: torch.tensordot(a, b, 0),
    "tensordot without axes, by lists": lambda a, b: torch.tensordot(a, b, dims=([], [])),
    "ger": torch.ger,
    "einsum": lambda a, b: torch.einsum("i,j->ij", a, b),
    "addr": lambda a, b: torch.addr(a.new_zeros(len(a), len(b)), a, b),
    "broadcast": lambda a, b: a[:, None] * b,
    "einsum, a sum before the product": lambda a, b: torch.einsum("i,j->i", a, b),
    "inner with a number": lambda a, b: torch.inner(a, b[0]),
    "kron": torch.kron,
}


@pytest.mark.parametrize("on", ["meta", "real"])
def test_without_a_shared_summed_axis_it_is_elementwise(on):
    counts = {
        name: totals(function, learned(3), learned(5), on, train=False)[0] for name, function in ELEMENTWISE.items()
    }
    assert counts == dict.fromkeys(ELEMENTWISE, 0)


EINSUMS: dict[str, tuple[str, tuple[tuple[int, ...], ...], int]] = {
    "scores": ("bhid,bhjd->bhij", ((2, 3, 5, 7), (2, 3, 11, 7)), 2 * 3 * 5 * 11 * 7),
    "three operands, in order": ("ij,jk,kl->il", ((3, 7), (7, 5), (5, 11)), 3 * 7 * 5 + 3 * 5 * 11),
    "a sum before the product": ("ijx,jk->ik", ((3, 7, 2), (7, 5)), 3 * 7 * 5),
    "two summed axes": ("abc,bcd->ad", ((3, 5, 7), (5, 7, 11)), 3 * 5 * 7 * 11),
    "a number": ("ij,ij->", ((3, 7), (3, 7)), 3 * 7),
    "a diagonal": ("ii,ij->j", ((3, 3), (3, 5)), 3 * 5),
    "a broadcast batch": ("...ij,...jk->...ik", ((2, 1, 3, 7), (11, 7, 5)), 2 * 11 * 3 * 7 * 5),
    "elementwise": ("ij,ij->ij", ((3, 7), (3, 7)), 0),
    "a trace": ("ii->", ((3, 3),), 0),
    "a transpose": ("ij->ji", ((3, 7),), 0),
    "only the first pair is elementwise": ("i,i,i->", ((7,), (7,), (7,)), 7),
}


@pytest.mark.parametrize("name", EINSUMS)
@pytest.mark.parametrize("on", ["meta", "real"])
def test_einsums(name, on):
    equation, shapes, macs = EINSUMS[name]

    class Einsum(nn.Module):
        def forward(self, *operands: Tensor) -> Tensor:
            return torch.einsum(equation, *operands)

    assert count_model(Einsum(), tuple(map(torch.zeros, shapes)), on=on).count.totals.macs == macs


REWRITTEN = {
    "bhid,bhjd->bhij": ((2, 3, 5, 1), (2, 3, 4, 1)),
    "ij,jk": ((3, 1), (1, 4)),
    "...ij,...jk->...ik": ((2, 3, 1), (2, 1, 4)),
    "i,i->": ((1,), (1,)),
    "ij,kj->ki": ((3, 1), (5, 1)),
    "ij,jk,kl->il": ((3, 1), (1, 5), (5, 2)),
    "ab,cb->": ((2, 1), (3, 1)),
    "ab,bc,cd,de->ea": ((2, 1), (1, 3), (3, 4), (4, 2)),
    "kij,jk->ki": ((2, 3, 1), (1, 2)),
}


@pytest.mark.parametrize("equation", REWRITTEN)
def test_an_einsum_rewritten_as_products_has_the_same_values(equation):
    torch.manual_seed(0)
    operands = [torch.randn(shape) for shape in REWRITTEN[equation]]
    rewritten = _as_products(equation, operands, torch.einsum)
    torch.testing.assert_close(rewritten, torch.einsum(equation, *operands))
