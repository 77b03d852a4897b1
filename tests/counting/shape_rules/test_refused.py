"""What torch's CPU kernels refuse and its meta kernels accept: no count, on meta or on fake tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer import AnalyzerError, count
from analyzer.counting.shape_rules.refused_types import _can_ask
from tests.counting.operators.calls import Calls

BOOLS, INTS, FLOATS = torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.int64), torch.ones(2, 2)
REFUSED = {
    "matmul of booleans": (lambda x: x @ x, BOOLS),
    "linear of booleans": (lambda x: F.linear(x, x), BOOLS),
    "tensordot of booleans": (lambda x: torch.tensordot(x, x, 1), BOOLS),
    "tensordot of two types": (lambda x: torch.tensordot(x, x.double(), 1), FLOATS),
    "einsum of booleans": (lambda x: torch.einsum("ij,jk->ik", x, x), BOOLS),
    "einsum of two types": (lambda x: torch.einsum("ij,jk->ik", x, x.double()), FLOATS),
    "einsum of two types, large": (lambda x: torch.einsum("ij,jk->ik", x, x.double()), torch.ones(300, 300)),
    "bilinear of two types": (lambda x: F.bilinear(x, x.double(), x.expand(2, 2, 2)), FLOATS),
    "distances of two types": (lambda x: torch.cdist(x, x.double()), FLOATS),
    "median of booleans": (lambda x: x.median(), BOOLS),
    "floor of booleans": (lambda x: x.floor(), BOOLS),
    "difference of booleans": (lambda x: x - x, BOOLS),
    "relu of booleans": (lambda x: x.relu(), BOOLS),
    "softmax of integers": (lambda x: x.softmax(0), INTS),
    "pool of booleans": (lambda x: F.max_pool2d(x[None], 1), BOOLS),
    "pool of complex numbers": (lambda x: F.avg_pool2d(x[None] * 1j, 1), FLOATS),
    "grid of two types": (lambda x: F.grid_sample(x[None, None].long(), x[None, None]), FLOATS),
    "mask with more batches than the scores": (
        lambda x: F.scaled_dot_product_attention(x[None, None], x[None, None], x[None, None], x.expand(3, 1, 2, 2)),
        FLOATS,
    ),
    "mask with more heads than the scores": (
        lambda x: F.scaled_dot_product_attention(x[None], x[None], x[None], x.expand(3, 2, 2)),
        FLOATS,
    ),
    "instance norm of integers": (lambda x: F.instance_norm(x[None]), INTS),
    "layer norm of integers": (lambda x: F.layer_norm(x, (2,)), INTS),
    "group norm of integers": (lambda x: F.group_norm(x, 1), INTS),
    "batch norm of complex numbers": (lambda x: F.batch_norm(x * 1j, None, None, training=True), FLOATS),
    "sum into an expanded tensor": (lambda x: x[:1].expand(2, 2).add_(x), FLOATS),
    "relu_ of an expanded tensor": (lambda x: x[:1].expand(2, 2).relu_(), FLOATS),
    "clamp without a limit": (lambda x: x.clamp(), FLOATS),
    "groups that do not divide": (lambda x: F.conv_transpose1d(x[None], x[..., None], groups=3), FLOATS),
    "dropout of complex numbers": (lambda x: F.dropout(x * 1j, 0.5, True), FLOATS),
    "scale factor that leaves no pixel": (lambda x: F.interpolate(x[None, None], scale_factor=0.05), FLOATS),
    "bilinear scale that leaves no pixel": (
        lambda x: F.interpolate(x[None, None], scale_factor=(1, 0.4), mode="bilinear"),
        FLOATS,
    ),
    "softmax over an axis too far": (lambda x: x.softmax(2), FLOATS),
    "softmax over an axis too far, transposed": (lambda x: x.mT.softmax(-3), FLOATS),
    "sort along an axis too far": (lambda x: x.sort(2), FLOATS),
    "slices of an axis too far": (lambda x: torch.slice_scatter(x, x[:1], 2), FLOATS),
    "scatter by an index of one axis": (lambda x: x.scatter_add(0, x[0].long(), x), FLOATS),
    "scatter with a sum by an index of one axis": (lambda x: x.scatter_reduce(0, x[0].long(), x, "sum"), FLOATS),
    "volumes divided by zero": (lambda x: F.avg_pool3d(x[None, None, None], 1, divisor_override=0), FLOATS),
    "output padding of a stride": (lambda x: F.conv_transpose1d(x[None], x[..., None], output_padding=1), FLOATS),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_refuses_is_not_counted(case):
    function, x = REFUSED[case]
    with pytest.raises((RuntimeError, NotImplementedError, IndexError)), torch.inference_mode():
        function(x.clone())
    with pytest.raises(AnalyzerError):
        count(Calls(function), (x,))


ACCEPTED = {
    "product of integers": (lambda x: x @ x, INTS, 8),
    "einsum of two types without a sum": (lambda x: torch.einsum("ij,ij->ij", x, x.double()), FLOATS, 0),
    "sum of two types": (lambda x: x + x.long(), FLOATS, 0),
    "power of integers": (lambda x: x**2, INTS, 0),
    "choice by booleans": (lambda x: torch.where(x > 0, x, 0), FLOATS, 0),
    "half precision": (lambda x: x.half() @ x.half(), FLOATS, 8),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_types_that_torch_accepts_are_counted_on_meta(case):
    function, x, macs = ACCEPTED[case]
    result = count(Calls(function), (x,))
    assert (result.count.totals.macs, result.notes) == (macs, ())


def written_once(x: Tensor) -> Tensor:
    return x[:1].expand(1, 2).add_(1) + x.mT.add_(1)


def test_views_in_which_no_elements_share_memory_are_written():
    assert count(Calls(written_once), (FLOATS,)).notes == ()


@pytest.mark.parametrize("name", ["linalg_ldl_solve", "lu_solve", "linalg_lu_solve", "lu_unpack"])
def test_kernels_that_read_pivots_are_not_asked_for_types(name):
    """On zeros, torch 2.7.1 was aborted by LAPACK: pivots count from 1."""
    assert not _can_ask(getattr(torch.ops.aten, name).default)
