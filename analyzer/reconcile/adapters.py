"""One adapter per peer: runs the peer as its documentation shows and reads its figures by module and operator.

The model is in eval mode and on real tensors. Gradients are off for torch's two tools, which leave that to the caller,
as at inference: torch then runs its fused transformer layers where it can.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import nn

from analyzer.counting.dispatch.module_names import paths_of
from analyzer.counting.dispatch.module_tracker import ModuleTracker
from analyzer.reconcile.families import BATCH, base_name
from analyzer.reconcile.module_tracking import (
    CallbackTracker,
    leaf_op,
    named_arguments,
    named_modules_with_repeats,
    positional_arguments,
)
from analyzer.reconcile.peers import PeerRow


class PeerCount(NamedTuple):
    """The total that the peer prints, and its parts, in its own unit."""

    total: int
    rows: list[PeerRow]


Adapter: TypeAlias = Callable[[nn.Module, Sequence[Any], Mapping[str, Any]], PeerCount]


def fvcore(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`FlopCountAnalysis(model, inputs).total()`: formulas on a trace; a module's figure includes its children's."""
    from fvcore.nn import FlopCountAnalysis

    from analyzer.counting.crosscheck.fvcore import without_children

    analysis = FlopCountAnalysis(model, positional_arguments(model, args, kwargs))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    counts = without_children(analysis.by_module_and_operator())
    rows = [PeerRow(path, op, round(n)) for path, ops in counts.items() for op, n in ops.items()]
    return PeerCount(round(analysis.total()), rows)


