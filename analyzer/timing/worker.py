"""A fresh process that times one model at one setting: a request on standard input, lines of JSON on standard output.

It is the only place of the timing that imports torch. Lines: `ready` (what the parts are called), `samples`, `kernels`,
`replay`, then `done` or `failed`. What was told stands, whatever becomes of the process afterwards.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from analyzer.errors import AnalyzerError, one_line
from analyzer.timing.clock import Clock, clock_of
from analyzer.timing.contention import Contention
from analyzer.timing.gpu import GpuContention, nvml
from analyzer.timing.machine import fingerprint
from analyzer.timing.passes import Changed, Inference, Key, Pass, Training
from analyzer.timing.prepare import Prepared, prepared
from analyzer.timing.request import Request
from analyzer.timing.sampling import Sample, samples, undisturbed, warm_up
from analyzer.timing.tiles import Tile, tiles_of
from analyzer.timings import Setting

Tell = Callable[[Mapping[str, Any]], None]
WARM_SHARE = 0.25  # Of what is left of the budget, at the most.
EVERY_S = 1.0  # Samples are told in lots, and the parent has a moment to take them: it would disturb the next one.
SETTLE_S = 0.005
# What is compared over years must never change: one product in the caches, one sum over 16 MB beyond most of them.
REFERENCE_SIZE, REFERENCE_FIELD = 256, 2**22
REFERENCES, REFERENCE_WARM = 10, 3


def main() -> int:
    """Answers one request. What the model prints goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(line: Mapping[str, Any]) -> None:
        channel.write(json.dumps(line) + "\n")
        channel.flush()

    started = time.perf_counter()
    request = Request.from_json(json.loads(sys.stdin.readline()))
    try:
        _time(request, started, tell)
    except AnalyzerError as error:
        tell({"event": "failed", "reason": str(error), "details": list(error.details)})
    except (torch.OutOfMemoryError, MemoryError) as error:
        tell({"event": "failed", "reason": _memory(request, error), "details": []})
    except Exception as error:
        reason = _memory(request, error) if "memory" in str(error) else f"{type(error).__name__}: {_first(error)}"
        tell({"event": "failed", "reason": reason, "details": []})
    return 0


def _time(request: Request, started: float, tell: Tell) -> None:
    setting = request.setting
    clock = clock_of(setting.device)
    torch.set_num_threads(setting.threads)
    torch.manual_seed(request.seed)
    model, args, kwargs, loss = _model(request)
    ready = prepared(model, args, kwargs, setting, loss)
    training = setting.mode == "training"
    record = _counted(ready, request, training=training) if request.reference else None
    cuts = request.tiles and not setting.compiled
    tiles, _ = tiles_of(ready.eager, ready.loss if training else ready.run) if cuts else ((), None)
    watch = _watch(setting)
    environment = {**fingerprint(setting.device), "signals": watch.signals()}
    tell({"event": "ready", "record": record, "environment": environment})
    with nullcontext() if training else torch.inference_mode(), undisturbed():
        _sample(request, _pass(ready, tiles, clock, training=training), clock, watch, started, tell)
        if request.kernels or request.trace:
            from analyzer.timing.kernels import kernels

            found = kernels(ready, tiles, setting, trace=request.trace)
            tell({"event": "kernels", "kernels": found})
        if request.replay:
            from analyzer.timing.replay import replay

            tell({"event": "replay", "replay": replay(ready, clock, flusher(setting.device))})
    tell({"event": "done", "launch_share": clock.launch_share})


def _watch(setting: Setting) -> Contention | GpuContention:
    if setting.device.startswith("cuda"):
        return GpuContention(int(setting.device.partition(":")[2] or 0), os.getpid(), nvml())
    return Contention(setting.threads)


def _sample(request: Request, passed: Pass, clock: Clock, watch: Any, started: float, tell: Tell) -> None:
    end = started + request.budget_s

    def left() -> float:
        return max(end - time.perf_counter(), 0.0)

    reference = _reference(request.setting, watch)
    warm = warm_up(passed.whole, time.perf_counter, budget_s=WARM_SHARE * left())
    arms: dict[str, Callable[[], Any]] = {"whole": passed.whole}
    keys: list[Key] = []
    changed = ""
    if request.tiles and not request.setting.compiled:
        try:
            keys = list(passed.cut())
            arms["cut"] = lambda: _in_order(passed.cut(), keys)
        except Changed as error:
            changed = f"not cut into operators: {error}"
    if request.flush:
        flush = flusher(request.setting.device)
        arms = {name: _flushed(flush, arm) for name, arm in arms.items()}
    tell({"event": "keys", "keys": keys, "warm_up_s": warm, "note": changed})
    lot: list[Sample] = []
    told = time.perf_counter()
    taken = samples(
        arms,
        time.perf_counter,
        watch,
        budget_s=left(),
        floor=request.floor,
        ceiling=request.ceiling,
        order=random.Random(request.seed),
    )
    for sample in taken:
        lot.append(sample)
        if time.perf_counter() - told > EVERY_S:
            tell(_lot(lot))
            time.sleep(SETTLE_S)
            lot, told = [], time.perf_counter()
    tell(_lot([*lot, *reference, *_reference(request.setting, watch)]))


