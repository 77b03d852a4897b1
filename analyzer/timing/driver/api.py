"""`analyzer.measure`: times one model from Python, as `analyze time` does."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from inspect import signature
from math import inf
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, InputError, one_line, quoted, require_positive_int
from analyzer.core.lock import timing_lock
from analyzer.core.parse_inputs import is_reference, parse_inputs
from analyzer.core.shapes import Shape
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.timing.driver.processes import RunWorker
from analyzer.timing.driver.time_configurations import (
    MAX_MIN_SAMPLES,
    PROCESSES,
    TimedRun,
    build_record,
    build_requests,
    now,
    time_requests,
)
from analyzer.timing.request import Request
from analyzer.worker.reply import Reply

if TYPE_CHECKING:
    from torch import Tensor, nn

OPTIONS = ("kernels", "replay", "trace", "new_inputs", "loads", "limit", "energy")


def measure(
    model: str | nn.Module,
    args: Sequence[Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    input: Shape | str | Sequence[str] | None = None,
    batch: int = 1,
    threads: int | None = None,
    dtype: str = "float32",
    layout: str = "contiguous",
    train: bool = False,
    compile: bool = False,
    device: str = "cpu",
    flush: bool = False,
    budget_s: float = 20.0,
    processes: int | None = None,
    **options: Any,
) -> Record:
    """Times a built-in network, or a model by reference such as `net.py:Net`, in fresh processes like `analyze time`.

    `input` is a shape without the batch or texts, as for `analyzer.count`. Returns a record: `record.measurement` has
    every timing with its samples in seconds and its quality. An `nn.Module` is timed with `input`, or with `args` and
    `kwargs` as for `analyzer.count`. It is pickled for fresh processes, which import its classes; where that is not
    possible a copy is timed in this process, and a warning of the measurement says so and why. `flush` flushes caches
    before each sample. The default is 10 `processes`, or fewer if ten would take more than three budgets.
    `options` may have `kernels`, `replay`, `trace`, `new_inputs`, `loads` (such as `[50, "3000/min"]`), `limit`
    (`"p99=50ms"`) and `energy`. Waits for another timing on this machine to end, and logs that it waits. Raises
    AnalyzerError for bad input, CannotMeasure if the model failed or its process was killed, and KeyboardInterrupt.

    >>> record = measure("nin", input="3x64x64", threads=1, processes=1, budget_s=0.2)
    >>> record.measurement.pass_timing.median_s > 0
    True
    """
    is_module = not isinstance(model, str)
    if is_module and (isinstance(model, type) or not hasattr(model, "named_modules")):
        raise AnalyzerError(f"cannot time a {type(model).__name__}; wanted a name, a reference or an nn.Module")
    if not is_module and (kwargs or not isinstance(args, tuple) or args):
        raise AnalyzerError(f"{one_line(model)} is a name: give input (args and kwargs are for an nn.Module)")
    if unknown := [name for name in options if name not in OPTIONS]:
        known = [name for name in signature(measure).parameters if name not in ("model", "options")]
        raise AnalyzerError(f"unknown option {quoted(unknown[0])}; known options: {', '.join([*known, *OPTIONS])}")
    for name, number in {"batch": batch, "processes": processes, "threads": threads}.items():
        if number is not None or name == "batch":
            require_positive_int(name, number)
    for name, flag in {"train": train, "compile": compile, "flush": flush}.items():
        if not isinstance(flag, bool):
            raise AnalyzerError(f"{name} is {one_line(repr(flag))[:80]}; wanted True or False")
    if isinstance(budget_s, bool) or not isinstance(budget_s, int | float) or not 0 < budget_s < inf:
        raise AnalyzerError(f"budget_s is {budget_s!r}; wanted seconds")
    inputs = [given.text for given in parse_inputs(input)]
    name = model if isinstance(model, str) else type(model).__name__
    variants, references = ([], [name]) if is_module or is_reference(name) else ([variant(name)], [])
    (request,) = build_requests(
        variants, references, inputs, batches=[batch], threads=[threads] if threads else None, dtypes=[dtype],
        layouts=[layout], training=train, compiled=compile, device=device, flushed=flush, budget_s=budget_s,
        processes=processes, **options,
    )  # fmt: skip
    try:
        with timing_lock(device, logging.getLogger(__name__).warning):
            if isinstance(model, str):
                run = time_requests([request], processes=processes)
            else:
                run = _time_module(model, args, kwargs or {}, request, processes)
    except InputError as error:
        raise error.with_keywords("give input='3x224x224' (without the batch dimension)") from None
    if not run.complete:
        raise KeyboardInterrupt
    record = run.records[0]
    if record.measurement is None or record.measurement.pass_timing is None:
        raise CannotMeasure(f"{model}: {record.measurement.reason if record.measurement else 'not measured'}")
    return record


def _time_module(
    model: nn.Module, args: Any, kwargs: Mapping[str, Any], request: Request, processes: int | None
) -> TimedRun:
    from analyzer.timing.driver.time_module import time_module

    args = args if isinstance(args, list | tuple) else (args,)
    if request.inputs and (args or kwargs):
        raise AnalyzerError("input makes the arguments of a module; leave out args and kwargs, or input")
    if not request.inputs and request.configuration.batch != 1:
        raise AnalyzerError("batch is for input; args and kwargs have a batch already")

    def time_request(request: Request, run_worker: RunWorker) -> TimedRun:
        return time_requests([request], processes=processes, run_worker=run_worker)

    alone = request.replace(budget_s=request.budget_s * (processes or PROCESSES), min_samples=MAX_MIN_SAMPLES)
    timed = time_module(model, args, kwargs, request, time_request, alone)
    return TimedRun((build_record(request, None, [timed], now()),), True) if isinstance(timed, Reply) else timed
