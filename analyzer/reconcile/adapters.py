"""One adapter a peer: it runs the peer as its own documentation shows and reads its figures by module and operator.

The model is in eval mode and on real tensors. Where the caller chooses (torch's own two tools), gradients are off, as
at inference: then torch runs its fused transformer layers where it can.
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
from analyzer.reconcile.families import BATCH, plain
from analyzer.reconcile.module_tracking import by_name, leaf_op, positional, running, visits, watched
from analyzer.reconcile.opinion import PeerRow


class Said(NamedTuple):
    """The total that the peer prints, and its parts, in its own unit."""

    total: int
    rows: list[PeerRow]


Adapter: TypeAlias = Callable[[nn.Module, Sequence[Any], Mapping[str, Any]], Said]


def fvcore(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`FlopCountAnalysis(model, inputs).total()`: formulas on a trace, each module with all that is below it."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, positional(model, args, kwargs))
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).tracer_warnings("none")
    counts = analysis.by_module_and_operator()
    own = {path: Counter(operators) for path, operators in counts.items()}
    for path, operators in counts.items():
        if path:
            own[path.rpartition(".")[0]].subtract(operators)
    return Said(
        round(analysis.total()), [PeerRow(path, op, round(n)) for path, ops in own.items() for op, n in ops.items()]
    )


def flop_counter_mode(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`with FlopCounterMode() as counter: model(…)`: what it adds while a module runs is put under that module."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    parts: Counter[tuple[str, str]] = Counter()
    before: Counter[str] = Counter()
    stack = [""]

    def settle() -> None:
        for packet, total in counter.get_flop_counts().get("Global", {}).items():
            parts[stack[-1], plain(str(packet))] += total - before[str(packet)]
            before[str(packet)] = total

    def enter(path: str) -> None:
        settle()
        stack.append(path)

    def leave(path: str) -> None:
        settle()
        stack.pop()

    with torch.no_grad(), counter, watched(model, enter, leave):
        model(*args, **kwargs)
    settle()
    return Said(counter.get_total_flops(), [PeerRow(path, op, n) for (path, op), n in parts.items() if n])


def profiler(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`torch.profiler.profile(with_flops=True)`: each operator's FLOPs, under the module whose mark encloses it."""
    from torch.profiler import ProfilerActivity, profile, record_function

    mark = "module of macscope: "
    open_: list[Any] = []

    def enter(path: str) -> None:
        open_.append(record_function(mark + path))
        open_[-1].__enter__()

    def leave(path: str) -> None:
        open_.pop().__exit__(None, None, None)

    with (
        torch.no_grad(),
        profile(activities=[ProfilerActivity.CPU], with_flops=True) as profiled,
        watched(model, enter, leave),
    ):
        model(*args, **kwargs)
    parts: Counter[tuple[str, str]] = Counter()
    for event in profiled.events() or ():
        around = event.cpu_parent
        while around is not None and not around.name.startswith(mark):
            around = around.cpu_parent
        parts[around.name.removeprefix(mark) if around else "", plain(event.name)] += event.flops or 0
    total = sum(average.flops or 0 for average in profiled.key_averages())
    return Said(total, [PeerRow(path, op, n) for (path, op), n in parts.items() if n])


