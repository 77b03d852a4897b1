"""Memory by liveness: the bytes of tensors alive over a forward pass, and with `train` a backward pass, on meta.

A storage is alive from the operator that returns it until the last reference to it goes. Scratch space inside a kernel
or a library is not seen. Attention is taken as its fused kernel, which keeps no scores.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from analyzer.counting.dispatch import recurrent
from analyzer.counting.dispatch.cpu_attention import ATTENTION, attention, attention_as_on_a_cpu
from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.outputs import run_model
from analyzer.counting.dispatch.tensors import output_gradient, output_tensors, tensors_inside, tensors_of
from analyzer.counting.operators.classify import Kind, Operator
from analyzer.records.record import Memory, ModuleMemory, prefixes

# Decomposed on meta, these operators make tensors that their kernels on a device do not.
NOT_DECOMPOSED = frozenset(f"aten::{name}" for name in ("dropout", "lstm", "gru", "rnn_tanh", "rnn_relu"))


def track_memory(
    model: nn.Module, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *, train: bool = False
) -> Memory:
    """The memory of one pass of a model that, like its arguments, is on meta, in the model's own mode."""
    kwargs = dict(kwargs or {})
    inputs = tensors_inside((list(args), kwargs))
    sizes = _bytes(model.parameters()), _bytes(model.buffers()), _bytes(inputs)
    tracker = MemoryTracker(model, inputs)
    saved = gradients = 0
    if not train:
        with torch.inference_mode(), tracker:
            outputs = run_model(model, args, kwargs)
    else:
        hooks = torch.autograd.graph.saved_tensors_hooks(tracker.save_for_backward, lambda tensor: tensor)
        with torch.enable_grad(), _RecurrentLayers(), attention_as_on_a_cpu(), tracker, hooks:
            outputs = run_model(model, args, kwargs)
            saved = tracker.saved_bytes
            differentiable = [tensor for tensor in output_tensors(outputs) if tensor.requires_grad]
            torch.autograd.backward(differentiable, [output_gradient(tensor) for tensor in differentiable])
        gradients = _bytes(p.grad for p in model.parameters() if p.grad is not None)
    del outputs
    modules = tuple(ModuleMemory(path, size, tracker.highest[path]) for path, size in tracker.allocated.items())
    return Memory(*sizes, tracker.peak, tracker.peak_path, saved, gradients, modules)


class MemoryTracker(OperatorTracker):
    """Bytes alive, their peak and the module that ran at the peak; per module, bytes allocated and highest alive.

    Operators are decomposed as far as they go. Parameters, buffers and inputs are not included.
    """

    def __init__(self, model: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__(model)
        self.alive = self.peak = self.saved_bytes = 0
        self.peak_path = ""
        self.allocated: dict[str, int] = {}
        self.highest: dict[str, int] = {}
        storages = [tensor.untyped_storage() for tensor in (*model.parameters(), *model.buffers(), *inputs)]
        self.known: dict[int, weakref.ref[Any]] = {storage._cdata: weakref.ref(storage) for storage in storages}
        self.saved = set(self.known)

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func is ATTENTION:
            with self.mode:
                return attention(*args, **kwargs)
        if _has_no_kernel(func) and known.name not in NOT_DECOMPOSED:
            return self.decompose(func, args, kwargs)
        result = super().run_operator(func, known, args, kwargs)
        if known.kind is Kind.VIEW:
            return result
        for tensor in tensors_of(result):
            self._allocate(tensor.untyped_storage())
        return result

    def _allocate(self, storage: torch.UntypedStorage) -> None:
        """A storage not seen before is a new allocation."""
        known = self.known.get(storage._cdata)
        if known is not None and known() is not None:
            return
        size = storage.nbytes()
        self.known[storage._cdata] = weakref.ref(storage, partial(self._free, size))
        self.alive += size
        for path in prefixes(self.path):
            self.allocated[path] = self.allocated.get(path, 0) + size
            self.highest[path] = max(self.highest.get(path, 0), self.alive)
        if self.alive > self.peak:
            self.peak, self.peak_path = self.alive, self.path

    def _free(self, size: int, storage: object) -> None:
        self.alive -= size

    def save_for_backward(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.saved:
            self.saved.add(storage._cdata)
            self.saved_bytes += storage.nbytes()
        return tensor


@cache
def _has_no_kernel(func: Any) -> bool:
    """Whether a CPU runs the operator as others. Python decompositions, such as of batch norm, are for meta only."""
    if not hasattr(func, "_schema"):
        return False
    composite, on_cpu = (
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key) for key in ("CompositeImplicitAutograd", "CPU")
    )
    return composite and not on_cpu


class _RecurrentLayers(TorchFunctionMode):
    """Under autograd: recurrent layers by products over all steps."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = recurrent.as_products(func, args, kwargs) if func in recurrent.GATES else NotImplemented
        return func(*args, **kwargs) if result is NotImplemented else result


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of distinct storages."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())
