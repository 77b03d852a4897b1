"""Operators that a model hides from torch's dispatch modes, and work in NumPy on arrays that it holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import _disable_current_modes

from analyzer import count


class Calls(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor):
        return self.function(self.layer(x))


BLOCKS = {
    "_disable_current_modes": _disable_current_modes,
    "no_dispatch": lambda: no_dispatch(),
    "_DisableTorchDispatch": lambda: torch._C._DisableTorchDispatch(),
    "exclude keys": lambda: torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.Python)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_without_dispatch_modes_is_a_strict_note(name):
    def hides(x: Tensor) -> Tensor:
        with BLOCKS[name]():
            x @ x.mT
        return x

    (note,) = count(Calls(hides), torch.zeros(2, 8)).strict_notes
    assert "dispatch modes" in note


def test_keys_that_do_not_hide_operators_have_no_note():
    def excludes(x: Tensor) -> Tensor:
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.ADInplaceOrView)):
            return x * 2

    assert count(Calls(excludes), torch.zeros(2, 8)).notes == ()


TABLE = torch.ones(8, 8)
VIEW = TABLE.numpy()  # Made before the count, so that the count sees no tensor leave torch.


def written(x: Tensor) -> Tensor:
    VIEW[:] = VIEW @ VIEW
    return x @ TABLE


ARRAYS = {
    "written in place": written,
    "from_numpy": lambda x: x @ torch.from_numpy(VIEW @ VIEW),
    "tensor": lambda x: x @ torch.tensor((VIEW @ VIEW).tolist()),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_work_on_an_array_that_the_model_holds_is_a_strict_note(name):
    before = VIEW.copy()
    try:
        (note,) = count(Calls(ARRAYS[name]), torch.zeros(2, 8)).strict_notes
        assert "NumPy array" in note
    finally:
        VIEW[:] = before


class Normalized(nn.Module):
    """Constants as NumPy arrays, which many image models hold."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = np.array([0.5, 0.4, 0.3], np.float32)

    def forward(self, x: Tensor) -> Tensor:
        return (x - torch.tensor(self.mean)[:, None, None]) / torch.from_numpy(self.mean)[:, None, None]


def test_an_array_that_becomes_a_tensor_as_it_is_has_no_note():
    assert count(Normalized(), torch.zeros(1, 3, 4, 4)).strict_notes == ()


def test_a_product_with_memory_that_no_other_code_wrote_has_no_note():
    record = count(Calls(lambda x: x @ torch.empty(8, 8)), torch.zeros(2, 8))
    assert (record.totals.macs, record.notes) == (2 * 2 * 8 * 8, ())


def test_dropout_of_each_sample_under_vmap_has_no_note():
    dropout = torch.vmap(lambda row: nn.functional.dropout(row, 0.5, training=True), randomness="different")
    record = count(Calls(dropout), torch.zeros(2, 8), train=True)
    assert (record.totals.macs, record.totals.backward_macs, record.notes) == (2 * 8 * 8, 2 * 8 * 8, ())
