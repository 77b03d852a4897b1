"""A model lent for counting comes back exactly as it was, also when the count fails half-way."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

CONTAINERS = (dict, list, set)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Puts back mode, hooks, attributes, parameters' identities, gradients, buffers' values, and random generators.

    Attributes that are dicts, lists or sets are put back in place, one level deep; tensors in them keep their values.
    """
    modules = list(model.modules())
    attributes = [_snapshot(vars(module)) for module in modules]
    tensors = [(tensor, tensor.detach().clone(), tensor._version) for tensor in _state(model) if not tensor.is_meta]
    generators = _generators()
    # A backward pass on real tensors adds to gradients in place: it gets none to add to.
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient
        for module, before in zip(modules, attributes, strict=True):
            _restore(vars(module), before)
        with torch.no_grad():
            for tensor, value, version in tensors:
                if tensor._version != version or not _same(tensor, value):
                    tensor.copy_(value)
        _reset(generators)


def _state(model: nn.Module) -> Iterator[Tensor]:
    """The tensors that a forward pass may write to: buffers, and tensors that are plain attributes."""
    yield from model.buffers()
    for module in model.modules():
        yield from (value for value in vars(module).values() if isinstance(value, Tensor))


def _same(tensor: Tensor, value: Tensor) -> bool:
    """In inference mode a write leaves no version behind, so values are compared; NaN equals NaN."""
    return torch.equal(torch.nan_to_num(tensor.detach()), torch.nan_to_num(value)) if tensor.numel() else True


def _snapshot(attributes: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Each attribute, and a shallow copy of what it holds if it is a container."""
    return {
        name: (value, value.copy() if isinstance(value, CONTAINERS) and hasattr(value, "copy") else None)
        for name, value in attributes.items()
    }


def _restore(attributes: dict[str, Any], before: dict[str, tuple[Any, Any]]) -> None:
    for name in [name for name in attributes if name not in before]:
        del attributes[name]
    for name, (value, copy) in before.items():
        attributes[name] = value
        if copy is not None and _differs(value, copy):
            value.clear()
            (value.extend if isinstance(value, list) else value.update)(copy)


def _differs(value: Any, copy: Any) -> bool:
    """By identity: what a container holds may be tensors, which do not compare to one truth."""
    if len(value) != len(copy):
        return True
    if isinstance(value, dict):
        return any(a is not b or value[a] is not copy[b] for a, b in zip(value, copy, strict=True))
    if isinstance(value, list):
        return any(a is not b for a, b in zip(value, copy, strict=True))
    return bool(value != copy)


def _generators() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy")
    initialised = torch.cuda.is_available() and torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    cuda = torch.cuda.get_rng_state_all() if initialised else None
    return torch.get_rng_state(), random.getstate(), numpy.random.get_state() if numpy else None, cuda


def _reset(states: tuple[Any, ...]) -> None:
    ours, standard, numpy, cuda = states
    torch.set_rng_state(ours)
    random.setstate(standard)
    if numpy is not None:
        sys.modules["numpy"].random.set_state(numpy)
    if cuda is not None:
        torch.cuda.set_rng_state_all(cuda)