def flop_counter_mode(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`with FlopCounterMode() as counter: model(…)`: FLOPs added while a module runs are attributed to it."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    parts: Counter[tuple[str, str]] = Counter()
    before: Counter[str] = Counter()
    stack = [""]

    def attribute() -> None:
        for packet, total in counter.get_flop_counts().get("Global", {}).items():
            parts[stack[-1], base_name(str(packet))] += total - before[str(packet)]
            before[str(packet)] = total

    def enter(path: str) -> None:
        attribute()
        stack.append(path)

    def leave(path: str) -> None:
        attribute()
        stack.pop()

    with torch.no_grad(), counter, CallbackTracker(model, enter, leave):
        model(*args, **kwargs)
    attribute()
    return PeerCount(counter.get_total_flops(), _rows(parts))


def profiler(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`torch.profiler.profile(with_flops=True)`: the `record_function` around an operator names its module."""
    from torch.profiler import ProfilerActivity, profile, record_function

    prefix = "module of macscope: "
    ranges: list[Any] = []

    def enter(path: str) -> None:
        ranges.append(record_function(prefix + path))
        ranges[-1].__enter__()

    def leave(path: str) -> None:
        ranges.pop().__exit__(None, None, None)

    with (
        torch.no_grad(),
        profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiled,
        CallbackTracker(model, enter, leave),
    ):
        model(*args, **kwargs)
    parts: Counter[tuple[str, str]] = Counter()
    for event in profiled.events() or ():
        parent = event.cpu_parent
        while parent is not None and not parent.name.startswith(prefix):
            parent = parent.cpu_parent
        parts[parent.name.removeprefix(prefix) if parent else "", base_name(event.name)] += event.flops or 0
    total = sum(average.flops or 0 for average in profiled.key_averages())
    return PeerCount(total, _rows(parts))


def ptflops(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`get_model_complexity_info`: hooks on layers, divided by the batch size, and patched functions, which are not."""
    from ptflops import get_model_complexity_info
    from ptflops.pytorch_ops import FUNCTIONAL_MAPPING, MODULES_MAPPING, TENSOR_OPS_MAPPING

    model_input = args[0] if len(args) == 1 and not kwargs else named_arguments(model, args, kwargs)
    batch = 1 if isinstance(model_input, dict) else len(model_input)
    layers: Counter[int] = Counter()
    functions: Counter[tuple[str, str]] = Counter()

    def count_layer(hook: Any) -> Any:
        def count(module: Any, *rest: Any) -> None:
            before = module.__flops__
            hook(module, *rest)
            layers[id(module)] += module.__flops__ - before

        return count

    printed = io.StringIO()
    with ModuleTracker(model) as tracker:

        def count_function(handler: Any, op: str) -> Any:
            def count(*args: Any, **kwargs: Any) -> Any:
                figure = handler(*args, **kwargs)
                functions[tracker.path, op] += int(figure)
                return figure

            return count

        with (
            _replaced(MODULES_MAPPING, {kind: count_layer(hook) for kind, hook in MODULES_MAPPING.items()}),
            _replaced(FUNCTIONAL_MAPPING, {f: count_function(h, f.__name__) for f, h in FUNCTIONAL_MAPPING.items()}),
            _replaced(TENSOR_OPS_MAPPING, {f: count_function(h, f.__name__) for f, h in TENSOR_OPS_MAPPING.items()}),
            redirect_stdout(printed),
        ):
            total, _ = get_model_complexity_info(
                model, (1,), print_per_layer_stat=False, as_strings=False, input_constructor=lambda _: model_input
            )
    if total is None:  # ptflops catches the model's exceptions and prints them.
        errors = [line for line in printed.getvalue().splitlines() if line.startswith("<class")]
        raise RuntimeError(errors[0] if errors else "it did not finish and printed no reason")
    rows = _rows_by_parent(
        model, lambda module: layers[id(module)], stop=lambda module: type(module) in MODULES_MAPPING
    )
    counted = sum(row.figure for row in rows)
    rows += [PeerRow(path, op, n, "function") for (path, op), n in functions.items()]
    rows.append(PeerRow("", BATCH, int(counted / batch) - counted))
    return PeerCount(int(total), rows)


def thop(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`profile(model, inputs)`: hooks on layers, summed down the tree."""
    from thop import profile

    paths, rows = paths_of(model), []
    ops, _, tree = profile(model, inputs=positional_arguments(model, args, kwargs), verbose=False, ret_layer_info=True)

    def walk(path: str, module: nn.Module, total: float, children: Mapping[str, Any]) -> None:
        without_children = round(total - sum(child[0] for child in children.values()))
        rows.append(PeerRow(paths[id(module)], leaf_op(module), without_children, path))
        for name, (child_total, _, grandchildren) in children.items():
            walk(f"{path}.{name}" if path else name, module.get_submodule(name), child_total, grandchildren)

    walk("", model, ops, tree)
    return PeerCount(round(ops), [row for row in rows if row.figure])


def torchinfo(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`summary(model, input_data=…).total_mult_adds`: a row per call of a leaf layer."""
    from torchinfo import summary

    inputs: dict[str, Any] = {"input_data": list(args), **kwargs} if args else {"input_data": dict(kwargs)}
    summarized = summary(model, verbose=0, **inputs)
    paths = paths_of(model)
    leaves = [layer for layer in summarized.summary_list if layer.is_leaf_layer and layer.macs]
    rows = [PeerRow(paths[layer.layer_id], leaf_op(layer.module), int(layer.macs)) for layer in leaves]
    return PeerCount(int(summarized.total_mult_adds), rows)


def calflops(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """The pipeline behind `calculate_flops`, which takes any arguments: patched functions, summed by calling module."""
    from calflops.calculate_pipline import CalFlopsPipline

    pipeline = CalFlopsPipline(model=model, include_backPropagation=False, compute_bp_factor=2.0)
    pipeline.start_flops_calculate()
    model(*args, **kwargs)
    counted = PeerCount(int(pipeline.get_total_macs()), _rows_by_parent(model, lambda module: module.__macs__))
    pipeline.end_flops_calculate()
    return counted


def deepspeed(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> PeerCount:
    """`FlopsProfiler(model)`, from which calflops is derived; unlike calflops it sums over distinct modules."""
    from deepspeed.profiling.flops_profiler import FlopsProfiler

    profiler = FlopsProfiler(model)
    profiler.start_profile()
    model(*args, **kwargs)
    profiler.stop_profile()
    paths = paths_of(model)
    macs: list[tuple[nn.Module, int]] = [(module, int(module.__macs__)) for module in model.modules()]  # type: ignore[arg-type]
    rows = [PeerRow(paths[id(module)], leaf_op(module), figure) for module, figure in macs if figure]
    counted = PeerCount(int(profiler.get_total_macs()), rows)
    profiler.end_profile()
    return counted


def _rows(figures: Mapping[tuple[str, str], int]) -> list[PeerRow]:
    return [PeerRow(path, op, figure) for (path, op), figure in figures.items() if figure]


def _rows_by_parent(
    model: nn.Module, figure: Callable[[Any], int], stop: Callable[[nn.Module], bool] = lambda module: False
) -> list[PeerRow]:
    """A row per module and parent, as for a peer that sums down the tree; below `stop` modules there are none."""
    paths, skipped_prefix, rows = paths_of(model), "", []
    for path, module in named_modules_with_repeats(model):
        if skipped_prefix and path.startswith(skipped_prefix):
            continue
        skipped_prefix = f"{path}." if stop(module) else ""
        if figure(module):
            rows.append(PeerRow(paths[id(module)], leaf_op(module), int(figure(module)), path))
    return rows


@contextmanager
def _replaced(mapping: dict[Any, Any], values: Mapping[Any, Any]) -> Iterator[None]:
    originals = dict(mapping)
    mapping.update(values)
    try:
        yield
    finally:
        mapping.update(originals)


ADAPTERS: dict[str, Adapter] = {
    "FlopCounterMode": flop_counter_mode,
    **{adapter.__name__: adapter for adapter in (fvcore, profiler, ptflops, thop, torchinfo, calflops, deepspeed)},
}
