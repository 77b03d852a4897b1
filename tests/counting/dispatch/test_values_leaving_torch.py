"""Values that leave torch and tensors made of data, memory that no operator wrote, and unused parameters."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analyzer import count
from analyzer.counting.dispatch.counter import count_pass


class Calls(nn.Module):
    """A layer, and a function of its output."""

    def __init__(self, function) -> None:
        super().__init__()
        self.layer, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor):
        return self.function(self.layer(x))


def notes(function, x: Tensor | None = None) -> list[tuple[bool, str]]:
    counted = count_pass(Calls(function), [torch.zeros(2, 8) if x is None else x])
    return [(note.strict, note) for note in counted.notes]


def copied_by_address(x: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    ctypes.memmove(out.data_ptr(), x.data_ptr(), x.nbytes)
    return out


def multiplied_in_place(x: Tensor) -> Tensor:
    out = torch.empty(2, 2)
    np.matmul(x.numpy(), x.numpy().T, out=out.numpy())
    return out * 2


def written_by_numpy(x: Tensor) -> Tensor:
    array = x.numpy()
    array[:] = array @ np.ones((8, 8), np.float32)
    return x * 2


def written_by_numpy_then_by_torch(x: Tensor) -> Tensor:
    array = np.asarray(x)
    array += array @ np.ones((8, 8), np.float32)
    return x.mul_(2)


COME_BACK = {
    "shared memory": written_by_numpy,
    "shared memory, then an operator": written_by_numpy_then_by_torch,
    "from_numpy": lambda x: torch.from_numpy(x.numpy() @ x.numpy().T),
    "as_tensor": lambda x: torch.as_tensor(np.tanh(np.asarray(x))),
    "tensor": lambda x: torch.tensor(x.numpy() * 2),
    "new_tensor": lambda x: x.new_tensor(x.numpy() * 2),
    "frombuffer": lambda x: torch.frombuffer(bytearray(x.numpy().tobytes()), dtype=torch.float32),
    "dlpack": lambda x: torch.from_dlpack(np.from_dlpack(x).copy()),
    "list": lambda x: torch.tensor([[math.tanh(value) for value in row] for row in x.tolist()]),
    "items": lambda x: torch.tensor([value.item() * 2 for value in x.flatten()]),
    "chosen in numpy": lambda x: x[:, torch.from_numpy(np.argsort(x.numpy()[0]))],
    "address": copied_by_address,
    "storage": lambda x: torch.frombuffer(bytearray(bytes(x.untyped_storage())), dtype=torch.float32),
    "typed storage": lambda x: torch.tensor([value * 2 for value in x.storage()]),
    "address of a storage": lambda x: x * (x.untyped_storage().data_ptr() % 2),
    "in place": multiplied_in_place,
}


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("case", COME_BACK)
def test_values_that_leave_and_come_back_are_a_strict_note(case):
    found = notes(COME_BACK[case], torch.ones(2, 8))
    assert any(strict and ("converts tensors" in note or "memory" in note) for strict, note in found)


def aliased(x: Tensor) -> Tensor:
    """A product unless both tensors are the same memory; on meta all addresses are 0."""
    y = x.clone()
    return x if x.data_ptr() == y.data_ptr() else x @ y.mT


def aliased_storage(x: Tensor) -> Tensor:
    y = x.clone()
    return x if x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr() else x @ y.mT


def caught(x: Tensor) -> Tensor:
    try:
        return aliased(x)
    except RuntimeError:
        return x


@pytest.mark.parametrize("function", [aliased, aliased_storage, caught])
def test_addresses_are_those_of_real_tensors(function):
    record = count(Calls(function), (torch.zeros(2, 8),))
    assert record.totals.macs == 2 * 8 * 8 + 2 * 2 * 8
    assert record.notes[0].startswith("counted on real tensors")


def printed(x: Tensor) -> Tensor:
    str(x)
    f"{x.sum().item():.3f}"
    return x


def logged_then_written(x: Tensor) -> Tensor:
    x.numpy().mean()
    return x.mul_(2).add_(1)


def logged(x: Tensor) -> Tensor:
    x.numpy().mean()
    return x * torch.tensor(2.0)  # A constant.


LEAVE_ONLY = {
    "logged": logged,
    "logged, then in place": logged_then_written,
    "sizes": lambda x: x.split(torch.tensor([1, 1]).tolist()),
    "positions": lambda x: x[torch.tensor(torch.arange(2).tolist())],
}


@pytest.mark.parametrize("case", LEAVE_ONLY)
def test_values_that_only_leave_are_a_note(case):
    ((strict, note),) = notes(LEAVE_ONLY[case])
    assert not strict
    assert "converts tensors" in note


NOTHING = {
    "printed": printed,
    "constants": lambda x: x * torch.tensor([1.0, 2.0]).sum() + torch.from_numpy(np.ones(8, np.float32)),
    "written memory": lambda x: torch.empty(2, 8).copy_(x) + x.new_empty(2, 8).fill_(1),
    "output argument": lambda x: torch.add(x, x, out=torch.empty(2, 8)) * 2,
    "written in parts": lambda x: nn.functional.pad(x, (1, 1)) + torch.empty(2, 10).index_fill_(0, torch.arange(2), 1),
    "shape of memory": lambda x: x + torch.zeros_like(torch.empty(2, 8)),
    "length": lambda x: x[: int(torch.tensor(1))],
}


@pytest.mark.parametrize("case", NOTHING)
def test_what_stays_in_torch_has_no_note(case):
    assert notes(NOTHING[case]) == []


def test_the_note_names_the_module():
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Calls(lambda x: torch.from_numpy(x.numpy() * 2))

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    (note,) = count_pass(Outer(), [torch.zeros(2, 8)]).notes
    assert note.startswith("inner converts ")


def test_memory_that_an_extension_fills_is_noted():
    """As by a kernel of CUDA or C++ that gets tensors of `torch.empty`."""
    ((strict, note),) = notes(lambda x: torch.empty(2, 8))
    assert strict
    assert "memory" in note


def test_a_count_of_a_model_that_computes_in_numpy_has_the_note():
    # 2·8·8; the products in numpy, 2·2·8 each, are not counted.
    record = count(Calls(lambda x: torch.from_numpy(x.numpy() @ x.numpy().T @ x.numpy())), torch.zeros(2, 8))
    assert record.totals.macs == 2 * 8 * 8
    assert any("converts tensors" in note for note in record.strict_notes)


@pytest.mark.parametrize("case", ["list", "items", "tensor", "from_numpy"])
def test_a_model_that_reads_its_input_has_the_note_wherever_it_is_counted(case):
    """The values of an input are known on meta too, where tensors made of data are other operators."""

    class Reads(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return COME_BACK[case](x)

    assert any("converts tensors" in note for note in count(Reads(), torch.ones(3, 8)).strict_notes)


class Towers(nn.Module):
    """A vision tower that may get no image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.text = nn.Linear(8, 8, bias=False)
        self.vision = nn.Sequential(nn.Linear(8, width, bias=False), nn.ReLU(), nn.Linear(width, 8, bias=False))
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor, image: Tensor | None = None) -> Tensor:
        return self.norm(self.text(x) if image is None else self.text(x) + self.vision(image))


def test_parameters_that_were_not_used_are_noted_with_their_share():
    model, x = Towers(24), torch.zeros(2, 8)
    (note,) = count(model, (x,)).notes
    # 2·8·24 = 384 of 384 + 64 + 16.
    assert f"{100 * 384 / 464:.1f} %" in note
    assert note.endswith("in vision")
    assert not note.strict
    assert count(model, (x, x)).notes == ()


def test_a_small_share_of_unused_parameters_is_not_noted():
    class Large(Towers):
        def __init__(self) -> None:
            super().__init__(1)
            self.text = nn.Linear(8, 8 * 64, bias=False)
            self.norm = nn.Identity()

    # 16 of 16 + 4096.
    assert count(Large(), torch.zeros(2, 8)).notes == ()
