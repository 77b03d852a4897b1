"""Prepares a model and its arguments for one pass at a place, and restores the model after it."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from analyzer.counting.dispatch.tensors import is_fake
from analyzer.counting.execution.places import PLACES, REAL, Move, to_meta
from analyzer.counting.execution.restore import restore_state
from analyzer.counting.operators.higher_order import as_written


@contextmanager
def prepared_model(
    place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Within the block the model is at the place; yields copies of its arguments there.

    Each pass needs a block of its own, so that it does not find what the pass before left behind, such as a cached
    inference tensor.
    """
    with ExitStack() as stack:
        tensors = stack.enter_context(restore_state(model, parameters=place == REAL))
        stack.enter_context(_decomposed_kernels(model, train=bool(train)))
        stack.enter_context(as_written())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # torch's warnings during a pass are about speed, which a count does not use.
        if train is not None:
            model.train(train)
        move = stack.enter_context(PLACES[place]())
        if move is not None and any(not tensor.is_meta or is_fake(tensor) for tensor in tensors):
            _move_model(model, move)
        yield copy_arguments(args, kwargs, move or _clone)


def materialize_lazy(
    model: nn.Module, tensors: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> nn.Module:
    """The model, or if it is lazy a copy that has taken its sizes from the arguments. `tensors` are the model's."""
    if not any(map(is_lazy, tensors)):
        return model
    model = copy.deepcopy(model)
    args, kwargs = copy_arguments(args, kwargs, to_meta if any_on_meta(tensors) else _clone)
    with torch.no_grad():
        model(*args, **kwargs)
    return model


def tensors_in(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, from one traversal; tied tensors more than once."""
    stores = (store for module in model.modules() for store in (module._parameters, module._buffers))
    return [tensor for store in stores for tensor in store.values() if tensor is not None]


def any_on_meta(tensors: Sequence[Tensor]) -> bool:
    return any(tensor.is_meta for tensor in tensors)


@contextmanager
def _decomposed_kernels(model: nn.Module, *, train: bool) -> Iterator[None]:
    """Turns off fused transformer layers, and in training recurrent layers of oneDNN and cuDNN.

    These exist on some devices only and hide their operators; without them the same products run as operators.
    """
    fast_path = torch.backends.mha.get_fastpath_enabled()
    onednn, cudnn = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    recurrent = train and any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch._C._set_mkldnn_enabled(onednn and not recurrent)
        torch._C._set_cudnn_enabled(cudnn and not recurrent)
        yield
    finally:
        torch._C._set_cudnn_enabled(cudnn)
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _move_model(model: nn.Module, move: Move) -> None:
    """Replaces parameters, buffers and tensor attributes by moved ones; tied tensors stay tied."""
    moved: dict[int, Tensor] = {}

    def replacement(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            stays = tensor.is_meta and not is_fake(tensor)
            new = tensor if stays else move(tensor.detach())
            if isinstance(tensor, nn.Parameter) and not stays:
                new = nn.Parameter(new, tensor.requires_grad)
            moved[id(tensor)] = new
        return moved[id(tensor)]

    for module in model.modules():
        stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, vars(module))
        for store in stores:
            for name, value in store.items():
                if isinstance(value, Tensor):
                    store[name] = replacement(value)


def copy_arguments(args: Sequence[Any], kwargs: Mapping[str, Any], change: Move) -> tuple[list[Any], dict[str, Any]]:
    """Deep copies in which every tensor, also inside other objects, is replaced by `change(tensor)`.

    What cannot be copied, such as a generator, is passed as it is.
    """
    memo: dict[int, Any] = {}
    for leaf in pytree.tree_leaves((list(args), dict(kwargs)), is_leaf=lambda value: isinstance(value, PackedSequence)):
        if isinstance(leaf, PackedSequence):  # torch wants batch sizes on the CPU, wherever the data is.
            memo |= {id(tensor): tensor for tensor in leaf[1:]}

    def copied(value: Any) -> Any:
        try:
            return copy.deepcopy(value, memo)
        except (TypeError, NotImplementedError, copy.Error):
            return value

    with _TensorCopies(change):
        return [copied(value) for value in args], {name: copied(value) for name, value in kwargs.items()}


class _TensorCopies(TorchFunctionMode):
    """Makes `copy.deepcopy` replace tensors by `change(tensor)`."""

    def __init__(self, change: Move) -> None:
        super().__init__()
        self.change = change

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.__deepcopy__ or func is Tensor.clone:  # A Parameter copies itself by cloning its data.
            return self.change(args[0])
        return func(*args, **(kwargs or {}))


def _clone(tensor: Tensor) -> Tensor:
    """A copy, since a pass may write to its input."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)
