"""A model made ready for one pass, on meta or on its real tensors, and put back after it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from analyzer.counting.dispatch.tensors import is_fake
from analyzer.counting.execution.restore import untouched
from analyzer.counting.operators.higher_order import as_written

Value = TypeVar("Value")


@contextmanager
def ready(
    place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The model and copies of its arguments where a pass runs, for one pass: what one leaves behind, such as a cached
    tensor of inference mode, the next must not find."""
    real = place == "real"
    with ExitStack() as stack:
        held = stack.enter_context(untouched(model, parameters=real))
        stack.enter_context(_plain_kernels(model, train=bool(train)))
        stack.enter_context(as_written())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # What torch warns of while it runs is about speed, and nothing here is timed.
        if train is not None:
            model.train(train)
        if not real:
            if any(not tensor.is_meta or is_fake(tensor) for tensor in held):
                _move_to_meta(model)
            stack.enter_context(_no_autocast())
        if place == "meta, factories too":
            stack.enter_context(torch.device("meta"))
        yield _mapped((list(args), dict(kwargs)), _copied if real else _to_meta)


@contextmanager
def _no_autocast() -> Iterator[None]:
    """Autocast changes no type on meta, where other bytes would be read and written than on a device."""
    autocast: Any = torch.autocast
    enter = autocast.__enter__

    def refuse(context: Any) -> Any:
        if context._enabled:
            raise RuntimeError("autocast has no effect on meta")
        return enter(context)

    if torch._C._is_any_autocast_enabled():
        raise RuntimeError("autocast has no effect on meta")
    autocast.__enter__ = refuse
    try:
        yield
    finally:
        autocast.__enter__ = enter


def initialised(model: nn.Module, own: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]) -> nn.Module:
    """A lazy model learns its sizes from its first input: a copy of it does. `own` are its tensors."""
    if not any(map(is_lazy, own)):
        return model
    model = copy.deepcopy(model)
    there, named = _mapped((list(args), dict(kwargs)), _to_meta if on_meta(own) else _copied)
    with torch.no_grad():
        model(*there, **named)
    return model


@contextmanager
def _plain_kernels(model: nn.Module, *, train: bool) -> Iterator[None]:
    """Fused transformer layers, and recurrent layers of oneDNN and cuDNN in training, exist on some devices only and
    hide what they do; the same work runs without them."""
    fast, onednn, cudnn = (
        torch.backends.mha.get_fastpath_enabled(),
        torch._C._get_mkldnn_enabled(),
        torch._C._get_cudnn_enabled(),
    )
    recurrent = train and any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch._C._set_mkldnn_enabled(onednn and not recurrent)
        torch._C._set_cudnn_enabled(cudnn and not recurrent)
        yield
    finally:
        torch._C._set_cudnn_enabled(cudnn)
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast)


def _move_to_meta(model: nn.Module) -> None:
    """Puts meta tensors of the same shapes in the places of parameters, buffers and plain tensors; ties stay ties."""
    moved: dict[int, Tensor] = {}

    def meta(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            shape = tensor if tensor.is_meta and not is_fake(tensor) else _on_no_device(tensor)
            is_parameter = isinstance(tensor, nn.Parameter)
            moved[id(tensor)] = (
                nn.Parameter(shape, tensor.requires_grad) if is_parameter and shape is not tensor else shape
            )
        return moved[id(tensor)]

    for module in model.modules():
        places: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, vars(module))
        for place in places:
            for name, value in place.items():
                if isinstance(value, Tensor):
                    place[name] = meta(value)


def _to_meta(tensor: Tensor) -> Tensor:
    """A leaf of its own, so that no gradient is copied back to where the data is."""
    return _on_no_device(tensor).requires_grad_(tensor.requires_grad)


def _on_no_device(tensor: Tensor) -> Tensor:
    """The same shape and layout on meta; a fake tensor moved there would stay a fake one."""
    if is_fake(tensor):
        shape, strides = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        return torch.empty_strided(shape, strides, dtype=tensor.dtype, device="meta")
    if tensor.layout not in (torch.strided, torch.jagged):
        raise RuntimeError("a sparse tensor does not say on meta how many values it holds")
    return tensor.detach().to("meta")


def _copied(tensor: Tensor) -> Tensor:
    """An input of its own for each pass, which may write to it."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def tensors_in(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, in one traversal; tied ones more than once."""
    stores = (store for module in model.modules() for store in (module._parameters, module._buffers))
    return [tensor for store in stores for tensor in store.values() if tensor is not None]


def on_meta(tensors: Iterable[Tensor]) -> bool:
    return any(tensor.is_meta for tensor in tensors)


def _mapped(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """The same structure with every tensor changed, the same one where it stood twice."""
    seen: dict[int, Tensor] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, Tensor):
            if id(item) not in seen:
                seen[id(item)] = change(item)
            return seen[id(item)]
        if isinstance(item, nn.utils.rnn.PackedSequence):
            return item._replace(data=walk(item.data))  # torch wants the batch's sizes on the CPU, wherever it is.
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return type(item)(*map(walk, item))
        if isinstance(item, list | tuple):
            return type(item)(map(walk, item))
        if isinstance(item, dict):
            changed = copy.copy(item)  # Of its own class, as a library's output classes are.
            changed.update((key, walk(part)) for key, part in item.items())
            return changed
        return item

    result: Value = walk(value)
    return result