def _reference(setting: Setting, watch: Any) -> list[Sample]:
    """A fixed piece of work, timed before the warm-up and after the last pass: between, it would take their caches.

    Not on a device, whose clock is not the host's.
    """
    if setting.device != "cpu":
        return []
    left = right = torch.full((REFERENCE_SIZE, REFERENCE_SIZE), 0.5)
    field = torch.zeros(REFERENCE_FIELD)
    found = []
    for number in range(REFERENCES + REFERENCE_WARM):
        before = watch.look()
        start = time.perf_counter()
        torch.mm(left, right)
        field.add_(1.0)
        seconds = time.perf_counter() - start
        if number >= REFERENCE_WARM:
            found.append(Sample("reference", seconds, watch.dirty(before, watch.look())))
    return found


def _lot(lot: Sequence[Sample]) -> dict[str, Any]:
    return {"event": "samples", "samples": [[one.arm, one.seconds, one.dirty] for one in lot]}


def _in_order(times: Mapping[Key, float], keys: Sequence[Key]) -> list[float]:
    if times.keys() != set(keys):
        raise Changed("the operators of a pass change from pass to pass")
    return [times[key] for key in keys]


def _flushed(flush: Callable[[], None], arm: Callable[[], Any]) -> Callable[[], Any]:
    def flushed() -> Any:
        flush()
        return arm()

    return flushed


def flusher(device: str) -> Callable[[], None]:
    """Writes more than any cache holds, so that what was in them is not any more."""
    size = 128 * 2**20
    if device.startswith("cuda"):
        size = 2 * getattr(torch.cuda.get_device_properties(device), "L2_cache_size", size // 2)
    field = torch.empty(size, dtype=torch.uint8, device=device)

    def flush() -> None:
        field.fill_(1)

    return flush


def _pass(ready: Prepared, tiles: Sequence[Tile], clock: Clock, *, training: bool) -> Pass:
    if not training:
        return Inference(ready.run, ready.eager, tiles, clock)
    learned = [parameter for parameter in ready.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(learned, lr=1e-6, momentum=0.9)
    return Training(ready.loss, ready.eager, optimizer, tiles, clock)


def _model(request: Request) -> tuple[nn.Module, Sequence[Any], Mapping[str, Any], Any]:
    """The model, what it is fed, and how its loss is made where that is known."""
    from analyzer.inputs import image, parse_input

    fed, setting = [parse_input(text) for text in request.inputs], request.setting
    training = setting.mode == "training"
    if request.variant is not None:
        from analyzer.builder import auxiliary_loss, build
        from analyzer.models import variant

        size = image(fed)
        shape = (setting.batch, *(size or variant(request.variant, request.overrides).network.input))
        model = build(request.variant, train=training, overrides=request.overrides, input=size)
        target = torch.zeros(setting.batch, dtype=torch.int64, device=setting.device)
        return model, [torch.empty(shape)], {}, lambda output: auxiliary_loss(output, target)
    from analyzer.references import resolve

    found = resolve(request.reference or "", fed, setting.batch)
    model = found.model
    if any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()]) and found.real:
        model = found.real()
    return model, found.args, found.kwargs, None


def _counted(ready: Prepared, request: Request, *, training: bool) -> dict[str, Any]:
    """The record of a model that only a run can count."""
    from analyzer.api import count_module
    from analyzer.envelope import record_to_json

    train = True if training else None
    return record_to_json(count_module(ready.eager, ready.args, ready.kwargs, train=train, label=request.reference))


def _memory(request: Request, error: BaseException) -> str:
    return f"out of memory at batch {request.setting.batch} ({_first(error)})"


def _first(error: BaseException) -> str:
    return one_line(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)[:200]


if __name__ == "__main__":
    sys.exit(main())
