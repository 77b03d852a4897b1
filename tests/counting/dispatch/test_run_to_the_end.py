"""Models whose forward returns a generator or a coroutine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from analyzer import count
from analyzer.core.errors import AnalyzerError

LAYER = 2 * 8 * 8  # Two samples.


class Steps(NamedTuple):
    steps: Iterator[Tensor]
    number: int


@dataclass(frozen=True)
class Output:
    steps: Iterator[Tensor]
    parent: object = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "parent", self)


class Stream:
    def __init__(self, layer: nn.Module, x: Tensor) -> None:
        self.layer, self.x = layer, x

    def __iter__(self) -> Iterator[Tensor]:
        return (self.layer(self.x) for _ in range(3))


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)


class Yields(Layer):
    def forward(self, x: Tensor):
        for _ in range(3):
            x = self.layer(x)
            yield x


class YieldsInDict(Layer):
    def forward(self, x: Tensor):
        return {"steps": (self.layer(x) for _ in range(3))}


class YieldsInTuple(Layer):
    def forward(self, x: Tensor):
        return Steps((self.layer(x) for _ in range(3)), 3)


class YieldsInDataclass(Layer):
    def forward(self, x: Tensor):
        return Output(self.layer(x) for _ in range(3))


class Streams(Layer):
    """An object that runs the layer when it is iterated."""

    def forward(self, x: Tensor):
        return Stream(self.layer, x)


class Maps(Layer):
    def forward(self, x: Tensor):
        return map(self.layer, [x, x, x])


class Wraps(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Yields()

    def forward(self, x: Tensor):
        return self.inner(x)


class Awaits(Layer):
    async def forward(self, x: Tensor):
        for _ in range(3):
            await asyncio.sleep(0)
            x = self.layer(x)
        return x


class YieldsAsync(Layer):
    async def forward(self, x: Tensor):
        for _ in range(3):
            x = self.layer(x)
            yield x


UNCHAINED = [YieldsInDict, YieldsInTuple, YieldsInDataclass, Streams, Maps]


@pytest.mark.parametrize("model", [Yields, Wraps, Awaits, YieldsAsync, *UNCHAINED])
def test_what_forward_returns_is_run_to_its_end(model):
    record = count(model(), torch.zeros(2, 8), train=True, memory=True)
    chained = model not in UNCHAINED
    # Each step has the gradient of the weight, and a chained one after the first that of its input.
    assert (record.totals.macs, record.totals.backward_macs) == (3 * LAYER, (3 + 2 * chained) * LAYER)
    assert record.memory.activations > 0


RETURNED = {
    "closure": lambda layer, x: lambda: layer(x),
    "partial": lambda layer, x: {"next": [partial(layer, x)]},
    "method": lambda layer, x: (x, layer.forward),
    "module": lambda layer, x: layer,  # A hypernetwork.
}


@pytest.mark.parametrize("case", RETURNED)
def test_a_returned_function_is_noted(case):
    class Returns(Layer):
        def forward(self, x: Tensor):
            return RETURNED[case](self.layer, x)

    (note,) = count(Returns(), torch.zeros(2, 8)).strict_notes
    assert note == "the model itself returns a function or module, whose work is not counted"


def test_an_endless_generator_is_refused():
    class Endless(Layer):
        def forward(self, x: Tensor):
            while True:
                yield x

    with pytest.raises(AnalyzerError, match="items"):
        count(Endless(), torch.zeros(2, 8))
