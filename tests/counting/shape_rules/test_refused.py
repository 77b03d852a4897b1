"""What torch's CPU kernels refuse and its meta kernels accept: no count, on meta or on fake tensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer import AnalyzerError, count
from tests.counting.operators.calls import Calls

BOOLS, INTS, FLOATS = torch.ones(2, 2, dtype=torch.bool), torch.ones(2, 2, dtype=torch.int64), torch.ones(2, 2)
REFUSED = {
    "matmul of booleans": (lambda x: x @ x, BOOLS),
    "linear of booleans": (lambda x: F.linear(x, x), BOOLS),
    "tensordot of booleans": (lambda x: torch.tensordot(x, x, 1), BOOLS),
    "tensordot of two types": (lambda x: torch.tensordot(x, x.double(), 1), FLOATS),
    "layer norm of integers": (lambda x: F.layer_norm(x, (2,)), INTS),
    "group norm of integers": (lambda x: F.group_norm(x, 1), INTS),
    "batch norm of complex numbers": (lambda x: F.batch_norm(x * 1j, None, None, training=True), FLOATS),
    "sum into an expanded tensor": (lambda x: x[:1].expand(2, 2).add_(x), FLOATS),
    "relu_ of an expanded tensor": (lambda x: x[:1].expand(2, 2).relu_(), FLOATS),
    "clamp without a limit": (lambda x: x.clamp(), FLOATS),
    "groups that do not divide": (lambda x: F.conv_transpose1d(x[None], x[..., None], groups=3), FLOATS),
    "output padding of a stride": (lambda x: F.conv_transpose1d(x[None], x[..., None], output_padding=1), FLOATS),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED)
def test_what_torch_refuses_is_not_counted(case):
    function, x = REFUSED[case]
    with pytest.raises((RuntimeError, NotImplementedError)), torch.inference_mode():
        function(x.clone())
    with pytest.raises(AnalyzerError):
        count(Calls(function), (x,))


def written_once(x: Tensor) -> Tensor:
    return x[:1].expand(1, 2).add_(1) + x.mT.add_(1)


def test_views_in_which_no_elements_share_memory_are_written():
    assert count(Calls(written_once), (FLOATS,)).notes == ()
