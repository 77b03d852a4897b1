"""The task of a worker that times one model at one configuration.

The only part of a measurement that imports torch. Lines that it sends: `ready` (the record and the environment), `keys`
(the names of the operators), `samples`, `load`, `kernels` and `replay`. They stay valid if the process dies.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from statistics import median
from typing import Any

import torch

from analyzer.core.errors import AnalyzerError, CannotMeasure, error_text, is_out_of_memory
from analyzer.core.serialize import from_json, to_json
from analyzer.records.timings import Configuration
from analyzer.timing.clock.clocks import Clock, clock_of
from analyzer.timing.clock.sampling import Sample, Watch, garbage_collection_paused, sample_interleaved, warm_up
from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.energy import pass_energy
from analyzer.timing.machine.fingerprint import fingerprint
from analyzer.timing.machine.gpu import GpuContention, nvml
from analyzer.timing.machine.other_processes import busiest, cpu_times
from analyzer.timing.machine.process_memory import ProcessMemory
from analyzer.timing.passes.fused import fused_modules
from analyzer.timing.passes.operator_spans import OperatorSpan, operator_spans, runs_operators
from analyzer.timing.passes.prepare_model import PreparedModel
from analyzer.timing.passes.timed_pass import Pass, Training
from analyzer.timing.passes.timeline import Key
from analyzer.timing.request import Request
from analyzer.timing.worker.first_call import compilations, time_compilation, time_first_call
from analyzer.timing.worker.flush_caches import cache_flush, flushed
from analyzer.timing.worker.load_model import computes_gradients, count_reference, failing_module, load_model
from analyzer.timing.worker.load_test import load_rows
from analyzer.timing.worker.measurements import DeadlineWatch, Measurements
from analyzer.timing.worker.reference_workload import sample_reference_workload
from analyzer.worker.run_task import Send, failure

REFUSED, FAILED = AnalyzerError.exit_status, CannotMeasure.exit_status
MAX_WARM_UP = 0.25  # Share of the rest of the budget.
FIRST_SEND_S, SEND_EVERY_S = 0.25, 1.0  # The first samples come early, for the parent to show.
SETTLE_S = 0.02  # After sending, for the parent to read and show: it would disturb the next sample.


def handle(message: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    """Times one request. The final line is `done` or `failed`."""
    request = from_json(Request, message)
    configuration = request.configuration
    torch.set_num_threads(configuration.threads)
    torch.manual_seed(request.seed)
    try:
        clock, prepared = clock_of(configuration.device), load_model(request)
        first_call_s = time_first_call(prepared, configuration)
        record = count_reference(prepared, request)
    except Exception as error:
        refused = isinstance(error, AnalyzerError) and not is_out_of_memory(error)
        return _failure(error, request, REFUSED if refused else FAILED)
    try:
        compile_s = time_compilation(prepared, configuration)
        memory = ProcessMemory(configuration.device)
        done = measure_prepared(prepared, record, request, clock, send, memory)
        return {**done, "first_call": first_call_s, "compile": compile_s}
    except (NotImplementedError, RuntimeError) as error:
        module = failing_module(prepared, configuration) if "not implemented for" in str(error) else ""
        if not module:
            return _failure(error, request, FAILED)
        what = f"{module} does not take {configuration.dtype} on {configuration.device}"
        reason = f"{what}; {type(error).__name__}: {error_text(error)}"
        return failure(CannotMeasure(reason))
    except Exception as error:
        return _failure(error, request, FAILED)


def _failure(error: Exception, request: Request, status: int) -> dict[str, Any]:
    line = {**failure(error), "status": status}
    if is_out_of_memory(error):
        line["reason"] = f"out of memory at batch {request.configuration.batch} ({error_text(error)})"
    return line


def measure_prepared(
    prepared: PreparedModel,
    record: dict[str, Any] | None,
    request: Request,
    clock: Clock,
    send: Send,
    memory: ProcessMemory | None = None,
) -> Mapping[str, Any]:
    """Sends the lines of one process, and returns the final one. `memory` is that of a process of its own."""
    configuration = request.configuration
    gradients, separate, ran_macs = False, False, None
    if request.reference:
        if configuration.training:
            prepared.loss()  # A model may cache tensors in its first pass; those of inference mode cannot be trained.
        gradients = (request.instrumented or not configuration.training) and computes_gradients(prepared.run)
    spans: tuple[OperatorSpan, ...] = ()
    if request.instrumented:
        run = prepared.loss if configuration.training else prepared.run_eager
        fused = frozenset[int]() if configuration.training else fused_modules(prepared.eager, run)
        spans, count = operator_spans(prepared.eager, run, autograd=gradients, fused=fused)
        ran_macs = None if count.unknown_ops or fused else count.totals.macs
    watch = _watch(configuration)
    environment = {**fingerprint(configuration.device), "signals": watch.signals()}
    send({"event": "ready", "record": record, "environment": environment})
    with nullcontext() if configuration.training or gradients else torch.inference_mode(), garbage_collection_paused():
        if configuration.training:
            one_pass: Pass = Training(prepared.loss, prepared.eager, spans, clock)
        else:
            separate = prepared.run_eager is not prepared.run and not runs_operators(
                prepared.model, prepared.run, spans
            )
            model, run_model = (prepared.eager, prepared.run_eager) if separate else (prepared.model, prepared.run)
            one_pass = Pass(prepared.run, model, spans, clock, run_model=run_model)
        if prepared.new_inputs:
            one_pass.refill = prepared.new_inputs.refill
        summary = _sample(request, one_pass, clock, DeadlineWatch(watch, clock), time.perf_counter(), send, memory)
        if request.loads or request.limit:
            order, service_s = random.Random(request.seed), median(one_pass.uninstrumented() for _ in range(5))
            load = load_rows(lambda: _serve(one_pass, clock), service_s, request.loads, request.limit, order)
            send({"event": "load", "load": load})
        if request.energy:
            summary["energy"] = to_json(pass_energy(lambda: _serve(one_pass, clock), configuration.device))
        if request.kernels or request.trace:
            from analyzer.timing.passes.kernels import profile_kernels

            kernels = profile_kernels(prepared, spans, configuration, trace=request.trace)
            send({"event": "kernels", "kernels": kernels})
        if request.replay:
            from analyzer.timing.passes.replay import replay_modules

            replay = replay_modules(prepared, clock, cache_flush(configuration.device))
            send({"event": "replay", "replay": replay})
    return {"event": "done", "separate": separate, "ran_macs": ran_macs, "tables": to_json(prepared.tables), **summary}


def _serve(one_pass: Pass, clock: Clock) -> None:
    one_pass.run_whole()
    clock.synchronize()


def _watch(configuration: Configuration) -> Contention | GpuContention:
    if configuration.device.startswith("cuda"):
        return GpuContention(int(configuration.device.partition(":")[2] or 0), os.getpid(), nvml())
    return Contention(configuration.threads)


def _sample(
    request: Request,
    one_pass: Pass,
    clock: Clock,
    watch: Watch,
    start: float,
    send: Send,
    memory: ProcessMemory | None = None,
) -> dict[str, Any]:
    """Samples until the budget, which begins at `start`, is spent. Returns `Measurements.summary`."""
    end = start + request.budget_s
    others = cpu_times()
    before = sample_reference_workload(request.configuration, watch)
    warm_up_budget_s = MAX_WARM_UP * max(end - time.perf_counter(), 0.0)
    warm_up_s = warm_up(one_pass.uninstrumented, time.perf_counter, budget_s=warm_up_budget_s)
    one_pass.calibrate(min(warm_up_s), repeated=not request.configuration.flushed)

    def send_keys(keys: Sequence[Key], note: str) -> None:
        send({"event": "keys", "keys": keys, "warm_up_s": warm_up_s, "note": note})
        time.sleep(SETTLE_S)

    measurements = Measurements(one_pass, clock, send_keys, memory)
    compiled = compilations()
    available = measurements.available(instrumented=request.instrumented)
    if request.configuration.flushed:
        flush = cache_flush(request.configuration.device)
        available = {name: flushed(flush, measurement) for name, measurement in available.items()}
    unsent: list[Sample] = []
    send_at = time.perf_counter() + FIRST_SEND_S
    samples = sample_interleaved(
        available,
        time.perf_counter,
        watch,
        budget_s=max(end - time.perf_counter(), 0.0),
        min_samples=request.min_samples,
        max_samples=request.max_samples,
        order=random.Random(request.seed),
    )
    try:
        for sample in samples:
            unsent.append(sample)
            if time.perf_counter() > send_at:
                send(_samples_line(unsent))
                time.sleep(SETTLE_S)
                unsent, send_at = [], time.perf_counter() + SEND_EVERY_S
        unsent += [*before, *sample_reference_workload(request.configuration, watch)]
    finally:
        send(_samples_line(unsent))  # Also those before a pass that raised.
    most_active = busiest(others, cpu_times(), time.perf_counter() - start)
    recompilations = compilations() - compiled
    return {**measurements.summary(), "recompilations": recompilations, "busiest": most_active and to_json(most_active)}


def _samples_line(samples: Sequence[Sample]) -> dict[str, Any]:
    values = [[sample.measurement, sample.seconds, sample.disturbance] for sample in samples]
    return {"event": "samples", "samples": values}
