"""One side's model, ready to be called, and what a call of it takes; part of the script in fork_server.py."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Any, TypeAlias

WARM_CALLS = 2
# The timed commit may be older than this file: where a module has moved, its earlier name is tried next.
VARIANTS_MODULES = ("analyzer.networks.variants", "analyzer.models")
BUILDER_MODULES = ("analyzer.models.builder", "analyzer.builder")
REFERENCES_MODULES = ("analyzer.models.references", "analyzer.references")

Run: TypeAlias = Callable[[], Any]
Make: TypeAlias = Callable[[], tuple[Any, Any, Any]]  # A model, its arguments by place and by name.


class HostClock:
    """The CPU's: a mark is the time of this process alone, and the time of day."""

    warm_s = 0.03

    def mark(self) -> Any:
        return time.process_time_ns(), time.perf_counter_ns()

    def spans(self, marks: Sequence[Any]) -> tuple[list[int], list[int]]:
        """Own and wall time from each mark to the next, in nanoseconds."""
        own, wall = zip(*marks, strict=True)
        return [b - a for a, b in pairwise(own)], [b - a for a, b in pairwise(wall)]


class EventClock:
    """A device's, which runs behind the host: a mark is an event in its queue, read once the device is done.

    `device` makes events (`Event(enable_timing=True)`) and can `synchronize`, as torch.cuda does. No call has a wall
    time of its own there: each has its share of the whole.
    """

    warm_s = 0.1

    def __init__(self, device: Any, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.device, self.now_ns = device, now_ns

    def mark(self) -> Any:
        event = self.device.Event(enable_timing=True)
        event.record()
        return event, self.now_ns()

    def spans(self, marks: Sequence[Any]) -> tuple[list[int], list[int]]:
        self.device.synchronize()
        wall = (self.now_ns() - marks[0][1]) // (len(marks) - 1)
        events = [event for event, _ in marks]
        return [round(1e6 * a.elapsed_time(b)) for a, b in pairwise(events)], [wall] * (len(marks) - 1)


def clock_of(device: str) -> Any:
    """The clock of a torch device. Raises RuntimeError for one that is not here."""
    import torch

    if device == "cpu":
        return HostClock()
    if not torch.cuda.is_available():
        raise RuntimeError(f"there is no device {device}: torch {torch.__version__} finds no CUDA")
    torch.cuda.set_device(torch.device(device).index or 0)
    return EventClock(torch.cuda)


def maker(name: str) -> Make:
    """What makes the model of that name, with all that it needs imported."""
    return _reference(name) if ":" in name or name.endswith(".pt2") else _variant(name)


def ready(make: Make, device: str) -> Run:
    """The model in eval mode, fed with normal random numbers; integers stay as the model's inputs have them."""
    import torch

    model, args, kwargs = make()
    model.eval().requires_grad_(False).to(device)

    def filled(tensor: Any) -> Any:
        made = torch.randn(tensor.shape).to(tensor.dtype) if tensor.is_floating_point() else tensor
        return made.to(device)

    fed = _mapped((list(args), dict(kwargs)), filled)
    return lambda: model(*fed[0], **fed[1])


def _variant(name: str) -> Make:
    import torch

    base = name.partition("@")[0]
    with suppress(LookupError):
        points = importlib.import_module("importlib.metadata").entry_points(group="analyzer.models")
        if base in points.names and base not in importlib.import_module("analyzer.networks").VARIANTS:
            return _reference(name)
    (chosen,) = _imported(VARIANTS_MODULES).variants([name])
    build = _imported(BUILDER_MODULES).build
    return lambda: (build(base, overrides=chosen.overrides), [torch.empty(1, *chosen.network.input)], {})


def _reference(name: str) -> Make:
    found = _imported(REFERENCES_MODULES).resolve(name)
    model, real, args, kwargs = found.model, found.real, found.args, found.kwargs
    if real is None:
        return lambda: (model, args, kwargs)  # Ready made in a file: it lies where it lies.
    return lambda: (real(), args, kwargs)  # Does not hold the other, which may be large.


def _imported(names: Sequence[str]) -> Any:
    """The first of these modules that exists. Raises ModuleNotFoundError where none does."""
    for name in names[:-1]:
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return importlib.import_module(names[-1])


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        items = [_mapped(one, change) for one in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def warm(run: Run, clock: Any) -> float:
    """Calls until caches are warm and lazy work is done. Returns the own time of the fastest, in seconds."""
    end, fastest, calls = time.perf_counter() + clock.warm_s, float("inf"), 0
    while calls < WARM_CALLS or time.perf_counter() < end:
        own, _ = block(run, 1, 1, clock)
        fastest, calls = min(fastest, own[0] * 1e-9), calls + 1
    return fastest


def block(run: Run, calls: int, burst: int, clock: Any) -> tuple[list[int], list[int]]:
    """Own and wall time of each of `calls` calls, in nanoseconds; one shorter than the clock is run `burst` times."""
    marks = [clock.mark()]
    for _ in range(calls):
        for _ in range(burst):
            run()
        marks.append(clock.mark())
    own, wall = clock.spans(marks)
    return [span // burst for span in own], [span // burst for span in wall]
