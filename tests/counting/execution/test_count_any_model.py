"""Where a model runs to be counted: meta or fake tensors, else real tensors with a note; the counts are equal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from analyzer import count
from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution import count_any_model
from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.execution.move_to_meta_or_fake import FAKE, REAL

MACS = 3 * 4 * 4


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.constants = [torch.ones(4)]


class Item(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y * 2 if y.sum().item() > 1e9 else y


class Branch(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Mask(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[x[:, 0] > 0])


class Nonzero(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[torch.nonzero(x[:, 0])[:, 0]])


class Listed(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.tensor(x.tolist())


class Numpy(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.from_numpy(np.ones(4, dtype=np.float32))


class ToNumpy(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.from_numpy(x.detach().numpy())


class InAList(OneLayer):
    """Tensors in a list stay where they are."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.constants[0]


class AsksForTheProcessor(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        assert x.device.type == "cpu"
        return self.layer(x)


class Gated(OneLayer):
    """A weight of its own decides: neither the inputs nor a shape says how."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if self.gate > 0 else x


NEED_VALUES = [Item, ToNumpy, Gated]


@pytest.mark.parametrize("kind", NEED_VALUES)
@pytest.mark.parametrize("train", [False, True])
def test_a_model_that_needs_values_is_counted_on_real_tensors_with_a_note(kind, train):
    result = count_model(kind(), (torch.ones(3, 4),), train=train)
    assert (result.count.totals.macs, result.count.totals.backward_macs) == (MACS, MACS if train else None)
    assert result.notes[0].startswith("counted on real tensors")
    with pytest.raises(AnalyzerError, match=f"{kind.__name__} does not run on 3x4 float32"):
        count_model(kind(), (torch.ones(3, 4),), train=train, on="meta")


@pytest.mark.parametrize("kind", [Branch, Mask, Nonzero, Listed])
@pytest.mark.parametrize("train", [False, True])
def test_a_model_that_needs_values_of_its_inputs_is_counted_on_meta(kind, train):
    result = count_model(kind(), (torch.ones(3, 4),), train=train)
    assert (result.count.totals.macs, result.count.totals.backward_macs) == (MACS, MACS if train else None)
    assert result.notes[0].startswith("counted on meta with the values of the inputs")
    with pytest.raises(AnalyzerError, match=f"{kind.__name__} does not run on 3x4 float32"):
        count_model(kind(), (torch.ones(3, 4),), train=train, on="meta")


@pytest.mark.parametrize("kind", [Numpy, InAList])
@pytest.mark.parametrize("train", [False, True])
def test_a_model_that_mixes_in_tensors_on_the_processor_is_counted_on_fake_tensors(kind, train):
    result = count_model(kind(), (torch.ones(3, 4),), train=train)
    assert (result.count.totals.macs, result.count.totals.backward_macs) == (MACS, MACS if train else None)
    assert result.notes[0].startswith("counted on fake tensors")


@pytest.mark.parametrize(("limit_s", "passes"), [(1e9, 1), (-1.0, 0)])
def test_fake_tensors_are_left_out_where_passes_on_meta_took_long(limit_s, passes, monkeypatch):
    """They take longest per operator: six times the processor time of a pass on meta."""
    monkeypatch.setattr(count_any_model, "MAX_BEFORE_FAKE_S", limit_s)
    seen: list[str] = []
    original = count_any_model._count_at
    monkeypatch.setattr(
        count_any_model, "_count_at", lambda place, *rest: (seen.append(place), original(place, *rest))[1]
    )
    result = count_model(Gated(), (torch.ones(3, 4),))
    assert seen.count(FAKE) == passes
    assert (seen[-1], result.count.totals.macs) == (REAL, MACS)


class AttendsAndReads(nn.Module):
    """Attention as libraries call it; a CPU's kernel leaves nothing to copy for `contiguous`."""

    def __init__(self, *, reads: bool) -> None:
        super().__init__()
        self.reads, self.out = reads, nn.Linear(8, 8)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if self.reads:
            x = x[:, : int(lengths.max())]
        heads = x.unflatten(-1, (2, 4)).transpose(1, 2)
        attended = nn.functional.scaled_dot_product_attention(heads, heads, heads)
        return self.out(attended.transpose(1, 2).contiguous().flatten(2))


def test_known_values_change_no_row():
    arguments = torch.ones(2, 5, 8), torch.tensor([3, 5])
    plain, reading = (count_model(AttendsAndReads(reads=reads).eval(), arguments) for reads in (False, True))
    assert [note.startswith("counted on meta with the values") for note in reading.notes] == [True]
    assert [(row.op, row.macs, row.bytes_read) for row in reading.count.rows if row.macs or row.op == "contiguous"] == [
        (row.op, row.macs, row.bytes_read) for row in plain.count.rows
    ]


def test_a_path_by_device_is_that_of_the_given_tensors():
    result = count_model(AsksForTheProcessor(), (torch.ones(3, 4),), train=False)
    assert (result.count.totals.macs, result.notes) == (MACS, ())


def test_values_of_the_inputs_decide_the_count():
    """A mask that keeps two rows of three."""
    source = torch.ones(3, 4)
    source[1] = -1
    assert count_model(Mask(), (source,)).count.totals.macs == 2 * 4 * 4


class Positions(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.arange(4) * torch.tensor([1.0, 2, 3, 4])


@pytest.mark.parametrize("train", [False, True])
def test_tensors_on_the_default_device_are_made_on_meta(train):
    result = count_model(Positions(), (torch.ones(3, 4),), train=train)
    assert (result.count.totals.macs, result.notes) == (MACS, ())
    assert result.count.rows == count_model(Positions(), (torch.ones(3, 4),), train=train, on="real").count.rows
    assert torch.get_default_device().type == "cpu"


def test_train_none_keeps_the_models_mode():
    model, source = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)), torch.zeros(5, 3)
    record = count(model, [source])
    assert (record.mode, record.rows[1].flops, record.totals.backward_macs) == ("training", 2 * 5 * 2, None)
    record = count(model.eval(), [source])
    assert (record.mode, record.rows[1].flops) == ("inference", 0)
    assert count(model, [source], train=True).rows[1].flops == 2 * 5 * 2
    assert not model.training


