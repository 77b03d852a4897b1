"""Memory by liveness: which tensors are alive when, over a forward pass and with `train` a backward pass, on meta.

What is followed is what operators hand out: a storage lives from the operator that makes it until the last reference
to it goes. Scratch space inside a kernel or a library is not seen. Attention is taken as its fused kernel, which keeps
no scores.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch.tensors import tensors_of
from analyzer.counting.operators.registry import composite
from analyzer.counting.shape_rules.infer import infer
from analyzer.records.record import Memory, ModuleMemory

# Taken apart on meta, these make tensors that they do not make on a device.
WHOLE = frozenset({"aten::scaled_dot_product_attention", "aten::dropout"})


def measure(
    model: nn.Module, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, *, train: bool = False
) -> Memory:
    """The memory of one pass of a model that, with its arguments, is on meta; its mode is left to the caller."""
    kwargs = dict(kwargs or {})
    books = _Books(model)
    parameters, buffers = _bytes(model.parameters()), _bytes(model.buffers())
    fed = _bytes(tensors_of((list(args), kwargs)))
    books.ignore([*model.parameters(), *model.buffers(), *tensors_of((list(args), kwargs))])
    before = register_module_forward_pre_hook(books.enter)
    after = register_module_forward_hook(books.leave, always_call=True)
    try:
        if not train:
            with torch.inference_mode(), _Watch(books):
                outputs = model(*args, **kwargs)
            saved = gradients = 0
        else:
            with torch.enable_grad(), _FusedAttention(), _Watch(books), _saved(books):
                outputs = model(*args, **kwargs)
                saved = books.saved_bytes
                learned = [tensor for tensor in _returned(outputs) if tensor.requires_grad]
                torch.autograd.backward(learned, [torch.ones_like(tensor) for tensor in learned])
            gradients = _bytes(p.grad for p in model.parameters() if p.grad is not None)
    finally:
        before.remove()
        after.remove()
    del outputs
    return Memory(parameters, buffers, fed, books.peak, books.peak_path, saved, gradients, books.modules())


class _Books:
    """Bytes alive, their peak, and where the pass was at the peak; each module's own peak above what it found."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.stack: list[str] = [""]
        self.alive = self.peak = self.saved_bytes = 0
        self.peak_path = ""
        self.known: dict[int, weakref.ref[Any]] = {}
        self.kept: set[int] = set()
        self.made: dict[str, int] = {}
        self.highest: dict[str, int] = {}

    def ignore(self, tensors: Sequence[Tensor]) -> None:
        """Tensors that were there before: they are counted apart."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self.known[storage._cdata] = weakref.ref(storage)
            self.kept.add(storage._cdata)

    def enter(self, module: nn.Module, args: Any) -> None:
        self.stack.append(self.paths.get(id(module), self.stack[-1]))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.stack.pop()

    def made_by(self, tensors: Sequence[Tensor]) -> None:
        """An operator handed these out: storages not seen before are new."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            known = self.known.get(storage._cdata)
            if known is not None and known() is not None:
                continue
            size = storage.nbytes()
            self.known[storage._cdata] = weakref.ref(storage, partial(self._freed, size))
            self.alive += size
            for path in self._here():
                self.made[path] = self.made.get(path, 0) + size
                self.highest[path] = max(self.highest.get(path, 0), self.alive)
            if self.alive > self.peak:
                self.peak, self.peak_path = self.alive, self.stack[-1]

    def _freed(self, size: int, storage: object) -> None:
        self.alive -= size

    def _here(self) -> list[str]:
        parts = self.stack[-1].split(".") if self.stack[-1] else []
        return [".".join(parts[: depth + 1]) for depth in range(len(parts))]

    def saved(self, tensor: Tensor) -> Tensor:
        """Autograd keeps this tensor for the backward pass."""
        storage = tensor.untyped_storage()
        if storage._cdata not in self.kept:
            self.kept.add(storage._cdata)
            self.saved_bytes += storage.nbytes()
        return tensor

    def modules(self) -> tuple[ModuleMemory, ...]:
        return tuple(ModuleMemory(path, self.made[path], self.highest[path]) for path in self.made)


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator on meta, taken apart as far as it goes, and enters what it hands out in the books."""

    def __init__(self, books: _Books) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.books = books

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # See dispatch.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func._schema.name
        if composite(func) and name not in WHOLE:
            with self:
                return func.decompose(*args, **kwargs)
        result = infer(name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        self.books.made_by(tensors_of(result))
        return result


class _FusedAttention(TorchFunctionMode):
    """Under autograd torch has only the unfused attention on meta; this stands for the kernel that devices run."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.nn.functional.scaled_dot_product_attention and not kwargs.get("dropout_p"):
            query, key, value = args[:3]
            if query.dim() == 4 and query.shape[-1] == value.shape[-1] and query.shape[1] == key.shape[1]:
                return _Fused.apply(query, key, value)  # type: ignore[no-untyped-call]
        return func(*args, **kwargs)


class _Fused(torch.autograd.Function):
    """Keeps query, key, value, output and the logarithm of each row's sum; no scores."""

    @staticmethod
    def forward(context: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        output = torch.empty_like(query)
        context.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        query, key, value, *_ = context.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _saved(books: _Books) -> Any:
    return torch.autograd.graph.saved_tensors_hooks(books.saved, lambda tensor: tensor)


def _bytes(tensors: Any) -> int:
    """Bytes of distinct storages."""
    return sum({t.untyped_storage()._cdata: t.untyped_storage().nbytes() for t in tensors}.values())


def _returned(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor | list | tuple | dict):
        return tensors_of(value)
    return tensors_of(dict(vars(value))) if hasattr(value, "__dict__") else []