def ptflops(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`get_model_complexity_info`: hooks on layers, divided by the batch, and patched functions, which are not."""
    from ptflops import get_model_complexity_info
    from ptflops.pytorch_ops import FUNCTIONAL_MAPPING, MODULES_MAPPING, TENSOR_OPS_MAPPING

    fed = args[0] if len(args) == 1 and not kwargs else by_name(model, args, kwargs)
    batch = 1 if isinstance(fed, dict) else len(fed)
    layers: Counter[int] = Counter()
    functions: Counter[tuple[str, str]] = Counter()

    def layer(hook: Any) -> Any:
        def count(module: Any, *rest: Any) -> None:
            before = module.__flops__
            hook(module, *rest)
            layers[id(module)] += module.__flops__ - before

        return count

    printed = io.StringIO()
    with running(model) as where:

        def function(handler: Any, op: str) -> Any:
            def count(*args: Any, **kwargs: Any) -> Any:
                figure = handler(*args, **kwargs)
                functions[where(), op] += int(figure)
                return figure

            return count

        with (
            _replaced(MODULES_MAPPING, {kind: layer(hook) for kind, hook in MODULES_MAPPING.items()}),
            _replaced(FUNCTIONAL_MAPPING, {f: function(h, f.__name__) for f, h in FUNCTIONAL_MAPPING.items()}),
            _replaced(TENSOR_OPS_MAPPING, {f: function(h, f.__name__) for f, h in TENSOR_OPS_MAPPING.items()}),
            redirect_stdout(printed),
        ):
            total, _ = get_model_complexity_info(
                model, (1,), print_per_layer_stat=False, as_strings=False, input_constructor=lambda _: fed
            )
    if total is None:  # It catches what the model raises, and prints it.
        said = [line for line in printed.getvalue().splitlines() if line.startswith("<class")]
        raise RuntimeError(said[0] if said else "it did not finish and does not say why")
    rows = _visited(model, lambda module: layers[id(module)], stop=lambda module: type(module) in MODULES_MAPPING)
    counted = sum(row.figure for row in rows)
    rows += [PeerRow(path, op, n, "function") for (path, op), n in functions.items()]
    rows.append(PeerRow("", BATCH, int(counted / batch) - counted))
    return Said(int(total), rows)


def thop(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`profile(model, inputs)`: hooks on layers, summed down the tree."""
    from thop import profile

    paths, rows = paths_of(model), []
    ops, _, tree = profile(model, inputs=positional(model, args, kwargs), verbose=False, ret_layer_info=True)

    def walk(visited: str, module: nn.Module, total: float, below: Mapping[str, Any]) -> None:
        own = round(total - sum(part[0] for part in below.values()))
        rows.append(PeerRow(paths[id(module)], leaf_op(module), own, visited))
        for name, (inside, _, further) in below.items():
            walk(f"{visited}.{name}" if visited else name, module.get_submodule(name), inside, further)

    walk("", model, ops, tree)
    return Said(round(ops), [row for row in rows if row.figure])


def torchinfo(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`summary(model, input_data=…).total_mult_adds`: a row a call of a leaf layer."""
    from torchinfo import summary

    fed: dict[str, Any] = {"input_data": list(args), **kwargs} if args else {"input_data": dict(kwargs)}
    found = summary(model, verbose=0, **fed)
    paths = paths_of(model)
    leaves = [layer for layer in found.summary_list if layer.is_leaf_layer and layer.macs]
    return Said(
        int(found.total_mult_adds),
        [PeerRow(paths[layer.layer_id], leaf_op(layer.module), int(layer.macs)) for layer in leaves],
    )


def calflops(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """What `calculate_flops` runs, with any arguments: patched functions, summed into the module that calls them."""
    from calflops.calculate_pipline import CalFlopsPipline

    pipeline = CalFlopsPipline(model=model, include_backPropagation=False, compute_bp_factor=2.0)
    pipeline.start_flops_calculate()
    model(*args, **kwargs)
    said = Said(int(pipeline.get_total_macs()), _visited(model, lambda module: module.__macs__))
    pipeline.end_flops_calculate()
    return said


def deepspeed(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Said:
    """`FlopsProfiler(model)`, of which calflops is a descendant."""
    from deepspeed.profiling.flops_profiler import FlopsProfiler

    profiling = FlopsProfiler(model)
    profiling.start_profile()
    model(*args, **kwargs)
    profiling.stop_profile()
    paths = paths_of(model)  # Unlike calflops it sums over distinct modules.
    found: list[tuple[Any, int]] = [(module, int(getattr(module, "__macs__"))) for module in model.modules()]  # noqa: B009
    rows = [PeerRow(paths[id(module)], leaf_op(module), macs) for module, macs in found if macs]
    said = Said(int(profiling.get_total_macs()), rows)
    profiling.end_profile()
    return said


def _visited(
    model: nn.Module, figure: Callable[[Any], int], stop: Callable[[nn.Module], bool] = lambda module: False
) -> list[PeerRow]:
    """A row a module, once for every parent that holds it, as a peer that sums down the tree adds them.

    `stop`: modules that the peer takes whole, without looking inside.
    """
    paths, inside, rows = paths_of(model), "", []
    for visited, module in visits(model):
        if inside and visited.startswith(inside):
            continue
        inside = f"{visited}." if stop(module) else ""
        if figure(module):
            rows.append(PeerRow(paths[id(module)], leaf_op(module), int(figure(module)), visited))
    return rows


@contextmanager
def _replaced(mapping: dict[Any, Any], values: Mapping[Any, Any]) -> Iterator[None]:
    kept = dict(mapping)
    mapping.update(values)
    try:
        yield
    finally:
        mapping.update(kept)


ADAPTERS: dict[str, Adapter] = {
    "fvcore": fvcore,
    "FlopCounterMode": flop_counter_mode,
    "profiler": profiler,
    "ptflops": ptflops,
    "thop": thop,
    "torchinfo": torchinfo,
    "calflops": calflops,
    "deepspeed": deepspeed,
}
