"""Times one pass of a prepared model, uninstrumented or instrumented: a forward pass, or a training step."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn
from torch.optim import SGD

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.module_names import paths_of
from analyzer.records.timings import Phase
from analyzer.timing.clock.clocks import Clock, HostClock
from analyzer.timing.clock.sampling import StopSampling
from analyzer.timing.passes.backward import BackwardInstrument, sequence_number
from analyzer.timing.passes.cost_fit import FITTED_PAIRS, CostFit
from analyzer.timing.passes.instrument import Instrument, Ran, is_operator
from analyzer.timing.passes.instrument_cost import InstrumentCost, measure_cold_cost, measure_instrument_cost
from analyzer.timing.passes.operator_spans import OperatorSpan, leaf_ids
from analyzer.timing.passes.prepare_model import NOTHING_TO_TRAIN
from analyzer.timing.passes.sample_length import passes_per_sample, warm_up_samples
from analyzer.timing.passes.timeline import Key, Timeline, backward_timeline, forward_timeline
from analyzer.worker.run_task import exit_if_forked

MAX_INSTRUMENTED = 16  # Short passes that are instrumented one after the other, for one sample.
LEARNING_RATE = 1e-6  # A step costs the same at any rate; with this one no loss diverges.
ProfileRow = tuple[str, str, int, str, Phase, list[float]]  # Path, op or kernel, call, kind, phase, seconds.


class OperatorsChanged(StopSampling):
    """A pass ran other operators than the counted one, so their names are unknown."""


class Pass:
    """A forward pass, made by `run`. The caller sets inference mode.

    `run_model` runs the instrumented `model`; by default that is what `run` does. A sample of the uninstrumented pass
    is the mean of `repeats` passes; `warm_ups` samples before it are dropped.
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
        # One pass or training step, as users run it. No function around it: that is 1 % of a pass of 10 µs.
        self.run_whole = run
        self.run_model = run_model or run
        self.run_plain = self.run_model  # What `instrumented` runs, without instruments.
        self.repeats, self.warm_ups = 1, 0
        self.cost = self.cold_cost = InstrumentCost()
        self.fit = CostFit()
        self.estimated_s = (0.0, 0.0)  # The cost of instruments in an instrumented pass, with warm and cold caches.
        self.plain_s: float | None = None  # Of the last pass without instruments, until it is in a pair.
        self.made = 0  # Passes so far.
        self.refill: Callable[[int], None] = lambda passes: None  # Draws the inputs of the next passes.
        self.keys: list[Key] = [("forward", span.path, span.op, span.call) for span in spans]
        self.counted = [span.ran for span in spans]
        self.ran: list[Ran] = []
        self.timeline: Timeline | None = None
        self.cold_costs: tuple[float, ...] = ()  # Of the timeline's keys.
        self.instrument = Instrument(mark or clock.mark, fused=leaf_ids(spans))
        self.process = os.getpid()

    def uninstrumented(self, *, blocked: bool = False) -> float:
        """Seconds of one pass; `blocked`: GPU time, by a queue that is blocked until the pass is queued."""
        seconds = self._sample(self.run_whole, blocked=blocked)
        if self.run_whole is self.run_plain:
            self.plain_s = seconds
        return seconds

    @property
    def passes(self) -> int:
        """The passes of one sample and of the dropped samples before it."""
        return self.repeats * (1 + self.warm_ups)

    def _sample(self, run: Callable[[], Any], *, blocked: bool = False) -> float:
        self.refill(self.passes)
        self._warm_up(run)
        self.clock.block_queue() if blocked else self.clock.synchronize()
        seconds = self.clock.elapsed(run, self.repeats) / self.repeats
        self.made += self.repeats
        exit_if_forked(self.process)
        return seconds

    def _warm_up(self, run: Callable[[], Any]) -> None:
        for _ in range(self.warm_ups):
            self.clock.elapsed(run, self.repeats)
        self.made += self.repeats * self.warm_ups

    def calibrate(self, pass_s: float, *, repeated: bool = True) -> None:
        """Measures what instruments cost, and joins short passes to samples. Only for a clock of the host: a device
        subtracts the cost of its marks itself, and its queue hides what surrounds a pass."""
        if isinstance(self.clock, HostClock):
            self.repeats = passes_per_sample(pass_s) if repeated else 1
            self.warm_ups = warm_up_samples(pass_s) if repeated else 0
            self.cost = self._measure_cost()
            self.cold_cost = measure_cold_cost(self.cost, self.instrument.mark)
            self.timeline = None

    def fit_cost(self) -> None:
        """Scales the cost of instruments to what they add to this pass. Raises OperatorsChanged."""
        for _ in range(FITTED_PAIRS if isinstance(self.clock, HostClock) else 0):
            self.plain_s = self._sample(self.run_plain)
            self.instrumented()
            if not self.fit.plain_s:
                return

    def _measure_cost(self) -> InstrumentCost:
        return measure_instrument_cost(self.instrument.mark, self._nanoseconds)

    @staticmethod
    def _nanoseconds(mark: Any) -> int:
        return int(mark)

    def instrumented(self) -> dict[Key, float]:
        """Seconds of each operator and of the overhead in one pass. Raises OperatorsChanged."""
        passes = min(self.repeats, MAX_INSTRUMENTED)
        self._instrumented_forward(passes, self.repeats * self.warm_ups)
        times = self._forward_durations(self.clock.seconds(self.instrument.marks), passes)
        self._add_pair(times)
        return times

    def _add_pair(self, times: Mapping[Key, float]) -> None:
        if self.plain_s is not None and isinstance(self.clock, HostClock):
            subtracted = self.fit.costs(*([seconds] for seconds in self.estimated_s))
            self.fit.add_pair(sum(times.values()) + sum(subtracted), self.plain_s, *self.estimated_s)
        self.plain_s = None

    def _forward_durations(self, reached: Sequence[float], passes: int = 1) -> dict[Key, float]:
        """The mean over the passes, which follow each other at once: the last mark of each is the first of the next."""
        ran = self.instrument.ran
        if self.timeline is None:
            self.ran = ran[: len(ran) // passes]
            passed_on = self.instrument.passed_on
            self.timeline, self.cold_costs = self._with_cold(
                lambda cost: forward_timeline(self.ran, self.keys, paths_of(self.model), cost, passed_on)
            )
        if ran != self.ran * passes:
            raise OperatorsChanged("modules are called in another order from pass to pass")
        self.estimated_s = sum(self.timeline.costs), sum(self.cold_costs)
        return self.timeline.durations(reached, passes, self.fit.costs(self.timeline.costs, self.cold_costs))

    def _with_cold(self, timeline: Callable[[InstrumentCost], Timeline]) -> tuple[Timeline, tuple[float, ...]]:
        """The timeline with the costs of instruments with warm caches, and these costs with cold ones."""
        return timeline(self.cost), timeline(self.cold_cost).costs

    def _instrumented_forward(self, passes: int, warm_ups: int) -> Any:
        """Leaves the marks in `instrument.marks`. Returns what the last pass returns."""
        instrument = self.instrument
        self.refill(passes + warm_ups)
        with instrument.installed(self.model, modules=isinstance(self.clock, HostClock)), instrument:
            for _ in range(warm_ups):
                self.run_model()
            self.clock.block_queue()
            instrument.clear()
            instrument.marks.append(instrument.mark())
            for _ in range(passes - 1):  # As in a loop, no output is kept while the next one is computed.
                self.run_model()
                instrument.marks.append(instrument.mark())
            output = self.run_model()
            instrument.marks.append(instrument.mark())
        self.made += passes + warm_ups
        exit_if_forked(self.process)
        operators = [event for event in instrument.ran if is_operator(event)]
        if len(operators) % passes:
            raise OperatorsChanged("the operators of a pass change from pass to pass")
        if len(operators) != len(self.counted) * passes:
            raise OperatorsChanged(f"{len(operators) // passes} operators ran where {len(self.counted)} were counted")
        if operators != self.counted * passes:
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
        self.run_whole = self.run_plain = self._train
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

    def _train(self) -> None:
        self.run().backward()
        self._step()

    @staticmethod
    def _nanoseconds(mark: Any) -> int:
        return int(mark[0])

    def _measure_cost(self) -> InstrumentCost:
        return measure_instrument_cost(self.instrument.mark, self._nanoseconds, backward=self.clock.mark)

    def _step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def instrumented(self) -> dict[Key, float]:
        mark = self.clock.mark
        self.refill(self.repeats * self.warm_ups)
        self._warm_up(self.run_whole)  # Whole steps: forward passes alone would leave the backward pass cold.
        loss = self._instrumented_forward(passes=1, warm_ups=min(self.warm_ups, 1))
        marks, numbers = zip(*self.instrument.marks, strict=True)
        times = self._forward_durations(self.clock.seconds(marks))
        assert self.timeline
        spans = [(numbers[interval], numbers[interval + 1]) for interval in self.timeline.operators]
        backward = BackwardInstrument(mark, spans, self.parameters)
        with backward.attached(loss):
            self.clock.block_queue()
            backward.marks.append(mark())
            loss.backward()
            backward.marks.append(mark())
            reached = self.clock.seconds(backward.marks)
            self.clock.block_queue()
            # At once, as in a step without instruments: what follows evicts data from the caches.
            times["optimizer", "", "step", 1] = self.clock.elapsed(self._step)
        owners = [self.backward_keys[owner] for owner in backward.owners]
        timeline, cold_costs = self._with_cold(partial(backward_timeline, owners))
        warm_s, cold_s = self.estimated_s
        self.estimated_s = warm_s + sum(timeline.costs), cold_s + sum(cold_costs)
        times |= timeline.durations(reached, costs=self.fit.costs(timeline.costs, cold_costs))
        self._add_pair(times)
        return times
