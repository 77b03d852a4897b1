"""Restores a model and the random generators after a count, even if the count failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from numpy import ndarray
from torch import Tensor, nn

from analyzer.core.errors import AnalyzerError
from analyzer.counting.dispatch.operator_tracker import DispatchMode
from analyzer.counting.dispatch.tensors import dispatches_itself, is_fake, plain_tensors
from analyzer.counting.execution.distributed import reshard
from analyzer.counting.execution.module_state import Attributes
from analyzer.counting.execution.randomness import Randomness, is_generator, seeded
from analyzer.counting.execution.restore_caches import variables_in_files
from analyzer.counting.execution.torch_settings import restore_settings


@contextmanager
def restore_state(
    modules: Sequence[nn.Module], *, parameters: bool = False, randomness: Randomness | None = None
) -> Iterator[list[Tensor]]:
    """Restores the mode, hooks, attributes, parameter identities, gradients, buffer values, generators and settings.

    Yields the tensors that the model's modules hold. Containers and objects in attributes are restored in place.
    `parameters` is for a model that runs on its own tensors: it restores the values of parameters too, each copied only
    when an operator writes to it. If it is False the pass runs on substitutes for the modules' tensors, so only tensors
    inside containers and objects are copied.

    Variables of closures are not restored, only containers in them; `restore_caches` restores those of classes and
    files.
    """
    attributes = Attributes([vars(module) for module in modules])
    scripted = [_ScriptModuleState(module) for module in modules if isinstance(module, torch.jit.ScriptModule)]
    # Parameters are left to the backup, and meta and fake tensors have no values.
    valued = [t for t in attributes.tensors if not (t.is_meta or is_fake(t) or isinstance(t, nn.Parameter))]
    if not parameters and valued:  # Most are buffers, which are fewer than attributes.
        for stores in (map(_buffers, modules), (store for module in modules for store in tensor_stores(module))):
            replaced = {id(value) for store in stores for value in store.values()}
            valued = [tensor for tensor in valued if id(tensor) not in replaced]
    values = [(tensor, tensor.detach().clone()) for tensor in valued]
    # A backward pass on real tensors adds to a gradient in place: each parameter starts without one.
    distinct = _parameters_of(modules)
    gradients = [(parameter, parameter.requires_grad, parameter.grad) for parameter in distinct]
    for parameter, _, gradient in gradients:
        if gradient is not None:
            parameter.grad = None
    in_files = variables_in_files(modules, lambda value: is_generator(value) or isinstance(value, ndarray))
    generators = [*attributes.generators, *filter(is_generator, in_files)]
    if randomness is not None:
        randomness.arrays = [*attributes.arrays, *(value for value in in_files if isinstance(value, ndarray))]
    with restore_settings(), seeded(randomness, generators):
        try:
            with _ParameterBackup([*attributes.tensors, *distinct]) if parameters else nullcontext():
                yield [*attributes.tensors, *(tensor for state in scripted for tensor in state.tensors())]
        finally:
            reshard(modules)
            attributes.restore()
            for state in scripted:
                state.restore()
            for parameter, requires_grad, gradient in gradients:
                if parameter.requires_grad is not requires_grad:
                    parameter.requires_grad_(requires_grad)
                if parameter.grad is not gradient:
                    parameter.grad = gradient
            for tensor, value in values:
                if not _same(tensor, value):
                    _write(tensor, value)


def _buffers(module: nn.Module) -> dict[str, Any]:
    return module._buffers


def tensor_stores(module: nn.Module) -> tuple[dict[str, Any], ...]:
    """The dicts in which a module holds tensors: parameters, buffers and plain attributes."""
    return module._parameters, module._buffers, vars(module)


class _ScriptModuleState:
    """A TorchScript module keeps its mode and tensors in C++, not in attributes. A frozen module has no mode.

    Raises AnalyzerError for convolutions that TorchScript runs without torch's dispatcher, where they cannot be
    counted.
    """

    def __init__(self, module: nn.Module) -> None:
        try:
            graph: Any = module.graph
        except (AttributeError, RuntimeError):  # A part whose forward is not compiled, such as an LSTM.
            graph = None
        if graph is not None and graph.findNode("prim::mkldnn_convolution", True) is not None:
            raise AnalyzerError(
                "torch.jit.optimize_for_inference hides convolutions; count the module before that call"
            )
        self.module, self.training = module, getattr(module, "training", None)
        stores: tuple[Any, ...] = (module._parameters, module._buffers)
        self.stores = [(store, dict(store.items())) for store in stores]

    def tensors(self) -> list[Tensor]:
        return [tensor for _, before in self.stores for tensor in before.values()]

    def restore(self) -> None:
        if self.training is not None and self.module.training != self.training:
            self.module.training = self.training
        for store, before in self.stores:
            for name, tensor in before.items():
                if store[name] is not tensor:
                    store[name] = tensor


def _parameters_of(modules: Iterable[nn.Module]) -> list[nn.Parameter]:
    """Distinct parameters, from a list of modules at hand: `model.parameters()` would traverse the model again."""
    parameters = [p for module in modules for p in module._parameters.values() if p is not None]
    return list({id(parameter): parameter for parameter in parameters}.values())


def _same(tensor: Tensor, value: Tensor) -> bool:
    """Equal by value, NaN to NaN. Version counters cannot be used: inference mode does not increment them."""
    pairs = zip(_parts(tensor), _parts(value), strict=True)
    return all(
        torch.equal(a, b)
        or (a.shape == b.shape and a.dtype == b.dtype and torch.allclose(a, b, rtol=0, atol=0, equal_nan=True))
        for a, b in pairs
    )


def _parts(tensor: Tensor) -> list[Tensor]:
    """The plain tensors in a tensor; of a sparse tensor its indices and values."""
    if (plain := plain_tensors(tensor)) != [tensor]:
        return [part for inner in plain for part in _parts(inner)]
    if tensor.layout == torch.strided:
        return [tensor.detach()]
    if tensor.layout == torch._mkldnn:  # type: ignore[attr-defined]
        return [tensor.to_dense()]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    return [tensor.to_sparse_coo()._indices(), tensor.values().detach()]  # type: ignore[no-untyped-call]


class _ParameterBackup(DispatchMode):  # type: ignore[no-untyped-call]
    """Copies a parameter just before an operator writes to it, and restores it at the end."""

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        super().__init__()
        # A detached alias keeps the storage of a parameter whose `data` is replaced.
        distinct = {id(tensor): tensor for tensor in tensors if isinstance(tensor, nn.Parameter)}
        self.aliases = [(part, part.detach()) for tensor in distinct.values() for part in plain_tensors(tensor)]
        self.at: dict[int, list[Tensor]] = {}
        for _, alias in self.aliases:
            self.at.setdefault(_address(alias), []).append(alias)
        self.copies: dict[int, list[Tensor]] = {0: []}  # Address 0 has no values.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if types and dispatches_itself(types):
            return NotImplemented  # The operators that it runs on plain tensors come next.
        if hasattr(func, "_schema") and func._schema.is_mutable:
            for value in [*args, *(kwargs or {}).values()]:
                for address in map(_address, value if isinstance(value, list | tuple) else [value]):
                    if address in self.at and address not in self.copies:
                        self.copies[address] = [alias.clone() for alias in self.at[address]]
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        for address, copies in self.copies.items():
            for alias, copy in zip(self.at.get(address, []), copies, strict=False):
                _write(alias, copy)
        for parameter, alias in self.aliases:
            if _address(parameter) != _address(alias):
                parameter.data = alias


def _address(tensor: Any) -> int:
    """Where the storage of a tensor or view starts; 0 for a tensor without values and for any other value."""
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or is_fake(tensor) or tensor.is_meta:
        return 0
    try:
        return int(tensor.untyped_storage().data_ptr())
    except RuntimeError:  # Such as a tensor under vmap, or a wrapper around other tensors.
        return 0


def _write(tensor: Tensor, value: Tensor) -> None:
    with torch.inference_mode(tensor.is_inference()), torch.no_grad():
        if tensor.layout == torch.strided and tensor.shape != value.shape:
            tensor.resize_(value.shape)
        tensor.copy_(value)
