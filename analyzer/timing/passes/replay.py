"""Replay: each leaf module alone with the inputs it had in the pass, hot in the caches and flushed from them.

What a part costs by itself is a what-if, never what it costs in its place: there its inputs were just written.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from analyzer.counting.dispatch.module_names import is_leaf, op_name, paths_of
from analyzer.records.timings import Phase
from analyzer.timing.clock.clocks import Clock
from analyzer.timing.passes.prepare import Prepared, mapped

HOT, COLD = 7, 3  # Samples of each, after one that is dropped.
BUDGET_S = 0.2  # A module and temperature.
Found = tuple[str, str, int, str, Phase, list[float]]
Call = tuple[nn.Module, Any, Any]


def replay(ready: Prepared, clock: Clock, flush: Callable[[], None]) -> list[Found]:
    """(path, op, call, "replay" or "replay_cold", "forward", samples) of every call of a leaf module."""
    paths, found = paths_of(ready.eager), []
    calls: Counter[tuple[str, str]] = Counter()
    for module, args, kwargs in _recorded(ready):
        path, op = paths[id(module)], op_name(module)
        calls[path, op] += 1
        for kind, before, wanted in (("replay", lambda: None, HOT), ("replay_cold", flush, COLD)):
            times = _timed(module, args, kwargs, clock, before, wanted)
            found.append((path, op, calls[path, op], kind, "forward", times))
    return found  # type: ignore[return-value]


def _recorded(ready: Prepared) -> list[Call]:
    """What every leaf was called with, copied: some write to their inputs."""
    made: list[Call] = []

    def record(module: nn.Module, args: Any, kwargs: Any) -> None:
        made.append((module, *mapped((args, kwargs), _copy)))

    leaves = [module for module in ready.eager.modules() if is_leaf(module)]
    handles = [module.register_forward_pre_hook(record, with_kwargs=True) for module in leaves]
    try:
        ready.run()
    finally:
        for handle in handles:
            handle.remove()
    return made


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _timed(
    module: nn.Module, args: Any, kwargs: Any, clock: Clock, before: Callable[[], None], wanted: int
) -> list[float]:
    times: list[float] = []
    end = time.perf_counter() + BUDGET_S
    while len(times) < 2 or (len(times) <= wanted and time.perf_counter() < end):
        before()
        late = clock.late
        clock.hold()
        marks = [clock.mark()]
        module(*args, **kwargs)
        marks.append(clock.mark())
        seconds = clock.seconds(marks)[-1]
        if clock.late == late or time.perf_counter() > end:  # A module that waits for the device is never in time.
            times.append(seconds)
    return times[1:]
