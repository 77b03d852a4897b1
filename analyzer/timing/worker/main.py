"""A fresh process that times one model at one configuration: a request on standard input, lines of JSON on standard output.

It is the only place of the timing that imports torch. Lines: `ready` (what the parts are called), `samples`, `kernels`,
`replay`, then `done` or `failed`. What was told stands, whatever becomes of the process afterwards.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from typing import Any

import torch

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.records.timings import Configuration
from analyzer.timing.clock.clocks import Clock, clock_of
from analyzer.timing.clock.sampling import Sample, Watch, samples, undisturbed, warm_up
from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.fingerprint import fingerprint
from analyzer.timing.machine.gpu import GpuContention, nvml
from analyzer.timing.passes.prepare import Prepared
from analyzer.timing.passes.tiles import Tile, tiles_of
from analyzer.timing.passes.timed_pass import Key, Pass, no_twin
from analyzer.timing.request import Request
from analyzer.timing.worker.load import counted, loaded, passes, takes_gradients, unsupported
from analyzer.timing.worker.measurements import Arms, InTime
from analyzer.timing.worker.reference_work import flushed, flusher, reference

Tell = Callable[[Mapping[str, Any]], None]
WARM_SHARE = 0.25  # Of what is left of the budget, at the most.
EVERY_S = 1.0  # Samples are told in lots, and the parent has a moment to take them: it would disturb the next one.
SETTLE_S = 0.005
PR_SET_PDEATHSIG = 1
# How those that run out of memory say so: libraries of C++, CUDA's, Apple's. Others speak of memory too.
NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory", "bad_alloc")


def main() -> int:
    """Answers one request. What the model prints goes to standard error."""
    _end_with_parent()
    sys.path.append("")  # A package beside the user may import of itself late. Last: it stands for nothing of Python's.
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    process = os.getpid()

    def tell(line: Mapping[str, Any]) -> None:
        no_twin(process)
        channel.write(json.dumps(line) + "\n")
        channel.flush()

    request = Request.from_json(json.loads(sys.stdin.readline()))
    try:
        _time(request, tell)
    except AnalyzerError as error:
        tell({"event": "failed", "reason": str(error), "details": list(error.details)})
    except (torch.OutOfMemoryError, MemoryError) as error:
        tell({"event": "failed", "reason": _memory(request, error), "details": []})
    except Exception as error:
        spent = any(text in str(error).lower() for text in NO_MEMORY)
        reason = _memory(request, error) if spent else f"{type(error).__name__}: {_first(error)}"
        tell({"event": "failed", "reason": reason, "details": []})
    return 0


def _end_with_parent() -> None:
    """However the program that asked ends, also by SIGKILL, Linux then ends this one: it would measure for nobody."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _time(request: Request, tell: Tell) -> None:
    configuration = request.configuration
    torch.set_num_threads(configuration.threads)
    torch.manual_seed(request.seed)
    try:
        clock, ready = clock_of(configuration.device), loaded(request)
        record = counted(ready, request)
    except AnalyzerError as error:
        return tell({"event": "failed", "refused": True, "reason": str(error), "details": list(error.details)})
    try:
        _measure(ready, record, request, clock, tell)
    except (NotImplementedError, RuntimeError) as error:
        where = unsupported(ready, configuration) if "not implemented for" in str(error) else ""
        if not where:
            raise
        said = f"{where} does not take {configuration.dtype} on {configuration.device}; {type(error).__name__}: {_first(error)}"
        raise AnalyzerError(said) from error


def _measure(ready: Prepared, record: dict[str, Any] | None, request: Request, clock: Clock, tell: Tell) -> None:
    configuration = request.configuration
    gradients = False
    if request.reference:
        if configuration.training:
            ready.loss()  # What a model makes once and keeps must not be made in inference mode, as tiles are.
        gradients = (request.cut or not configuration.training) and takes_gradients(ready.run)
    tiles: tuple[Tile, ...] = ()
    if request.cut:
        tiles, _ = tiles_of(ready.eager, ready.loss if configuration.training else ready.run, autograd=gradients)
    watch = _watch(configuration)
    environment = {**fingerprint(configuration.device), "signals": watch.signals()}
    tell({"event": "ready", "record": record, "environment": environment})
    with nullcontext() if configuration.training or gradients else torch.inference_mode(), undisturbed():
        passed = passes(ready, tiles, clock, training=configuration.training)
        beside = _sample(request, passed, clock, InTime(watch, clock), time.perf_counter(), tell)
        if request.kernels or request.trace:
            from analyzer.timing.passes.kernels import kernels

            found = kernels(ready, tiles, configuration, trace=request.trace)
            tell({"event": "kernels", "kernels": found})
        if request.replay:
            from analyzer.timing.passes.replay import replay

            tell({"event": "replay", "replay": replay(ready, clock, flusher(configuration.device))})
    tell({"event": "done", **beside})


def _watch(configuration: Configuration) -> Contention | GpuContention:
    if configuration.device.startswith("cuda"):
        return GpuContention(int(configuration.device.partition(":")[2] or 0), os.getpid(), nvml())
    return Contention(configuration.threads)


def _sample(request: Request, passed: Pass, clock: Clock, watch: Watch, started: float, tell: Tell) -> dict[str, Any]:
    """Tells the samples. Returns what was seen beside."""
    end = started + request.budget_s
    before = reference(request.configuration, watch)
    warm = warm_up(passed.whole, time.perf_counter, budget_s=WARM_SHARE * max(end - time.perf_counter(), 0.0))

    def say(keys: Sequence[Key], note: str) -> None:
        tell({"event": "keys", "keys": keys, "warm_up_s": warm, "note": note})
        time.sleep(SETTLE_S)  # The parent takes it, and would disturb the first sample.

    arms = Arms(passed, clock, say)
    found = arms.found(cut=request.cut)
    if request.configuration.flushed:
        flush = flusher(request.configuration.device)
        found = {name: flushed(flush, arm) for name, arm in found.items()}
    lot: list[Sample] = []
    told = time.perf_counter()
    taken = samples(
        found,
        time.perf_counter,
        watch,
        budget_s=max(end - time.perf_counter(), 0.0),
        floor=request.floor,
        ceiling=request.ceiling,
        order=random.Random(request.seed),
    )
    try:
        for sample in taken:
            lot.append(sample)
            if time.perf_counter() - told > EVERY_S:
                tell(_lot(lot))
                time.sleep(SETTLE_S)
                lot, told = [], time.perf_counter()
        lot += [*before, *reference(request.configuration, watch)]
    finally:
        tell(_lot(lot))  # Those before a pass that raised stand too.
    return arms.seen()


def _lot(lot: Sequence[Sample]) -> dict[str, Any]:
    return {"event": "samples", "samples": [[one.arm, one.seconds, one.dirty] for one in lot]}


def _memory(request: Request, error: BaseException) -> str:
    return f"out of memory at batch {request.configuration.batch} ({_first(error)})"


def _first(error: BaseException) -> str:
    return one_line(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)[:200]


if __name__ == "__main__":
    sys.exit(main())
