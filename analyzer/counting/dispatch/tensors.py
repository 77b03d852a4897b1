"""The tensors of a call: which tensors, and their shapes, storages and sizes in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from functools import lru_cache
from types import FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from analyzer.core.shapes import Shapes


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in nested lists, tuples and dicts, and in subclasses of them; of a nested tensor, its values.

    `torch.utils._pytree` takes twice the time, which every operator would pay, and stops at such subclasses.
    """
    tensors: list[Tensor] = []
    kind = type(value)
    if kind in _PLAIN and not value.is_nested:
        tensors.append(value)  # Most results.
    elif kind is tuple and len(value) == 1 and type(value[0]) in _PLAIN and not value[0].is_nested:
        tensors.append(value[0])  # Most arguments of modules.
    else:
        _collect(value, tensors)
    return tensors


def _collect(value: Any, tensors: list[Tensor]) -> None:
    if type(value) not in _SEQUENCES:  # The exact types are far more frequent than subclasses.
        if isinstance(value, Tensor):
            tensors.append(value.values() if value.is_nested else value)
            return
        if isinstance(value, dict):
            value = value.values()
        elif not isinstance(value, (list, tuple)):
            return
    for item in value:
        if type(item) not in _NUMBERS:
            _collect(item, tensors)


# Most arguments of operators are of these types.
_NUMBERS = frozenset({int, float, bool, str, type(None)})
_SEQUENCES = frozenset({list, tuple})


def tensors_inside(value: Any) -> list[Tensor]:
    """Every tensor in arguments or outputs, also in the attributes of objects such as a cache or a distribution.

    Not the tensors of modules, nor those that a function holds in its closure.
    """
    tensors: list[Tensor] = []
    seen: set[int] = set()
    pending = [value]
    while pending:
        value = pending.pop()
        if isinstance(value, Tensor):
            tensors.append(value.values() if value.is_nested else value)
            continue
        if isinstance(value, nn.Module | type | ModuleType | FunctionType | MethodType):
            continue
        inner: list[Any] = []
        if isinstance(value, dict):
            inner += value.values()
        elif isinstance(value, list | tuple | set | frozenset | deque):
            inner += value
        kind: type = type(value)
        if kind not in _WITHOUT_ATTRIBUTES:
            attributes = getattr(value, "__dict__", None)
            inner += attributes.values() if type(attributes) is dict else ()
            inner += [getattr(value, name, None) for name in slot_names(kind)]
        if inner and id(value) not in seen:
            seen.add(id(value))
            pending += reversed(inner)
    return tensors


_WITHOUT_ATTRIBUTES = frozenset({dict, list, tuple, set, frozenset, deque, int, float, str, bool, type(None)})


def output_tensors(output: Any) -> list[Tensor]:
    """Every tensor that a model returns, once each."""
    return list({id(tensor): tensor for tensor in tensors_inside(output)}.values())


def run_backward(outputs: Sequence[Tensor]) -> None:
    """Runs a backward pass from all outputs at once, each with a gradient of ones.

    A sparse output has its own values as gradient, in its own layout. `torch.autograd.backward` compares the shapes
    of gradients and outputs, for which it imports sympy: a third of a second. Here they are equal.
    """
    if not outputs:
        return
    gradients = [
        torch.ones_like(output) if output.layout == torch.strided else output.detach().clone() for output in outputs
    ]
    if not all(type(output) in _PLAIN or is_fake(output) for output in outputs):
        torch.autograd.backward(outputs, gradients)  # A subclass may have a backward of its own.
        return
    torch.autograd.Variable._execution_engine.run_backward(
        tuple(outputs), tuple(gradients), False, False, (), allow_unreachable=True, accumulate_grad=True
    )


def current_node_number() -> int:
    """The sequence number of the node of a backward pass that runs now; -1 outside any."""
    node = torch._C._current_autograd_node()
    return int(node._sequence_nr()) if node is not None else -1


@lru_cache(maxsize=4096)
def slot_names(kind: type) -> list[str]:
    """The attributes that a class and its bases keep in `__slots__`."""
    slots = [vars(base).get("__slots__", ()) for base in kind.__mro__]
    names = [name for names in slots for name in ((names,) if isinstance(names, str) else names)]
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def shapes_of(tensors: Iterable[Tensor]) -> Shapes:
    return tuple([tuple(tensor.shape) for tensor in tensors])


