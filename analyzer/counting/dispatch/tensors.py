"""The tensors of one call: which, of what shape, in what storage, how many bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

from analyzer.records.record import Shapes


def tensors_of(value: Any) -> list[Tensor]:
    """Every tensor in nested lists, tuples and dicts; of a nested tensor, the one that holds its elements."""
    found: list[Tensor] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value.values() if value.is_nested else value)
    elif isinstance(value, list | tuple | dict):
        for item in value.values() if isinstance(value, dict) else value:
            _gather(item, found)


def shapes_of(tensors: Iterable[Tensor]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def shaped(value: Any) -> Any:
    """The same structure with every tensor as its shape."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, list | tuple):
        return tuple(shaped(item) for item in value)
    if isinstance(value, dict):
        return {key: shaped(item) for key, item in value.items()}
    return value


def storage_of(tensor: Tensor) -> int:
    """What a parameter and its views share; a sparse tensor has no one storage and shares it with nobody."""
    return int(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else id(tensor)


def bytes_of(tensor: Tensor) -> int:
    """A sparse tensor takes what it holds: its values and where they stand."""
    if tensor.layout == torch.strided:
        return tensor.nbytes
    coo = tensor if tensor.layout == torch.sparse_coo else tensor.to_sparse_coo()  # type: ignore[no-untyped-call]
    return coo._values().nbytes + coo._indices().nbytes


def is_sparse(args: Any) -> bool:
    return any(tensor.layout != torch.strided for tensor in tensors_of(args))


def is_fake(tensor: Tensor) -> bool:
    """Whether a tensor pretends to be on a device and has no values, as while a model is traced."""
    return isinstance(tensor, FakeTensor)


def made_of_others(kinds: Iterable[type[Tensor]]) -> bool:
    """Whether a tensor of these classes takes operators apart itself, as a nested one does, which holds plain ones."""
    return any(
        kind.__torch_dispatch__ is not Tensor.__torch_dispatch__ and not issubclass(kind, FakeTensor) for kind in kinds
    )
