"""Prepares a model and its arguments for one pass at a place, and restores the model after it."""

from __future__ import annotations

import copy
import gc
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy

from analyzer.counting.dispatch.module_names import named_modules
from analyzer.counting.dispatch.tensors import tensors_inside
from analyzer.counting.execution.clocks_and_ids import varied_by_seed
from analyzer.counting.execution.copy_arguments import clone, copy_arguments
from analyzer.counting.execution.distributed import distributed_as_usual, is_fully_sharded
from analyzer.counting.execution.move_to_meta_or_fake import PLACES, REAL, WITHOUT_VALUES, ZEROS, Move, stays, to_meta
from analyzer.counting.execution.randomness import Randomness
from analyzer.counting.execution.restore import restore_state, tensor_stores
from analyzer.counting.execution.restore_caches import restore_caches
from analyzer.counting.execution.subclass_constructors import subclasses_constructed
from analyzer.counting.operators.higher_order import as_written
from analyzer.counting.operators.jagged_attention import attention_by_sequence


@contextmanager
def prepared_model(
    place: str,
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    train: bool | None,
    randomness: Randomness | None = None,
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """Within the block the model is at the place; yields copies of its arguments there.

    Each pass needs its own block, so that nothing cached by the previous pass, such as an inference tensor, is reused.
    """
    with ExitStack() as stack:
        stack.enter_context(_deeper_recursion())
        if place in WITHOUT_VALUES:
            stack.enter_context(_no_collection())
        modules = [module for _, module in named_modules(model)]
        stack.enter_context(restore_caches(modules))
        tensors = stack.enter_context(restore_state(modules, parameters=place in (REAL, ZEROS), randomness=randomness))
        if randomness is not None:
            stack.enter_context(varied_by_seed(modules, randomness))
        stack.enter_context(_decomposed_kernels())
        stack.enter_context(as_written())
        stack.enter_context(attention_by_sequence())
        stack.enter_context(subclasses_constructed())
        stack.enter_context(distributed_as_usual())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # torch's warnings during a pass are about speed, which a count does not use.
        if train is not None:
            _set_mode(model, train=train)
        move = stack.enter_context(PLACES[place]([*tensors, *tensors_inside((list(args), kwargs))]))
        if move is not None:
            with torch._C.DisableTorchFunction():  # The place may report another device of meta tensors.
                if not all(stays(place, tensor) for tensor in tensors):
                    _move_model(model, move, place)
        yield copy_arguments(args, kwargs, move or clone)


def materialize_lazy(
    model: nn.Module,
    tensors: Sequence[Tensor],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    train: bool | None = None,
) -> nn.Module:
    """The model, or if it is lazy a copy that has taken its sizes from the arguments. `tensors` are the model's.

    A lazy layer that the pass does not call has no size: the copy is without its parameters.
    """
    if not any(map(is_lazy, tensors)):
        return model
    with _deeper_recursion():
        # torch has no copy of an uninitialized buffer.
        buffer: Any = UninitializedBuffer
        buffers = [tensor for tensor in tensors if isinstance(tensor, buffer)]
        model = copy.deepcopy(model, {id(old): buffer(device=old.device, dtype=old.dtype) for old in buffers})
        if train is not None:
            _set_mode(model, train=train)
        args, kwargs = copy_arguments(args, kwargs, to_meta if any_on_meta(tensors) else clone)
        with torch.no_grad():
            model(*args, **kwargs)
    for module in model.modules():
        for store in (module._parameters, module._buffers):
            store.update({name: None for name, tensor in store.items() if tensor is not None and is_lazy(tensor)})
    return model


def tensors_in(model: nn.Module) -> list[Tensor]:
    """Parameters and buffers, from one traversal; tied tensors more than once."""
    modules = [module for _, module in named_modules(model)]
    stores = [store for module in modules for store in (module._parameters, module._buffers) if store]
    return [tensor for store in stores for tensor in store.values() if tensor is not None]


def any_on_meta(tensors: Sequence[Tensor]) -> bool:
    return any(tensor.is_meta for tensor in tensors)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Disables garbage collection, which would take half of the time to scan rows and graphs without cycles.

    Garbage of a pass without values is small.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def _decomposed_kernels() -> Iterator[None]:
    """Turns off fused transformer layers, which hide their operators: without them the same products run."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _set_mode(module: nn.Module, *, train: bool) -> None:
    """`module.train(train)`, except for parts whose mode was fixed when they were exported or frozen."""
    try:
        module.train(train)
    except RecursionError:
        raise
    except (AttributeError, NotImplementedError, RuntimeError):
        for child in module.children():
            _set_mode(child, train=train)


@contextmanager
def _deeper_recursion() -> Iterator[None]:
    """Hooks and modes add frames to every call, so a model close to Python's recursion limit would exceed it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(2 * limit + 1000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _move_model(model: nn.Module, move: Move, place: str) -> None:
    """Replaces parameters, buffers and tensor attributes by moved ones; tied tensors stay tied."""
    moved: dict[int, Tensor] = {}

    def replacement(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            moved[id(tensor)] = tensor
            if not stays(place, tensor):
                if isinstance(tensor, nn.Parameter):
                    moved[id(tensor)] = nn.Parameter(move(tensor), tensor.requires_grad)
                else:
                    moved[id(tensor)] = move(tensor.detach())
        return moved[id(tensor)]

    modules = list(model.modules())
    if is_fully_sharded(modules):
        raise RuntimeError("FSDP gathers parameters that have values")
    for module in modules:
        for store in tensor_stores(module):
            for name, value in store.items():
                if isinstance(value, Tensor):
                    store[name] = replacement(value)