def replace_by_shapes(value: Any) -> Any:
    """The same structure with a shape in place of every tensor: faster than pytree's `tree_map_only`."""
    kind = type(value)
    if kind in _PLAIN:
        return tuple(value.shape)
    if isinstance(value, (list, tuple)):
        if _NUMBERS.issuperset(map(type, value)):
            return tuple(value)
        return tuple([item if type(item) in _NUMBERS else replace_by_shapes(item) for item in value])
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        return {key: replace_by_shapes(item) for key, item in value.items()}
    return value


def plain_tensors(tensor: Tensor) -> list[Tensor]:
    """The tensors that a wrapper such as a DTensor or a quantized weight holds; any other tensor itself."""
    wrapper: Any = tensor
    if not is_wrapper(tensor):
        return [tensor]
    inner = [getattr(wrapper, name) for name in wrapper.__tensor_flatten__()[0]]
    return [plain for value in inner if isinstance(value, Tensor) for plain in plain_tensors(value)]


_PLAIN = frozenset({Tensor, nn.Parameter})
_STRIDED = torch.strided


def is_wrapper(tensor: Any) -> bool:
    return type(tensor) not in _PLAIN and is_traceable_wrapper_subclass(tensor)


def storage_id(tensor: Tensor) -> int:
    """Equal for a parameter and its views. A sparse tensor has several storages and shares none.

    A wrapper has the storage of its first tensor, a tensor under vmap that of the whole batch.
    """
    if type(tensor) not in _PLAIN:
        tensor = plain_tensors(tensor)[0]
    if tensor.layout is not _STRIDED:
        return id(tensor)
    try:
        storage: int = tensor.untyped_storage()._cdata
        return storage
    except NotImplementedError:
        if not torch._C._functorch.is_functorch_wrapped_tensor(tensor):
            raise
        return storage_id(torch._C._functorch.get_unwrapped(tensor))


def storages_of(tensor: Tensor) -> list[torch.UntypedStorage]:
    """Where the elements are: several storages for a wrapper, or for the values and the indices of a sparse tensor."""
    if is_wrapper(tensor):
        return [storage for part in plain_tensors(tensor) for storage in storages_of(part)]
    if tensor.layout in _PARTS:
        parts = [getattr(tensor, name)() for name in _PARTS[tensor.layout]]
        return [part.untyped_storage() for part in parts]
    return [tensor.untyped_storage()]


def bytes_of(tensor: Tensor) -> int:
    """Bytes of the elements, as they are stored; of a sparse tensor, of its values and their indices."""
    if is_wrapper(tensor):
        return sum(map(bytes_of, plain_tensors(tensor)))
    if tensor.layout is _STRIDED:
        return tensor.nbytes
    if tensor.layout in _DENSE:
        return tensor.numel() * tensor.element_size()
    coo = tensor if tensor.layout == torch.sparse_coo else tensor.to_sparse_coo()  # type: ignore[no-untyped-call]
    return coo._values().nbytes + coo._indices().nbytes


_BY_ROW, _BY_COLUMN = ("crow_indices", "col_indices", "values"), ("ccol_indices", "row_indices", "values")
_PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    **dict.fromkeys((torch.sparse_csr, torch.sparse_bsr), _BY_ROW),
    **dict.fromkeys((torch.sparse_csc, torch.sparse_bsc), _BY_COLUMN),
}
_DENSE = frozenset({torch.strided, torch._mkldnn})  # type: ignore[attr-defined]


def any_sparse(args: Any) -> bool:
    return any(tensor.layout not in _DENSE for tensor in tensors_of(args))


def is_fake(tensor: Tensor) -> bool:
    """Whether the tensor has a device but no values (torch's FakeTensor)."""
    return type(tensor) not in _PLAIN and isinstance(tensor, FakeTensor)


def dispatches_itself(kinds: Iterable[type[Tensor]]) -> bool:
    """Whether a tensor subclass handles operators itself, as nested tensors do, by calling them on plain tensors."""
    return any(
        kind.__torch_dispatch__ is not Tensor.__torch_dispatch__ and not issubclass(kind, FakeTensor) for kind in kinds
    )
