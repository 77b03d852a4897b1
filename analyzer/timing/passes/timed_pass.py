"""Times one pass of a prepared model, uninstrumented or instrumented: a forward pass, or a training step."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.optim import SGD

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.module_names import paths_of
from analyzer.records.timings import Phase
from analyzer.timing.clock.clocks import Clock, HostClock
from analyzer.timing.clock.sampling import StopSampling
from analyzer.timing.passes.backward import BackwardInstrument, sequence_number
from analyzer.timing.passes.calibration import (
    InstrumentCost,
    OperatorCost,
    measure_instrument_cost,
    passes_per_sample,
)
from analyzer.timing.passes.instrument import Instrument
from analyzer.timing.passes.operator_spans import OperatorSpan
from analyzer.timing.passes.prepare import NOTHING_TO_TRAIN
from analyzer.worker.task import exit_if_forked

LEARNING_RATE = 1e-6  # A step costs the same at any rate; with this one no loss diverges.
Key = tuple[Phase, str, str, int]  # Phase, path, op and call: the identity of an operator in a record.
ProfileRow = tuple[str, str, int, str, Phase, list[float]]  # Path, op or kernel, call, kind, phase, seconds.


class OperatorsChanged(StopSampling):
    """A pass ran other operators than the counted one, so their names are unknown."""


class Pass:
    """A forward pass, made by `run`. The caller sets inference mode.

    `run_model` runs the instrumented `model`; by default that is what `run` does. A sample of the uninstrumented pass
    is the mean of `repeats` passes.
    """

    def __init__(
        self,
        run: Callable[[], Any],
        model: nn.Module,
        spans: Sequence[OperatorSpan],
        clock: Clock,
        mark: Callable[[], Any] | None = None,
        run_model: Callable[[], Any] | None = None,
    ) -> None:
        self.run, self.model, self.clock = run, model, clock
        self.run_model = run_model or run
        self.repeats, self.cost = 1, InstrumentCost()
        self.keys: list[Key] = [("forward", span.path, span.op, span.call) for span in spans]
        self.counted = [span.ran for span in spans]
        self.instrument = Instrument(mark or clock.mark)
        self.process = os.getpid()

    def uninstrumented(self, *, blocked: bool = False) -> float:
        """Seconds of one pass; `blocked`: GPU time, by a queue that is blocked until the pass is queued."""
        self.clock.block_queue() if blocked else self.clock.synchronize()
        seconds = self.clock.elapsed(self._whole, self.repeats) / self.repeats
        exit_if_forked(self.process)
        return seconds

    def calibrate(self, pass_s: float, *, repeated: bool = True) -> None:
        """Measures what instruments cost, and joins short passes to samples. Only for a clock of the host: a device
        subtracts the cost of its marks itself, and its queue hides what surrounds a pass."""
        if isinstance(self.clock, HostClock):
            self.repeats = passes_per_sample(pass_s) if repeated else 1
            self.cost = measure_instrument_cost(self.instrument.mark, self._nanoseconds)

    @staticmethod
    def _nanoseconds(mark: Any) -> int:
        return int(mark)

    def instrumented(self) -> dict[Key, float]:
        """Seconds of each operator and of the overhead in one pass. Raises OperatorsChanged."""
        self._instrumented_forward()
        return self._forward_durations(self.clock.seconds(self.instrument.marks))

    def _forward_durations(self, reached: Sequence[float]) -> dict[Key, float]:
        costs = [self.cost.of(ran) for ran in self.counted]
        return _durations(reached, self.keys, "forward", costs)

    def _whole(self) -> None:
        self.run()

    def _instrumented_forward(self) -> Any:
        """Leaves the marks in `instrument.marks`. Returns what `run` returns."""
        instrument = self.instrument
        with instrument.installed(self.model), instrument:
            if self.repeats > 1:  # Uninstrumented passes follow each other at once, too.
                self.run_model()
            self.clock.block_queue()
            instrument.ran.clear()
            instrument.marks = [instrument.mark()]
            output = self.run_model()
            instrument.marks.append(instrument.mark())
        exit_if_forked(self.process)
        if len(instrument.ran) != len(self.counted):
            raise OperatorsChanged(f"{len(instrument.ran)} operators ran where {len(self.counted)} were counted")
        if instrument.ran != self.counted:
            raise OperatorsChanged("other operators ran than were counted")
        return output


class Training(Pass):
    """A step: forward pass and loss by `run`, backward pass, SGD with momentum.

    Instruments are installed between these, untimed. Raises AnalyzerError if no parameter is trainable.
    """

    def __init__(self, run: Callable[[], Any], model: nn.Module, spans: Sequence[OperatorSpan], clock: Clock) -> None:
        super().__init__(run, model, spans, clock, lambda: (clock.mark(), sequence_number()))
        trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
        if not trainable:
            raise AnalyzerError(NOTHING_TO_TRAIN)
        self.optimizer = SGD(trainable, lr=LEARNING_RATE, momentum=0.9)
        self.backward_keys: list[Key] = [("backward", span.path, span.op, span.call) for span in spans]
        paths = paths_of(model)
        self.parameters: dict[int, int] = {}
        for module in model.modules():
            for parameter in module.parameters(recurse=False):
                if id(parameter) not in self.parameters:
                    self.parameters[id(parameter)] = len(self.parameters)
                    self.backward_keys.append(("backward", paths[id(module)], "accumulate_grad", 1))
        self.backward_keys.append(("backward", "", "autograd", 1))  # Last: the index of NO_OWNER is -1.

    def _whole(self) -> None:
        self.run().backward()
        self._step()

    @staticmethod
    def _nanoseconds(mark: Any) -> int:
        return int(mark[0])

    def _step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def instrumented(self) -> dict[Key, float]:
        mark = self.clock.mark
        loss = self._instrumented_forward()
        marks, numbers = zip(*self.instrument.marks, strict=True)
        times = self._forward_durations(self.clock.seconds(marks))
        spans = list(zip(numbers[1:-1:2], numbers[2:-1:2], strict=True))
        backward = BackwardInstrument(mark, spans, self.parameters)
        with backward.attached(loss):
            self.clock.block_queue()
            backward.marks.append(mark())
            loss.backward()
            backward.marks.append(mark())
        keys = [self.backward_keys[owner] for owner in backward.owners]
        times |= _durations(self.clock.seconds(backward.marks), keys, "backward")
        self.clock.block_queue()
        times["optimizer", "", "step", 1] = self.clock.elapsed(self._step)
        return times


def _durations(
    reached: Sequence[float], keys: Sequence[Key], phase: Phase, costs: Sequence[OperatorCost] = ()
) -> dict[Key, float]:
    """Seconds by key, without what instruments cost. The rest of the pass is overhead: all of them add up to it."""
    inner = reached[1:-1]
    times: dict[Key, float] = dict.fromkeys(keys, 0.0)
    rest = reached[-1] - reached[0]
    costs = costs or [OperatorCost()] * len(keys)
    for key, start, end, cost in zip(keys, inner[::2], inner[1::2], costs, strict=True):
        times[key] += max(end - start - cost.inner, 0.0)
        rest -= end - start + cost.outer
    times[phase, "", "overhead", 1] = max(rest, 0.0)
    return times
