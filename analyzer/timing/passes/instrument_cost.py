"""The cost of instruments, measured in each process before sampling.

A mark, the wrapper of a leaf and the torch function mode take about a microsecond per operator, which would count as
the operator's time or as overhead. Each part is measured with operators that do nothing, with warm and with cold
caches: after an operator that reads or writes more than the L2 cache holds, the function mode takes ten times as long.
`cost_fit` finds how cold the caches are in the model's own pass, and `timeline` subtracts the costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.core.frozen import Frozen
from analyzer.timing.machine.processor import caches
from analyzer.timing.passes.backward import BackwardInstrument
from analyzer.timing.passes.instrument import Instrument, Ran, is_operator

REPEATS, CALLS = 7, 200  # Of the repeats the shortest counts: other load only adds time.
COLD_CALLS = 15  # Each after a flush of the L2 cache; the median counts.
MIN_COLD_RATIO = 2.0
MIN_L2_BYTES, MAX_L2_BYTES = 2**19, 2**22  # Of a core; a larger L2 cache may be shared by many.


class OperatorCost(Frozen):
    """Seconds that instruments add per operator: between its marks (`inner`), and outside of them (`outer`)."""

    inner: float = 0.0
    outer: float = 0.0

    @property
    def total(self) -> float:
        return self.inner + self.outer

    def scaled(self, factor: float) -> OperatorCost:
        return OperatorCost(factor * self.inner, factor * self.outer)


class InstrumentCost(Frozen):
    """Of leaf modules, of torch functions, of overloads such as `aten.relu.default`, which exported programs call, of
    other modules, and of autograd's nodes; `mark` of a single mark, and `call` of a call that is no operator."""

    leaf: OperatorCost = OperatorCost()
    function: OperatorCost = OperatorCost()
    overload: OperatorCost = OperatorCost()
    module: OperatorCost = OperatorCost()
    node: float = 0.0
    mark: float = 0.0
    call: float = 0.0

    def of(self, ran: Ran) -> OperatorCost:
        """Of an entry of `Instrument.ran` other than LEFT."""
        if isinstance(ran, str):
            return self.overload if "." in ran else self.function
        return self.leaf if is_operator(ran) else self.module


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

    def call_overload() -> None:  # In a function mode torch makes Python objects of its arguments.
        torch.ops.aten.relu.default(x)

    return InstrumentCost(
        _cost(mark, nanoseconds, leaf, call_leaf, lambda: forward(x)),
        _cost(mark, nanoseconds, leaf, call_function, call_function),
        _cost(mark, nanoseconds, leaf, call_overload, call_overload),
        _cost(mark, nanoseconds, nn.ModuleList([parent]), lambda: parent(x), lambda: parent_forward(x)),
        _node_cost(backward) if backward else 0.0,
        min(_seconds_per_call(lambda: marks.append(mark())) for _ in range(REPEATS)),
        _call_cost(x),
    )


def measure_cold_cost(warm: InstrumentCost, mark: Callable[[], Any]) -> InstrumentCost:
    """The cost of the same instruments with cold caches: at least MIN_COLD_RATIO times the warm cost. That of modules,
    nodes and marks, which is small, is not measured but taken as this minimum."""
    flush = _l2_flush()
    leaf, x = nn.Identity(), torch.zeros(1)
    function = _cold_ratio(warm.function, mark, leaf, lambda: torch.relu(x), flush)
    return InstrumentCost(
        warm.leaf.scaled(_cold_ratio(warm.leaf, mark, leaf, lambda: leaf(x), flush)),
        warm.function.scaled(function),
        warm.overload.scaled(_cold_ratio(warm.overload, mark, leaf, lambda: torch.ops.aten.relu.default(x), flush)),
        warm.module.scaled(MIN_COLD_RATIO),
        MIN_COLD_RATIO * warm.node,
        MIN_COLD_RATIO * warm.mark,
        function * warm.call,  # The function mode's, too.
    )


def _cold_ratio(
    warm: OperatorCost, mark: Callable[[], Any], model: nn.Module, call: Callable[[], Any], flush: Callable[[], None]
) -> float:
    plain, instrumented = list[float](), list[float]()
    for _ in range(COLD_CALLS):
        flush()
        plain.append(_seconds_of(call))
        instrument = Instrument(mark)
        with instrument.installed(model, modules=True), instrument:
            flush()
            instrumented.append(_seconds_of(call))
    added = median(instrumented) - median(plain)
    return max(added / warm.total, MIN_COLD_RATIO) if warm.total else MIN_COLD_RATIO


def _l2_flush() -> Callable[[], None]:
    """A function that reads and writes twice what the L2 cache holds, without torch, whose code it would leave warm."""
    sizes = [level["bytes"] for level in caches() if level["level"] == 2]
    size = min(max([*sizes, MIN_L2_BYTES]), MAX_L2_BYTES)
    source, target = bytes(size), bytearray(size)

    def flush() -> None:
        target[:] = source

    return flush


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


def _seconds_of(call: Callable[[], Any]) -> float:
    start = time.perf_counter_ns()
    call()
    return (time.perf_counter_ns() - start) * 1e-9