def test_the_record_has_the_notes():
    assert "counted on real tensors" in count(Item(), (torch.ones(3, 4),)).notes[0]
    assert count(Positions(), (torch.ones(3, 4),)).notes == ()


def test_nothing_is_allocated_on_meta():
    """A layer of 4 TB."""
    model = nn.Linear(1_000_000, 1_000_000, device="meta")
    result = count_model(model, (torch.empty(2, 1_000_000, device="meta"),), train=True)
    assert result.count.totals.macs == result.count.totals.backward_macs == 2 * 1_000_000**2
    assert result.count.totals.params == 1_000_000**2 + 1_000_000


def test_a_model_larger_than_memory_is_refused_before_it_is_built():
    """It needs values, which would take 4 TB."""

    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1_000_000, 1_000_000)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) if self.layer.bias.sum() > 0 else x

    def never() -> nn.Module:
        raise AssertionError("built")

    with torch.device("meta"):
        model = Large()
    with pytest.raises(AnalyzerError, match=r"3,725\.3 GiB"):
        count_model(model, (torch.zeros(2, 1_000_000),), real=never)


# --- fake tensors ----------------------------------------------------------------------------------------------------
def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))


def recurrent() -> nn.Module:
    return nn.LSTM(8, 5, batch_first=True)


@pytest.mark.parametrize(("make", "shape"), [(convolutional, (2, 3, 8, 8)), (recurrent, (2, 7, 8))])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("train", [None, False, True])
def test_fake_tensors_give_the_same_count(make, shape, inside, train):
    with FakeTensorMode() as mode:
        model, source = make(), torch.zeros(shape)
        fake = count_model(model, (source,), train=train) if inside else None
    fake = fake or count_model(model, (source,), train=train)
    assert fake.count == count_model(make(), (torch.zeros(shape),), train=train, on="real").count
    assert fake.notes == ()
    assert all(parameter.fake_mode is mode for parameter in model.parameters())


def test_a_model_on_fake_tensors_that_needs_values_is_refused():
    with FakeTensorMode(), pytest.raises(AnalyzerError, match="Branch does not run on 3x4 float32"):
        count_model(Branch(), (torch.zeros(3, 4),))


# --- models that fail ------------------------------------------------------------------------------------------------
def raised(model: nn.Module, *args: Any) -> AnalyzerError:
    with pytest.raises(AnalyzerError) as caught:
        count_model(model, args)
    return caught.value


def test_an_error_has_the_inputs_and_torchs_message():
    error = raised(nn.Conv2d(3, 4, 3), torch.zeros(2, 7))
    assert all(part in str(error) for part in ("Conv2d", "2x7 float32", "RuntimeError: Expected 3D"))
    assert "\n" not in str(error)
    assert error.details == (), "no frame is in the user's code"


def test_an_error_in_the_users_code_has_its_line():
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.no_such_thing

    error = raised(Wrong(), torch.zeros(2))
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_thing'" in str(error)
    (frame,) = error.details
    assert frame.startswith(f"  {__file__}:")
    assert frame.endswith(" in forward: return x.no_such_thing")


def test_an_error_without_a_message_is_named():
    class Silent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError

    assert "float32: ValueError;" in str(raised(Silent(), torch.zeros(2)))


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_an_error_of_the_model_is_not_looked_for_on_fake_tensors(device, monkeypatch):
    """Their first operator imports torch._dynamo, which takes a second: too long for a message about a wrong size."""
    count_at, tried = count_any_model._count_at, []

    def noted(place, *rest):
        tried.append(place)
        return count_at(place, *rest)

    monkeypatch.setattr(count_any_model, "_count_at", noted)
    with pytest.raises(AnalyzerError, match="mat1 and mat2"):
        count_model(nn.Linear(4, 4, device=device), (torch.ones(2, 5, device=device),))
    assert FAKE not in tried
    tried.clear()
    with pytest.raises(AnalyzerError, match="has no attribute"):
        count_model(Wrong(), (torch.ones(3, 4),))
    assert FAKE in tried


class Wrong(OneLayer):
    """The error on meta is that values are missing."""

    def forward(self, x: Tensor) -> Any:
        return self.layer(x).no_attribute if self.layer(x).sum() != 0 else x


@pytest.mark.filterwarnings("ignore")
def test_nested_tensors_without_shapes_are_refused_in_a_line():
    nested = torch.nested.nested_tensor([torch.zeros(2, 4), torch.zeros(3, 4)])
    with pytest.raises(AnalyzerError, match=r"nested float32: nested tensors .* layout=torch.jagged"):
        count(nn.Linear(4, 4), (nested,))
