"""The model of base or head, prepared to be called, and the times of its calls. Part of the script pair_server.py."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from statistics import median
from typing import Any, TypeAlias

MIN_WARM_CALLS = 2
# The timed commit may be older than this file. If a module has moved since, its earlier name is tried next.
VARIANTS_MODULES = ("analyzer.networks.variants", "analyzer.models")
BUILDER_MODULES = ("analyzer.models.spec_to_module", "analyzer.builder")
REFERENCES_MODULES = ("analyzer.models.references", "analyzer.references")

Call: TypeAlias = Callable[[], Any]
Factory: TypeAlias = Callable[[], tuple[Any, Any, Any]]  # Returns a model, its positional and its keyword arguments.
Times: TypeAlias = tuple[list[int], list[int]]  # Device time and wall time, in nanoseconds.


class NeedsInput(Exception):
    """A model that was given no input and has none of its own."""


class CpuClock:
    """Marks are the CPU time of this process and the wall time."""

    warm_s = 0.03

    def mark(self) -> Any:
        return time.process_time_ns(), time.perf_counter_ns()

    def spans(self, marks: Sequence[Any]) -> Times:
        """CPU time and wall time from each mark to the next."""
        cpu, wall = zip(*marks, strict=True)
        return [b - a for a, b in pairwise(cpu)], [b - a for a, b in pairwise(wall)]


class QueueClock:
    """Marks are events in the queue of a device, read after one synchronization.

    `device` makes events (`Event(enable_timing=True)`) and can `synchronize`, like torch.cuda. The device runs behind
    the host, so that single calls have no wall time: each gets an equal share of the whole.
    """

    warm_s = 0.1

    def __init__(self, device: Any, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.device, self.now_ns = device, now_ns

    def mark(self) -> Any:
        event = self.device.Event(enable_timing=True)
        event.record()
        return event, self.now_ns()

    def spans(self, marks: Sequence[Any]) -> Times:
        self.device.synchronize()
        wall = (self.now_ns() - marks[0][1]) // (len(marks) - 1)
        events = [event for event, _ in marks]
        return [round(1e6 * a.elapsed_time(b)) for a, b in pairwise(events)], [wall] * (len(marks) - 1)


def device_clock(device: str) -> Any:
    """The clock of a torch device. Raises RuntimeError if the device is unavailable."""
    import torch

    if device == "cpu":
        return CpuClock()
    if not torch.cuda.is_available():
        raise RuntimeError(f"there is no device {device}: torch {torch.__version__} finds no CUDA")
    torch.cuda.set_device(torch.device(device).index or 0)
    return QueueClock(torch.cuda)


def model_factory(name: str, inputs: Sequence[Mapping[str, Any]] = (), batch: int = 1) -> Factory:
    """Returns a function that builds the named model; everything that it needs is imported here.

    `inputs` are the fields of `analyzer.core.parse_inputs.Input`; without any the model runs on its own.
    """
    is_reference = ":" in name or "(" in name or name.endswith((".py", ".pt2"))
    return _reference(name, inputs, batch) if is_reference else _variant(name, inputs, batch)


def prepare_call(factory: Factory, device: str) -> tuple[Any, Call, list[str]]:
    """The model in eval mode, a call of it with normally distributed inputs, and the shapes and types of these.

    Integer inputs keep their values: the model's own, or random ones.
    """
    import torch
    from torch.utils._pytree import tree_leaves, tree_map

    model, args, kwargs = factory()
    model.eval().requires_grad_(False).to(device)

    def fill(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        filled = torch.randn(value.shape).to(value.dtype) if value.is_floating_point() else value
        return filled.to(device)

    args, kwargs = tree_map(fill, (list(args), dict(kwargs)))
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    inputs = [f"{'x'.join(map(str, leaf.shape))} {str(leaf.dtype).removeprefix('torch.')}" for leaf in tensors]
    return model, lambda: model(*args, **kwargs), inputs


def _variant(name: str, inputs: Sequence[Mapping[str, Any]], batch: int) -> Factory:
    import torch

    base = name.partition("@")[0]
    with suppress(LookupError):
        points = importlib.import_module("importlib.metadata").entry_points(group="analyzer.models")
        if base in points.names and base not in importlib.import_module("analyzer.networks").VARIANTS:
            return _reference(name, inputs, batch)
    (variant,) = _import_first(VARIANTS_MODULES).variants([name])
    build = _import_first(BUILDER_MODULES).build
    if not inputs:
        return lambda: (build(base, overrides=variant.overrides), [torch.empty(batch, *variant.network.input)], {})
    size = tuple(inputs[0]["shape"])[-3:]  # A fourth size in front is the batch.
    return lambda: (build(base, overrides=variant.overrides, input=size), [torch.empty(batch, *size)], {})


def _reference(name: str, inputs: Sequence[Mapping[str, Any]], batch: int) -> Factory:
    # By position, since field names differ between commits. The fifth field builds the model with real weights, and the
    # sixth makes the inputs of another batch.
    _, model, args, kwargs, build_real, *more = _import_first(REFERENCES_MODULES).resolve(name)
    if inputs:
        args, kwargs = _fitting_inputs(model, inputs, batch)
    elif batch != 1:
        args, kwargs = more[0](batch)
    if not args and not kwargs and _requires_arguments(model):
        raise NeedsInput(
            "the model needs an input; give it in the models of pyproject.toml, { model = …, input = … }, or define a "
            "function inputs() next to the model"
        )
    if build_real is None:
        return lambda: (model, args, kwargs)  # The file holds a finished model.
    return lambda: (build_real(), args, kwargs)  # Does not keep `model`, which may be large.


def _requires_arguments(model: Any) -> bool:
    """Whether `forward` has a parameter without a default; false where its signature is unknown."""
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(model.forward).parameters.values()
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        return any(each.default is each.empty and each.kind not in kinds for each in parameters)
    return False


def _fitting_inputs(model: Any, inputs: Sequence[Mapping[str, Any]], batch: int) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of the given sizes; if the model does not run on them and the first size is the batch, without it."""
    import torch

    args, kwargs = _arguments(inputs, batch)
    leading = [spec for spec in inputs if not spec["literal"] and len(spec["shape"]) > 1 and spec["shape"][0] == batch]
    if not leading:
        return args, kwargs
    try:
        with torch.inference_mode():
            device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
            model(*(value.to(device) for value in args), **{name: value.to(device) for name, value in kwargs.items()})
    except Exception:
        return _arguments([{**spec, "literal": spec["literal"] or spec in leading} for spec in inputs], batch)
    return args, kwargs


