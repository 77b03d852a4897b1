"""A model lent for counting comes back exactly as it was, also when the count fails half-way."""

from __future__ import annotations

import random
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from operator import is_
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch.tensors import is_fake

CONTAINERS = (dict, list, set, deque)
PLAIN = frozenset({bool, int, float, str, type(None), tuple})


@contextmanager
def untouched(model: nn.Module, *, parameters: bool = False) -> Iterator[list[Tensor]]:
    """Puts back mode, hooks, attributes, parameters' identities, gradients, buffers' values, and random generators.

    Gives the tensors that the model's modules hold.

    Attributes that are containers are put back in place, and so are containers in them. `parameters` keeps the values
    of parameters too, for a model that runs on its own: some write to them, and only those are copied.
    """
    modules = list(model.modules())
    contents, empty, tensors = _contents([vars(module) for module in modules])
    scripted = [_Scripted(module) for module in modules if isinstance(module, torch.jit.ScriptModule)]
    # Parameters are left to the keeper, and what has no values has none to keep.
    others = [tensor for tensor in tensors if type(tensor) is not nn.Parameter]
    state = [one for one in others if not (isinstance(one, nn.Parameter) or one.is_meta or is_fake(one))]
    values = [(tensor, tensor.detach().clone()) for tensor in state]
    keeper = _Keeper(model) if parameters else nullcontext()
    generators = _generators()
    # A backward pass on real tensors adds to gradients in place: it gets none to add to.
    learned = [(parameter, parameter.requires_grad, parameter.grad) for parameter in parameters_of(modules)]
    for parameter, _, _ in learned:
        parameter.grad = None
    try:
        with keeper:
            yield [*tensors, *(tensor for one in scripted for _, held in one.places for tensor in held.values())]
    finally:
        if isinstance(keeper, _Keeper):
            keeper.put_back()
        for container in filter(None, empty):
            container.clear()
        for container, before in filter(_differs, contents):
            container.clear()
            (container.extend if isinstance(container, list | deque) else container.update)(before)
        for one in scripted:
            one.put_back()
        for parameter, learns, gradient in learned:
            if parameter.requires_grad is not learns:
                parameter.requires_grad_(learns)
            parameter.grad = gradient
        for tensor, value in values:
            if not _same(tensor, value):
                _write(tensor, value)
        _reset(generators)


class _Scripted:
    """A TorchScript module keeps its mode and its tensors elsewhere than in attributes."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.training = module, module.training
        stores: tuple[Any, ...] = (module._parameters, module._buffers)
        self.places = [(store, dict(store.items())) for store in stores]

    def put_back(self) -> None:
        if self.module.training != self.training:
            self.module.training = self.training
        for place, before in self.places:
            for name, tensor in before.items():
                if place[name] is not tensor:
                    place[name] = tensor


def parameters_of(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Every parameter of these modules themselves, once: a traversal of the model for each question takes longer."""
    found = (parameter for module in modules for parameter in module._parameters.values() if parameter is not None)
    return list({id(parameter): parameter for parameter in found}.values())


def _contents(containers: list[Any]) -> tuple[list[tuple[Any, Any]], list[Any], list[Tensor]]:
    """Every container, also inside another, once, with what it holds in a plain one: a subclass's copy may do more.

    Those that are empty come apart, for they are most: every module has a dozen dicts for hooks. With all tensors.
    """
    found: list[tuple[Any, Any]] = []
    empty: list[Any] = []
    tensors: list[Tensor] = []
    seen: set[int] = set()
    while containers:
        container = containers.pop()
        if id(container) in seen:
            continue
        seen.add(id(container))
        if isinstance(container, dict):
            found.append((container, dict(container)))
            values: Iterable[Any] = container.values()
        else:
            found.append((container, set(container) if isinstance(container, set) else list(container)))
            values = container
        others = [value for value in values if type(value) not in PLAIN]
        boxes = [value for value in others if isinstance(value, CONTAINERS)]
        empty += [box for box in boxes if not box]
        containers += filter(None, boxes)
        if len(boxes) < len(others):
            tensors += [value for value in others if isinstance(value, Tensor)]
    return found, empty, tensors


def _parts(tensor: Tensor) -> list[Tensor]:
    """The tensors that a sparse one keeps its values in; any other is its own part."""
    if tensor.layout == torch.strided:
        return [tensor.detach()]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    return [tensor.to_sparse_coo()._indices(), tensor.values().detach()]  # type: ignore[no-untyped-call]


def _same(tensor: Tensor, value: Tensor) -> bool:
    """By value: in inference mode a write leaves no version behind. NaN equals NaN."""
    pairs = list(zip(_parts(tensor), _parts(value), strict=True))
    return all(torch.equal(a, b) or _equal_but_for_nan(a, b) for a, b in pairs)


def _equal_but_for_nan(a: Tensor, b: Tensor) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype or not (a.is_floating_point() or a.is_complex()):
        return False
    return torch.equal(a.isnan(), b.isnan()) and torch.equal(a[~a.isnan()], b[~b.isnan()])


class _Keeper(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Copies a parameter just before an operator writes to it."""

    supports_higher_order_operators = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        # An alias keeps what a parameter holds if it is given other data.
        self.held = [(parameter, parameter.detach()) for parameter in model.parameters()]
        self.at: dict[int, list[Tensor]] = {}
        for _, alias in self.held:
            self.at.setdefault(_start(alias), []).append(alias)
        self.copies: dict[int, list[Tensor]] = {0: []}  # What has no storage has no copy.

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # See dispatch.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if hasattr(func, "_schema") and func._schema.is_mutable:
            given = [*args, *(kwargs or {}).values()]
            for value in given:
                for start in map(_start, value if isinstance(value, list | tuple) else [value]):
                    if start in self.at and start not in self.copies:
                        self.copies[start] = [alias.clone() for alias in self.at[start]]
        return func(*args, **(kwargs or {}))

    def put_back(self) -> None:
        for start, copies in self.copies.items():
            for alias, copy in zip(self.at.get(start, []), copies, strict=False):
                _write(alias, copy)
        for parameter, alias in self.held:
            if _start(parameter) != _start(alias):
                parameter.data = alias


def _start(tensor: Any) -> int:
    """Where the storage of a tensor starts, whatever part of it a view shows; 0 for what has none."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or is_fake(tensor) or tensor.is_meta:
        return 0
    return int(tensor.untyped_storage().data_ptr())


def _write(tensor: Tensor, value: Tensor) -> None:
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if tensor.layout == torch.strided and tensor.shape != value.shape:
            tensor.resize_(value.shape)
        tensor.copy_(value)


def _differs(pair: tuple[Any, Any]) -> bool:
    """A container and what it held. By identity: it may hold tensors, which do not compare to one truth."""
    container, before = pair
    if len(container) != len(before):
        return True
    if type(before) is set:
        return bool(container != before)
    if type(before) is dict and not all(map(is_, container.values(), before.values())):
        return True
    return not all(map(is_, container, before))


def _generators() -> tuple[Any, ...]:
    numpy = sys.modules.get("numpy")
    initialised = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
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
