"""The tensors of a call: which tensors, and their shapes, storages and sizes in bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from analyzer.core.shapes import Shapes


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in nested lists, tuples and dicts, and in subclasses of them; of a nested tensor, its values.

    `torch.utils._pytree` takes twice the time, which every operator would pay, and stops at such subclasses.
    """
    tensors: list[Tensor] = []
    _collect(value, tensors)
    return tensors


def _collect(value: Any, tensors: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        tensors.append(value.values() if value.is_nested else value)
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _collect(item, tensors)


def output_tensors(output: Any) -> list[Tensor]:
    """Every tensor that a model returns, also as attributes of an output class, with or without `__slots__`."""
    if isinstance(output, Tensor | list | tuple | dict):
        return tensors_of(output)
    names = [*getattr(output, "__dict__", ()), *getattr(type(output), "__slots__", ())]
    return tensors_of([getattr(output, name, None) for name in names])


def shapes_of(tensors: Iterable[Tensor]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def replace_by_shapes(value: Any) -> Any:
    """The same structure with a shape in place of every tensor: a quarter of the time of pytree's `tree_map_only`."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, list | tuple):
        return tuple(replace_by_shapes(item) for item in value)
    if isinstance(value, dict):
        return {key: replace_by_shapes(item) for key, item in value.items()}
    return value


def storage_id(tensor: Tensor) -> int:
    """Equal for a parameter and its views. A sparse tensor has several storages and shares none."""
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """Bytes of the elements; of a sparse tensor, of its values and their indices."""
    if tensor.layout == torch.strided:
        return tensor.nbytes
    coo = tensor if tensor.layout == torch.sparse_coo else tensor.to_sparse_coo()  # type: ignore[no-untyped-call]
    return coo._values().nbytes + coo._indices().nbytes


def any_sparse(args: Any) -> bool:
    return any(tensor.layout != torch.strided for tensor in tensors_of(args))


def is_fake(tensor: Tensor) -> bool:
    """Whether the tensor has a device but no values (torch's FakeTensor)."""
    return isinstance(tensor, FakeTensor)


def dispatches_itself(kinds: Iterable[type[Tensor]]) -> bool:
    """Whether a tensor subclass handles operators itself, as nested tensors do, by calling them on plain tensors."""
    return any(
        kind.__torch_dispatch__ is not Tensor.__torch_dispatch__ and not issubclass(kind, FakeTensor) for kind in kinds
    )
