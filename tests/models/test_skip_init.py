"""Building without initialization: no value of a weight is read that its own code did not give."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from analyzer.models.skip_init import initialized, skip_init


class Rates(nn.Module):
    """As Swin and ConvNeXt make their drop rates."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 3)]
        self.depth = int(torch.arange(5).sum())
        self.layers = nn.Sequential(*(nn.Linear(1000, 1000) for _ in range(self.depth)))


def test_constants_are_known_and_weights_take_no_memory():
    model = skip_init(Rates)
    assert model.rates == pytest.approx([0, 0.05, 0.1])
    assert model.depth == 0 + 1 + 2 + 3 + 4
    assert all(parameter.is_meta for parameter in model.parameters())


class Asks(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(128, 128, bias=False)
        nn.init.ones_(self.gate.weight)
        self.sum = self.read()

    def read(self) -> float:
        return self.gate.weight.sum().item()


def test_a_value_of_a_weight_is_that_of_its_initializer():
    model = skip_init(Asks)
    assert model.sum == 128 * 128
    assert model.gate.weight.sum() == 128 * 128


class Handles(Asks):
    def read(self) -> float:
        try:
            return super().read()
        except Exception:
            return -1.0


def test_a_handled_refusal_builds_the_same_model():
    assert skip_init(Handles).sum == 128 * 128


def test_tensors_on_the_processor_are_initialized():
    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.empty(100_000, device="cpu").fill_(3)

    assert skip_init(Table).table.unique().tolist() == [3]


def test_random_weights_are_seeded_and_the_callers_generators_restored():
    torch.manual_seed(7)
    random.seed(7)
    first, expected = initialized(lambda: nn.Linear(4, 4)), (torch.initial_seed(), random.getstate())
    second = initialized(lambda: nn.Linear(4, 4))
    assert torch.equal(first.weight, second.weight)
    assert (torch.initial_seed(), random.getstate()) == expected


def test_a_drawn_value_is_not_known():
    """The draw is made by the model's own code, from a fixed seed."""

    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drawn = torch.rand(3).sum().item()

    assert skip_init(Draws).drawn == skip_init(Draws).drawn == initialized(Draws).drawn


class Unfinished(nn.Module):
    """A configuration lacks a width: the model cannot be built anywhere."""

    built = 0

    def __init__(self) -> None:
        super().__init__()
        Unfinished.built += 1
        self.words = nn.Embedding(1 << 20, 1 << 20)  # 4 TB.
        self.scale = None**-0.5  # type: ignore[operator]


def test_an_error_that_no_value_can_change_is_raised_before_weights_are_initialized():
    with pytest.raises(TypeError, match="NoneType"):
        skip_init(Unfinished)
    assert Unfinished.built == 2, "on meta, and on meta with known values"


class HandlesThenFails(Asks):
    """The error that is raised in the end does not name the value that was refused."""

    def read(self) -> float:
        try:
            total = super().read()
        except Exception:
            total = None
        return total + 0.0


def test_an_error_after_a_handled_refusal_is_not_certain():
    assert skip_init(HandlesThenFails).sum == 128 * 128
