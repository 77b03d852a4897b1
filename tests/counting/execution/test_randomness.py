"""Random numbers: counts are the same in every process, generators are restored, and chance that decides is noted."""

from __future__ import annotations

import os
import random

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analyzer import count

LAYER = 2 * 8 * 8


class Dropped(nn.Module):
    """Four layers, each run if `draws()` is below one half."""

    def __init__(self, draws) -> None:
        super().__init__()
        self.layers, self.draws = nn.ModuleList(nn.Linear(8, 8) for _ in range(4)), draws

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            if self.draws() < 0.5:
                x = layer(x)
        return x


HELD = {"python": random.Random(3), "numpy": np.random.default_rng(3), "torch": torch.Generator()}
LEGACY = np.random.RandomState(3)
IMPORTED = torch.Generator


def _new_generator(kind: type[torch.Generator]) -> torch.Generator:
    generator = kind()
    generator.seed()
    return generator


DRAWS = {
    "python": random.random,
    "numpy": lambda: np.random.rand(),
    "torch": lambda: torch.rand(()),
    "new seed": lambda: torch.seed() % 2,
    "new generator": lambda: torch.rand((), generator=_new_generator(torch.Generator)),
    "seed of a new generator": lambda: torch.Generator().seed() % 2,
    "new numpy generator": lambda: np.random.default_rng().random(),
}


def states() -> list[object]:
    numpy = [generator.bit_generator.state for generator in (HELD["numpy"],)]
    legacy = [state[1].tolist() for state in (np.random.get_state(), LEGACY.get_state())]
    tensors = [torch.get_rng_state().tolist(), HELD["torch"].get_state().tolist()]
    return [random.getstate(), HELD["python"].getstate(), *numpy, *legacy, *tensors]


@pytest.mark.parametrize("case", DRAWS)
def test_chance_that_decides_what_runs_is_noted_with_both_figures(case):
    model = Dropped(DRAWS[case])
    before, default_rng = states(), np.random.default_rng
    records = [count(model, torch.zeros(2, 8)) for _ in range(3)]
    assert (states(), np.random.default_rng) == (before, default_rng)
    assert len({record.totals.macs for record in records}) == 1
    for record in records:
        (note,) = record.strict_notes
        assert f"{record.totals.macs:,} MACs" in note


class Holds(Dropped):
    """Draws from generators of its own, which are the caller's and keep their state."""

    def __init__(self, kind: str) -> None:
        super().__init__(None)
        self.generator = HELD[kind] if kind != "legacy" else LEGACY
        if kind == "torch":
            self.draws = lambda: torch.rand((), generator=self.generator)
        else:
            self.draws = lambda: self.generator.random() if kind != "legacy" else self.generator.rand()


@pytest.mark.parametrize("kind", [*HELD, "legacy"])
def test_generators_of_a_model_are_restored(kind):
    model = Holds(kind)
    before = states()
    first, second = (count(model, torch.zeros(2, 8)) for _ in range(2))
    assert states() == before
    assert first.totals == second.totals
    assert any("another" in note for note in first.strict_notes)


def test_chance_that_decides_nothing_has_no_note():
    class Noise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            x = nn.functional.dropout(self.layer(x + torch.rand(8)), 0.5, training=True)
            return x * random.random() if float(x.sum()) < 1e9 else x

    assert count(Noise(), torch.zeros(2, 8)).strict_notes == ()


def test_a_mask_by_chance_is_noted():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x[torch.rand(len(x)) < 0.5])

    record = count(Masked(), torch.zeros(32, 8))
    assert any("another" in note for note in record.strict_notes)


def test_another_path_of_the_same_cost_is_a_note():
    class Routed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(8, 8) for _ in range(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.experts[random.randrange(4)](x)

    record = count(Routed(), torch.zeros(2, 8))
    assert record.totals.macs == LAYER
    assert record.strict_notes == ()
    assert any("other modules" in note for note in record.notes)


def test_dropped_layers_are_noted_in_training_only():
    class LayerDrop(Dropped):
        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                if not (self.training and torch.rand(()) < 0.5):
                    x = layer(x)
            return x

    model = LayerDrop(None)
    inference = count(model.eval(), torch.zeros(2, 8))
    assert (inference.totals.macs, inference.notes) == (4 * LAYER, ())
    training = count(model, torch.zeros(2, 8), train=True)
    assert any("another" in note for note in training.strict_notes)
    # The backward pass drops the same layers: twice the forward MACs but for the first, which has no input gradient.
    assert training.totals.backward_macs == 2 * training.totals.macs - LAYER


UNSEEDED = {
    "a new generator": lambda: random.Random().random(),
    "the system": lambda: random.SystemRandom().random(),
    "bytes of the system": lambda: os.urandom(1)[0] / 256,
    "a choice of a new generator": lambda: random.Random().choice([0, 1]),
    "a new legacy generator": lambda: np.random.RandomState().rand(),
}


@pytest.mark.parametrize("case", UNSEEDED)
def test_chance_that_has_no_seed_is_noted(case):
    """Of 5 passes over 4 layers, all run the same layers with a chance of 1/16⁴."""
    (note,) = count(Dropped(UNSEEDED[case]), torch.zeros(2, 8)).strict_notes
    assert "MACs with one seed" in note
    assert os.urandom.__name__ == "urandom"
    assert "random" not in vars(random.Random)


OF_FILE, PYTHON_OF_FILE = np.random.default_rng(5), random.Random(5)


class DroppedByFile(Dropped):
    """Draws from a variable of the file in which the class is."""


@pytest.mark.parametrize("draw", [lambda: OF_FILE.random(), lambda: PYTHON_OF_FILE.random(), lambda: LEGACY.rand()])
def test_generators_in_variables_of_a_file_are_noted_and_restored(draw):
    def state() -> list[str]:
        return [str(OF_FILE.bit_generator.state), str(PYTHON_OF_FILE.getstate()), *map(str, states())]

    model = DroppedByFile(draw)
    before = state()
    notes = {count(model, torch.zeros(2, 8)).strict_notes for _ in range(2)}
    assert (len(notes), state()) == (1, before)
    assert "with one seed" in str(notes)


def test_a_generator_of_a_class_imported_by_name_gives_other_counts():
    """Its seed is the system's in every pass."""
    model = Dropped(lambda: torch.rand((), generator=_new_generator(IMPORTED)))
    (note,) = count(model, torch.zeros(2, 8)).strict_notes
    assert "MACs" in note


def test_a_new_generator_with_a_given_seed_has_no_note():
    model = Dropped(lambda: torch.rand((), generator=torch.Generator().manual_seed(3)))
    records = [count(model, torch.zeros(2, 8)) for _ in range(2)]
    assert records[0].totals == records[1].totals
    assert not records[0].strict_notes
    assert isinstance(HELD["torch"], torch.Generator)
    assert torch.Generator is IMPORTED
