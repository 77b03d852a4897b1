"""Decisions by clocks, ids, hashes and the environment, and generators wherever a model keeps them."""

from __future__ import annotations

import datetime
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from analyzer import count

LAYER = 2 * 8 * 8


class Decides(nn.Module):
    """A layer that runs once or twice."""

    def __init__(self, twice: Callable[[], Any]) -> None:
        super().__init__()
        self.layer, self.twice = nn.Linear(8, 8), twice

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(self.layer(x)) if self.twice() else self.layer(x)


class WithTimeLimit(nn.Module):
    """As many layers as fit into 20 milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        start = time.monotonic()
        while time.monotonic() - start < 0.02:
            x = self.layer(x)
        return x


DIFFERENT = {
    "the clock": lambda: int(time.time() * 1e6) % 2,
    "the clock, imported by name": lambda: int(perf_counter() * 1e7) % 2,
    "the clock in nanoseconds": lambda: time.time_ns() // 1000 % 2,
    "the clock as a date": lambda: datetime.datetime.now().microsecond % 2,
    "the id of an object": lambda: id(object()) // 16 % 2,
    "the hash of an object": lambda: hash(object()) % 2,
    "the hash of an object, a text": lambda: hash("expert 3") % 2,
    "the process id": lambda: os.getpid() % 2,
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_between_processes_and_decides_what_runs_is_a_strict_note(name, monkeypatch):
    monkeypatch.setattr("analyzer.counting.execution.clocks_and_ids.RANDOM_HASHES", True)
    (note,) = count(Decides(DIFFERENT[name]), torch.zeros(2, 8)).strict_notes
    assert note.startswith(f"{name.partition(',')[0].partition(' as ')[0].partition(' in ')[0]} decides what runs")
    assert str(LAYER) in note
    assert str(2 * LAYER) in note


def test_a_time_limit_is_a_strict_note():
    (note,) = count(WithTimeLimit(), torch.zeros(2, 8)).strict_notes
    assert note.startswith("the clock decides what runs")


SAME = {
    "a clock that is only logged": lambda: time.time() < 0,
    "an id that is compared": lambda: len({id(value) for value in (os, sys)}) == 2,
    "a date": lambda: isinstance(datetime.datetime.now(), datetime.datetime),
    "equal texts": lambda: hash("a" * 3) == hash("aaa"),
}


@pytest.mark.parametrize("name", SAME)
def test_what_decides_nothing_has_no_note(name):
    assert count(Decides(SAME[name]), torch.zeros(2, 8)).notes == ()


def test_clocks_and_ids_are_restored():
    before = (time.time, os.getpid, datetime.datetime, os.environ.encodekey, perf_counter)
    count(Decides(lambda: time.time() < 0), torch.zeros(2, 8))
    assert (time.time, os.getpid, datetime.datetime, os.environ.encodekey, perf_counter) == before
    assert "id" not in globals()
    assert "hash" not in globals()


def test_an_environment_variable_that_the_model_reads_is_named(monkeypatch):
    monkeypatch.setenv("LAYER_TWICE", "1")
    record = count(Decides(lambda: os.environ.get("LAYER_TWICE")), torch.zeros(2, 8))
    assert record.totals.macs == 2 * LAYER
    (note,) = record.notes
    assert "LAYER_TWICE" in note
    assert not note.strict


class Holder:
    def __init__(self, generator: Any) -> None:
        self.generator = generator


class Slotted:
    __slots__ = ("generator",)

    def __init__(self, generator: Any) -> None:
        self.generator = generator


HOLDER, SLOTTED = Holder(np.random.default_rng(1)), Slotted(random.Random(1))
CONTAINER = {"generators": [np.random.RandomState(1)]}


def in_closure() -> Callable[[], bool]:
    generator = torch.Generator().manual_seed(5)
    return lambda: torch.rand((), generator=generator).item() < 0.5


GENERATORS = {
    "object in the file": lambda: HOLDER.generator.random() < 0.5,
    "slots": lambda: SLOTTED.generator.random() < 0.5,
    "container": lambda: CONTAINER["generators"][0].rand() < 0.5,
    "closure": in_closure(),
    "made in forward": lambda: np.random.Generator(np.random.PCG64()).random() < 0.5,
    "seed of torch": lambda: torch.initial_seed() % 2,
}


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_found_wherever_a_model_keeps_them(name):
    (note,) = count(Decides(GENERATORS[name]), torch.zeros(2, 8)).strict_notes
    assert note.startswith("random numbers decide what runs")


@pytest.mark.slow
def test_the_hash_of_a_text_is_that_of_the_process():
    """With PYTHONHASHSEED the hash is the same in every process, so nothing is noted."""
    code = (
        "import torch, analyzer\nfrom tests.counting.execution.test_clocks_and_ids import Decides\n"
        "print(analyzer.count(Decides(lambda: hash('expert 3') % 2), torch.zeros(2, 8)).notes)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "0"}, capture_output=True, text=True
    )
    assert run.stdout.strip() == "()", run.stderr
