"""One pass of a prepared model, timed whole or cut: what a sample is. Inference is a forward pass, training a step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, nn
from torch.optim import Optimizer

from analyzer.counting.dispatch.module_names import paths_of
from analyzer.records.timings import Phase
from analyzer.timing.clock.clocks import Clock
from analyzer.timing.clock.sampling import Over
from analyzer.timing.passes.backward import NOWHERE, Backward, sequence_number
from analyzer.timing.passes.instrument import Cut
from analyzer.timing.passes.tiles import Tile

Key = tuple[Phase, str, str, int]  # Phase, path, op and call: what a tile is called in a record.


class Pass(Protocol):
    """`whole` is one un-instrumented pass in seconds, `held` until it is issued where the clock can do that; `cut` one
    such pass by key, the gap among them."""

    def whole(self, *, held: bool = False) -> float: ...

    def cut(self) -> dict[Key, float]: ...


class Changed(Over):
    """A pass ran other operators than the one that was counted, so that its parts have no names."""


class Inference:
    """Forward passes. The caller has set inference mode."""

    def __init__(self, run: Callable[[], Any], model: nn.Module, tiles: Sequence[Tile], clock: Clock) -> None:
        self.run, self.model, self.clock = run, model, clock
        self.keys: list[Key] = [("forward", tile.path, tile.op, tile.call) for tile in tiles]
        self.counted = [tile.ran for tile in tiles]
        self.cutter = Cut(clock.mark)
        self.process = os.getpid()

    def whole(self, *, held: bool = False) -> float:
        self.clock.hold() if held else self.clock.settle()
        mark = self.clock.mark
        marks = [mark()]
        self.run()
        marks.append(mark())
        no_twin(self.process)
        return self.clock.seconds(marks)[-1]

    def cut(self) -> dict[Key, float]:
        cutter = self.cutter
        with cutter.installed(self.model), cutter:
            self.clock.hold()
            cutter.ran.clear()
            cutter.marks = [cutter.mark()]
            self.run()
            cutter.marks.append(cutter.mark())
        no_twin(self.process)
        _same(cutter.ran, self.counted)
        return _added(self.clock.seconds(cutter.marks), self.keys, "forward")


class Training:
    """Steps: forward pass and loss, backward pass, optimizer. What cuts a step is put on between, unmeasured."""

    def __init__(
        self,
        loss: Callable[[], Tensor],
        model: nn.Module,
        optimizer: Optimizer,
        tiles: Sequence[Tile],
        clock: Clock,
    ) -> None:
        self.loss, self.model, self.optimizer, self.clock = loss, model, optimizer, clock
        self.keys: list[Key] = [("forward", tile.path, tile.op, tile.call) for tile in tiles]
        self.counted = [tile.ran for tile in tiles]
        self.backward: list[Key] = [("backward", tile.path, tile.op, tile.call) for tile in tiles]
        owners = paths_of(model)
        self.parameters: dict[int, int] = {}
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                if id(parameter) not in self.parameters:
                    self.parameters[id(parameter)] = len(self.parameters)
                    self.backward.append(("backward", owners[id(module)], "accumulate_grad", 1))
        self.cutter = Cut(self._numbered)
        self.process = os.getpid()

    def _numbered(self) -> tuple[Any, int]:
        return self.clock.mark(), sequence_number()

    def _step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def whole(self, *, held: bool = False) -> float:
        self.clock.hold() if held else self.clock.settle()
        mark = self.clock.mark
        marks = [mark()]
        self.loss().backward()  # type: ignore[no-untyped-call]
        self._step()
        marks.append(mark())
        no_twin(self.process)
        return self.clock.seconds(marks)[-1]

    def cut(self) -> dict[Key, float]:
        cutter, mark = self.cutter, self.clock.mark
        with cutter.installed(self.model), cutter:
            self.clock.hold()
            cutter.ran.clear()
            cutter.marks = [cutter.mark()]
            loss = self.loss()
            cutter.marks.append(cutter.mark())
        no_twin(self.process)
        _same(cutter.ran, self.counted)
        numbers = [number for _, number in cutter.marks]
        times = _added(self.clock.seconds([at for at, _ in cutter.marks]), self.keys, "forward")
        backward = Backward(mark, list(zip(numbers[1:-1:2], numbers[2:-1:2], strict=True)), self.parameters)
        with backward.attached(loss):
            self.clock.hold()
            backward.marks.append(mark())
            loss.backward()  # type: ignore[no-untyped-call]
            backward.marks.append(mark())
        keys = [self.backward[at] if at != NOWHERE else ("backward", "", "autograd", 1) for at in backward.places]
        times |= _added(self.clock.seconds(backward.marks), keys, "backward")
        self.clock.hold()
        marks = [mark()]
        self._step()
        marks.append(mark())
        times["optimizer", "", "step", 1] = self.clock.seconds(marks)[-1]
        return times


def no_twin(process: int) -> None:
    """Ends what a model forked in its pass and let run on: it would sample too, and fork anew in each pass."""
    if os.getpid() != process:
        os._exit(0)


def _same(ran: Sequence[int | str], counted: Sequence[int | str]) -> None:
    if len(ran) != len(counted):
        raise Changed(f"{len(ran)} operators ran where {len(counted)} were counted")
    if ran != counted:
        raise Changed("other operators ran than were counted")


def _added(reached: Sequence[float], keys: Sequence[Key], phase: Phase) -> dict[Key, float]:
    """Seconds by key; what is left of the pass between its tiles is the gap, so that all add up to the whole."""
    inner = reached[1:-1]
    times: dict[Key, float] = dict.fromkeys(keys, 0.0)
    for key, start, end in zip(keys, inner[::2], inner[1::2], strict=True):
        times[key] += end - start
    times[phase, "", "gap", 1] = reached[-1] - reached[0] - sum(times.values())
    return times
