"""Memory of recurrent and linear layers, which torch runs differently on a CPU and on meta.

On fake tensors a recurrent layer runs as on a CPU: step by step, and an LSTM by oneDNN in one operator. On meta torch
runs other operators. A linear layer adds its bias in place (ATen's `Linear.cpp`), but not on meta or in a mode.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.torch_version import TorchVersion

from analyzer.counting.dispatch import recurrent
from analyzer.counting.dispatch.tensors import is_fake
from analyzer.counting.operators.python_functions import ModeOfFunctions

if TYPE_CHECKING:
    from analyzer.counting.dispatch.memory_by_liveness import MemoryTracker

aten = torch.ops.aten
MAX_STEPS = 200  # Of all layers and directions: torch takes some 5 ms for a step and its gradient.
PAGE_BYTES = 4096
_WIDE_AREAS = 3 if TorchVersion(torch.__version__) >= "2.11" else 5  # oneDNN's releases differ.


class LayersAsOnACpu(ModeOfFunctions):
    """Recurrent layers of many steps, and those on meta, as products over all steps: an estimate, with a note.

    Sets `adds_bias` of the tracker while a linear layer runs, or a recurrent layer, which calls linear layers.
    """

    def __init__(self, tracker: MemoryTracker) -> None:
        super().__init__()
        self.tracker = tracker

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is linear:
            return self._run_with_bias(func, types, args, kwargs)
        if func not in recurrent.GATES:
            return self.run(func, types, args, kwargs)
        if kwargs or not _is_estimated(func, args):
            return self._run_with_bias(func, types, args, kwargs)
        result = recurrent.as_products(func, args, kwargs)
        if result is NotImplemented:
            return func(*args)
        self.tracker.note(self.tracker.path, ": memory of its steps is estimated, by products over all steps")
        return result

    def _run_with_bias(self, func: Any, types: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        batched = torch._C._functorch.maybe_current_level() is not None  # `vmap` adds the bias to a product.
        before, self.tracker.adds_bias = self.tracker.adds_bias, not batched
        try:
            return self.run(func, types, args, kwargs)
        finally:
            self.tracker.adds_bias = before


def scripted_recurrent_layers(model: nn.Module) -> list[str]:
    """The paths of the outermost TorchScript modules that run recurrent layers, which function modes do not see."""
    paths: list[str] = []
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}." if outer else "") for outer in paths)
        if inside or not isinstance(module, torch.jit.ScriptModule) or not module._c._has_method("forward"):
            continue
        graph: Any = module.inlined_graph
        if any(graph.findAllNodes(f"aten::{kind}", recurse=True) for kind in ("lstm", "gru", "rnn_tanh", "rnn_relu")):
            paths.append(path)
    return paths


def add_bias_in_place(args: Sequence[Any]) -> Tensor | None:
    """The first argument of an addition, as its result, if the second one is a bias."""
    output, bias = args[:2]
    if not isinstance(bias, Tensor) or bias.dim() != 1 or output.dim() < 2:
        return None
    result: Tensor = output.detach()  # With the result's own node in the graph.
    return result


def _is_estimated(func: Any, args: Any) -> bool:
    source: Tensor = args[0]
    with torch._C.DisableTorchFunction():  # A mode may report another device of meta tensors.
        if not is_fake(source):
            return source.is_meta
    packed = isinstance(args[3], list | tuple)
    weights, layers, both_ways = (args[3], args[5], args[8]) if packed else (args[2], args[4], args[7])
    projected = len(weights) // (layers * (1 + both_ways)) in (3, 5)
    if func is torch.lstm and not packed and not projected and source.dtype is torch.float32:
        return False  # oneDNN has an operator for all steps.
    steps = args[1].shape[0] if packed else source.shape[1 if args[8] else 0]
    return bool(steps * layers * (1 + both_ways) > MAX_STEPS)


def _with_workspace(result: Sequence[Tensor], args: Sequence[Any]) -> Sequence[Tensor]:
    """oneDNN's LSTM of one layer and direction, with the workspace that it keeps for the backward pass.

    Areas of whole pages (oneDNN's `rnn_utils.cpp`): the four gates of each step, and six of states, up to torch 2.10
    eight. The rows of all but two areas are whole cache lines, and one more where they would start at the same place of
    a page.
    """
    if not torch.is_grad_enabled():
        return result
    source: Tensor = args[0]
    steps, batch, width = source.shape
    hidden = args[5].shape[-1]
    states = 2 * (steps + 1) * batch  # Before and after the layer, and before the first step.
    areas = [
        steps * batch * _row(4 * hidden),
        *_WIDE_AREAS * [states * _row(max(width, hidden))],
        *2 * [states * hidden],
        steps * batch * _row(hidden),
    ]
    pages = sum(ceil(area * source.element_size() / PAGE_BYTES) for area in areas)
    return (*result[:3], source.new_empty(pages * PAGE_BYTES, dtype=torch.uint8))


def _row(elements: int) -> int:
    whole = -(-elements // 16) * 16
    return whole + 16 if whole % 256 == 0 else whole


def _with_two_biases(result: Sequence[Tensor], args: Sequence[Any]) -> Sequence[Tensor]:
    """The gradients of both biases: on fake tensors one tensor, up to torch 2.10 of a weight's size without biases."""
    gates = args[1].shape[:1]
    return (*result[:3], *(result[3].new_empty(gates) for _ in range(2)), *result[5:])


ONEDNN_RESULTS: dict[Any, Callable[[Sequence[Tensor], Sequence[Any]], Sequence[Tensor]]] = {
    aten.mkldnn_rnn_layer.default: _with_workspace,
    aten.mkldnn_rnn_layer_backward.default: _with_two_biases,
}
