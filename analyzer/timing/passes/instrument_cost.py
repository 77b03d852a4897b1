"""The cost of instruments: measured in each process before sampling, and fitted to the model's own pass.

A mark, the wrapper of a leaf and the torch function mode take about a microsecond per operator, which would count as
the operator's time or as overhead. Each part is measured with operators that do nothing. In a model's own pass, whose
operators take the nearest caches, and while the machine is slow, instruments take a tenth to half longer: all costs are
scaled to what they add to that pass, as far as the pairs of passes with and without them that were timed so far show
it. `timeline` then subtracts them.
"""

from __future__ import annotations

import time
from bisect import insort
from collections.abc import Callable
from itertools import cycle
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.frozen import Frozen
from analyzer.records.timings import interquartile
from analyzer.timing.passes.backward import BackwardInstrument
from analyzer.timing.passes.instrument import Instrument, Ran, is_operator

REPEATS, CALLS = 7, 200  # Of the repeats the shortest counts: other load only adds time.
# Pairs of passes with and without instruments to scale their cost, unless it is below this share of the pass.
FITTED_PAIRS, MIN_FITTED_SHARE, MAX_FACTOR = 10, 0.005, 2.0


class OperatorCost(Frozen):
    """Seconds that instruments add per operator: between its marks (`inner`), and outside of them (`outer`)."""

    inner: float = 0.0
    outer: float = 0.0


class InstrumentCost(Frozen):
    """Of leaf modules, of torch functions, of other modules, and of autograd's nodes; `mark` of a single mark,
    and `call` of a call that is no operator."""

    leaf: OperatorCost = OperatorCost()
    function: OperatorCost = OperatorCost()
    module: OperatorCost = OperatorCost()
    node: float = 0.0
    mark: float = 0.0
    call: float = 0.0

    def of(self, ran: Ran) -> OperatorCost:
        """Of an entry of `Instrument.ran` other than LEFT."""
        if isinstance(ran, str):
            return self.function
        return self.leaf if is_operator(ran) else self.module


class CostFit:
    """`factor` scales the estimated cost of a pass's instruments to what they add to it, at most by `MAX_FACTOR`: a
    larger difference has another cause."""

    def __init__(self) -> None:
        self.factor = 1.0
        self.instrumented_s: list[float] = []
        self.plain_s: list[float] = []

    def add_pair(self, instrumented_s: float, plain_s: float, estimated_s: float) -> bool:
        """Of two passes one after the other; `instrumented_s` is the sum of the parts and of the costs subtracted from
        them. False, and nothing is fitted, if the cost is a small share of the pass.

        The difference of interquartile means, because results are interquartile means too, and because minima would
        leave out that instruments take longer as well while the machine is slow.
        """
        if estimated_s < MIN_FITTED_SHARE * plain_s:
            return False
        insort(self.instrumented_s, instrumented_s)
        insort(self.plain_s, plain_s)
        added_s = fmean(interquartile(self.instrumented_s)) - fmean(interquartile(self.plain_s))
        self.factor = min(max(added_s / estimated_s, 1 / MAX_FACTOR), MAX_FACTOR)
        return True


def measure_instrument_cost(
    mark: Callable[[], Any], nanoseconds: Callable[[Any], int], *, backward: Callable[[], Any] | None = None
) -> InstrumentCost:
    """Times operators that do nothing, with and without instruments. `nanoseconds` reads a mark; `backward` is the mark
    of a backward pass, which has no cost without one."""
    leaf, x, turn = nn.Identity(), torch.zeros(1), cycle((False, True))
    parent, marks = _Calling(), list[Any]()
    forward, parent_forward = leaf.forward, parent.forward

    def call_leaf() -> None:
        leaf(x)

    def call_function() -> None:  # torch parses two arguments longer than one.
        x + 1 if next(turn) else torch.relu(x)

    return InstrumentCost(
        _cost(mark, nanoseconds, leaf, call_leaf, lambda: forward(x)),
        _cost(mark, nanoseconds, leaf, call_function, call_function),
        _cost(mark, nanoseconds, nn.ModuleList([parent]), lambda: parent(x), lambda: parent_forward(x)),
        _node_cost(backward) if backward else 0.0,
        min(_seconds_per_call(lambda: marks.append(mark())) for _ in range(REPEATS)),
        _call_cost(x),
    )


def _call_cost(x: Tensor) -> float:
    """Of a call that the function mode passes on."""
    plain = min(_seconds_per_call(x.size) for _ in range(REPEATS))
    with Instrument(lambda: None):
        return max(min(_seconds_per_call(x.size) for _ in range(REPEATS)) - plain, 0.0)


class _Calling(nn.Module):
    """No layer of torch.nn, so no leaf."""

    def forward(self, x: Tensor) -> Tensor:
        return x


def _cost(
    mark: Callable[[], Any],
    nanoseconds: Callable[[Any], int],
    model: nn.Module,
    call: Callable[[], Any],
    inside: Callable[[], Any],
) -> OperatorCost:
    """`inside` is what runs between the two marks of `call`."""
    plain = min(_seconds_per_call(call) for _ in range(REPEATS))
    without_marks = min(_seconds_per_call(inside) for _ in range(REPEATS))
    inner, total = [], []
    for _ in range(REPEATS):
        instrument = Instrument(mark)
        with instrument.installed(model, modules=True), instrument:
            instrument.marks.append(mark())
            for _ in range(CALLS):
                call()
            instrument.marks.append(mark())
        times = [nanoseconds(each) for each in instrument.marks]
        durations = [end - start for start, end in zip(times[1:-1:2], times[2:-1:2], strict=True)]
        inner.append(sum(durations) / CALLS * 1e-9)
        total.append((times[-1] - times[0]) / CALLS * 1e-9)
    between = max(min(inner) - without_marks, 0.0)
    return OperatorCost(between, max(min(total) - plain - between, 0.0))


def _node_cost(mark: Callable[[], Any]) -> float:
    """Of a node of a backward pass."""
    plain, marked = list[float](), list[float]()
    for _ in range(REPEATS):
        plain.append(_seconds_per_node(_chain()))
        loss = _chain()
        with BackwardInstrument(mark, (), {}).attached(loss):
            marked.append(_seconds_per_node(loss))
    return max(min(marked) - min(plain), 0.0)


def _seconds_per_node(loss: Tensor) -> float:
    start = time.perf_counter_ns()
    loss.backward()  # type: ignore[no-untyped-call]
    return (time.perf_counter_ns() - start) / CALLS * 1e-9


def _chain() -> Tensor:
    x = torch.zeros((), requires_grad=True)
    for _ in range(CALLS):
        x = x + 1.0
    return x


def _seconds_per_call(call: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - start) / CALLS * 1e-9
