"""Replay: runs each leaf module alone with its recorded inputs, in warm caches and after flushing them.

This differs from the module's time in the pass, where the previous operator has just written the inputs.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from analyzer.counting.dispatch.module_names import is_leaf, op_name, paths_of
from analyzer.timing.clock.clocks import Clock
from analyzer.timing.passes.prepare_model import PreparedModel
from analyzer.timing.passes.timed_pass import ProfileRow

WARM_SAMPLES, COLD_SAMPLES = 7, 3  # After a first sample that is dropped.
BUDGET_S = 0.2  # For the warm or the cold samples of one module.


def replay_modules(prepared: PreparedModel, clock: Clock, flush: Callable[[], None]) -> list[ProfileRow]:
    """A row of kind "replay" and one of kind "replay_cold" for each call of a leaf module."""
    paths, rows = paths_of(prepared.eager), list[ProfileRow]()
    calls: Counter[tuple[str, str]] = Counter()
    for module, args, kwargs in _record_calls(prepared):
        path, op = paths[id(module)], op_name(module)
        calls[path, op] += 1
        warm_s = _sample(module, args, kwargs, clock, lambda: None, WARM_SAMPLES)
        cold_s = _sample(module, args, kwargs, clock, flush, COLD_SAMPLES)
        rows.append((path, op, calls[path, op], "replay", "forward", warm_s))
        rows.append((path, op, calls[path, op], "replay_cold", "forward", cold_s))
    return rows


def _record_calls(prepared: PreparedModel) -> list[tuple[nn.Module, Any, Any]]:
    """The leaf modules in the order of their calls, with copies of their inputs: some modules write to theirs."""
    calls: list[tuple[nn.Module, Any, Any]] = []

    def record(module: nn.Module, args: Any, kwargs: Any) -> None:
        calls.append((module, *tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), (args, kwargs))))

    leaves = [module for module in prepared.eager.modules() if is_leaf(module)]
    handles = [module.register_forward_pre_hook(record, with_kwargs=True) for module in leaves]
    try:
        prepared.run()
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _sample(
    module: nn.Module, args: Any, kwargs: Any, clock: Clock, before: Callable[[], None], count: int
) -> list[float]:
    """Seconds of `count` calls, of fewer within BUDGET_S, of at least one."""
    times: list[float] = []
    end = time.perf_counter() + BUDGET_S
    while len(times) < 2 or (len(times) <= count and time.perf_counter() < end):
        before()
        late = clock.late_passes
        clock.block_queue()
        seconds = clock.elapsed(lambda: module(*args, **kwargs))
        if clock.late_passes == late or time.perf_counter() > end:  # A module that waits for the device is always late.
            times.append(seconds)
    return times[1:]