def _arguments(inputs: Sequence[Mapping[str, Any]], batch: int) -> tuple[list[Any], dict[str, Any]]:
    import torch

    args, kwargs = [], {}
    for spec in inputs:
        shape, dtype = spec["shape"] if spec["literal"] else (batch, *spec["shape"]), getattr(torch, spec["dtype"])
        whole = not dtype.is_floating_point and dtype is not torch.bool
        value = (
            torch.randint(spec["below"], shape, dtype=dtype)
            if whole and spec["below"]
            else torch.zeros(shape, dtype=dtype)
        )
        if spec["name"]:
            kwargs[spec["name"]] = value
        else:
            args.append(value)
    return args, kwargs


def _import_first(names: Sequence[str]) -> Any:
    """The first of these modules that exists. Raises ModuleNotFoundError if none does."""
    for name in names[:-1]:
        with suppress(ModuleNotFoundError):
            return importlib.import_module(name)
    return importlib.import_module(names[-1])


def warm_up(call: Call, clock: Any) -> float:
    """Calls until caches are warm and lazy initialization is done. Returns the fastest device time in seconds."""
    end, fastest_s, calls = time.perf_counter() + clock.warm_s, float("inf"), 0
    while calls < MIN_WARM_CALLS or time.perf_counter() < end:
        device_ns, _ = time_block(call, 1, 1, clock)
        fastest_s, calls = min(fastest_s, device_ns[0] * 1e-9), calls + 1
    return fastest_s


def time_block(call: Call, calls: int, burst: int, clock: Any) -> Times:
    """Times of `calls` calls, each the mean of `burst` passes, since a single pass may be too short for the clock."""
    marks = [clock.mark()]
    for _ in range(calls):
        for _ in range(burst):
            call()
        marks.append(clock.mark())
    device, wall = clock.spans(marks)
    return [span // burst for span in device], [span // burst for span in wall]


def time_modules(model: Any, call: Call, passes: int, now: Callable[[], int] = time.process_time_ns) -> dict[str, int]:
    """By path the median time of each module itself in a pass, without its submodules, in nanoseconds of CPU time."""
    paths = {module: path for path, module in model.named_modules()}
    own: dict[str, list[int]] = {}
    open_modules: list[list[int]] = []  # When each began, and the time in its submodules.
    totals: dict[str, int] = {}

    def enter(module: Any, args: Any) -> None:
        open_modules.append([now(), 0])

    def leave(module: Any, args: Any, output: Any) -> None:
        start, inside = open_modules.pop()
        span = now() - start
        totals[paths[module]] = totals.get(paths[module], 0) + span - inside
        if open_modules:
            open_modules[-1][1] += span

    handles = [module.register_forward_pre_hook(enter) for module in paths]
    handles += [module.register_forward_hook(leave) for module in paths]
    try:
        for number in range(passes + 1):
            totals.clear()
            call()
            for path, span in totals.items() if number else ():  # The first pass warms the hooks up.
                own.setdefault(path, []).append(span)
    finally:
        for handle in handles:
            handle.remove()
    return {path: int(median(spans)) for path, spans in own.items() if len(spans) == passes}
