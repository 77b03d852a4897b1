"""Where a model runs to be counted: on meta, on fake tensors, else on real ones with a note; the same answer in all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from analyzer import count
from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.run import count_model

MACS = 3 * 4 * 4


class One(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.constants = [torch.ones(4)]


class Item(One):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y * 2 if y.sum().item() > 1e9 else y


class Branch(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) if x.sum() > 0 else x


class Mask(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[x[:, 0] > 0])


class Nonzero(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x[torch.nonzero(x[:, 0])[:, 0]])


class Listed(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.tensor(x.tolist())


class Numpy(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.from_numpy(np.ones(4, dtype=np.float32))


class ToNumpy(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.from_numpy(x.detach().numpy())


class InAList(One):
    """Tensors in a list are not the module's own to move."""

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.constants[0]


class AsksForTheProcessor(One):
    def forward(self, x: Tensor) -> Tensor:
        assert x.device.type == "cpu"
        return self.layer(x)


NEED_VALUES = [Item, Branch, Mask, Nonzero, Listed, Numpy, ToNumpy, InAList, AsksForTheProcessor]


@pytest.mark.parametrize("kind", NEED_VALUES)
@pytest.mark.parametrize("train", [False, True])
def test_what_needs_values_is_counted_on_real_tensors_and_says_so(kind, train):
    found = count_model(kind(), (torch.ones(3, 4),), train=train)
    assert (found.count.totals.macs, found.count.totals.backward_macs) == (MACS, MACS if train else None)
    (note,) = found.notes
    assert note.startswith("counted on real tensors: on meta it raised ")
    with pytest.raises(AnalyzerError, match=f"{kind.__name__} does not run on 3x4 float32"):
        count_model(kind(), (torch.ones(3, 4),), train=train, on="meta")


def test_values_decide_what_is_counted_there():
    """A mask that keeps two rows of three."""
    source = torch.ones(3, 4)
    source[1] = -1
    assert count_model(Mask(), (source,)).count.totals.macs == 2 * 4 * 4


class Positions(One):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + torch.arange(4) * torch.tensor([1.0, 2, 3, 4])


@pytest.mark.parametrize("train", [False, True])
def test_tensors_on_the_default_device_are_made_on_meta_at_the_second_attempt(train):
    found = count_model(Positions(), (torch.ones(3, 4),), train=train)
    assert (found.count.totals.macs, found.notes) == (MACS, ())
    assert found.count.rows == count_model(Positions(), (torch.ones(3, 4),), train=train, on="real").count.rows
    assert torch.get_default_device().type == "cpu"


def test_the_record_says_how_it_was_counted():
    assert "counted on real tensors" in count(Item(), (torch.ones(3, 4),)).notes[0]
    assert count(Positions(), (torch.ones(3, 4),)).notes == ()


def test_nothing_is_allocated_on_meta():
    """A layer of 4 TB."""
    model = nn.Linear(1_000_000, 1_000_000, device="meta")
    found = count_model(model, (torch.empty(2, 1_000_000, device="meta"),), train=True)
    assert found.count.totals.macs == found.count.totals.backward_macs == 2 * 1_000_000**2
    assert found.count.totals.params == 1_000_000**2 + 1_000_000


def test_what_would_not_fit_is_refused_before_it_is_built():
    """It needs values, and to have them it would have to be 4 TB large."""

    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(1_000_000, 1_000_000)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x) if x.sum() > 0 else x

    def never() -> nn.Module:
        raise AssertionError("built")

    with torch.device("meta"):
        model = Large()
    with pytest.raises(
        AnalyzerError, match=r"does not run on meta .*it would take 3,725\.3 GiB, where [\d.]+ are free"
    ):
        count_model(model, (torch.zeros(2, 1_000_000),), real=never)


# --- fake tensors ----------------------------------------------------------------------------------------------------
def convolutional() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))


def recurrent() -> nn.Module:
    return nn.LSTM(8, 5, batch_first=True)


@pytest.mark.parametrize(("make", "shape"), [(convolutional, (2, 3, 8, 8)), (recurrent, (2, 7, 8))])
@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("train", [None, False, True])
def test_fake_tensors_give_the_same_answer(make, shape, inside, train):
    with FakeTensorMode() as mode:
        model, source = make(), torch.zeros(shape)
        fake = count_model(model, (source,), train=train) if inside else None
    fake = fake or count_model(model, (source,), train=train)
    assert fake.count == count_model(make(), (torch.zeros(shape),), train=train, on="real").count
    assert fake.notes == ()
    assert all(parameter.fake_mode is mode for parameter in model.parameters())


def test_fake_tensors_that_need_values_are_refused_in_words():
    with FakeTensorMode(), pytest.raises(AnalyzerError, match="Branch does not run on 3x4 float32"):
        count_model(Branch(), (torch.zeros(3, 4),))


# --- a model that is wrong -------------------------------------------------------------------------------------------
def raised(model: nn.Module, *args: Any) -> AnalyzerError:
    with pytest.raises(AnalyzerError) as caught:
        count_model(model, args)
    return caught.value


def test_an_error_tells_what_was_fed_and_torchs_own_words():
    error = raised(nn.Conv2d(3, 4, 3), torch.zeros(2, 7))
    assert str(error).startswith("Conv2d does not run on 2x7 float32: RuntimeError: Expected 3D (unbatched) or 4D")
    assert "\n" not in str(error)
    assert error.details == (), "no frame is the user's"


def test_an_error_in_the_users_code_shows_where():
    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.no_such_thing

    error = raised(Wrong(), torch.zeros(2))
    assert "AttributeError: 'Tensor' object has no attribute 'no_such_thing'" in str(error)
    (frame,) = error.details
    assert frame.startswith(f"  {__file__}:")
    assert frame.endswith(" in forward: return x.no_such_thing")


def test_an_error_without_words_is_named():
    class Silent(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError

    assert "float32: ValueError; if it takes another, give" in str(raised(Silent(), torch.zeros(2)))
