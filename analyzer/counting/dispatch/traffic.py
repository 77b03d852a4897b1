"""The part of a tensor that an operator reads or writes, where it is not the whole tensor.

On meta no index has a value. A lookup therefore reads one row per index, at most the table, and the rows of a grouped
product belong to as many groups as possible.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from analyzer.counting.dispatch.tensors import bytes_of, is_wrapper, storage_id, tensors_of


class Part(NamedTuple):
    """The bytes of one tensor that are read, and those that are written if the tensor is the result."""

    tensor: Tensor
    read: int
    written: int | None = None


_STRIDED = torch.strided
NO_PARTS: dict[int, Part] = {}  # Never changed.
Rule: TypeAlias = Callable[[Sequence[Any], Any], list[Part]]


def parts_of(name: str, args: Sequence[Any], result: Any) -> dict[int, Part]:
    """By storage: tensors of the call that the operator reads or writes in part."""
    rule = RULES.get(name)
    return NO_PARTS if rule is None else {storage_id(part.tensor): part for part in rule(args, result)}


def bytes_read(tensors: Sequence[Tensor], parts: dict[int, Part]) -> int:
    """Expanded tensors count the elements that exist."""
    if not parts:
        return sum(map(_stored_bytes, tensors))
    read = 0
    for tensor in tensors:
        part = parts.get(storage_id(tensor))
        read += _stored_bytes(tensor) if part is None else part.read
    return read


def bytes_written(tensors: Sequence[Tensor], parts: dict[int, Part]) -> int:
    if not parts:
        return sum(map(bytes_of, tensors))
    written = 0
    for tensor in tensors:
        part = parts.get(storage_id(tensor))
        written += bytes_of(tensor) if part is None or part.written is None else part.written
    return written


def _stored_bytes(tensor: Tensor) -> int:
    """An expanded axis has stride 0."""
    if tensor.layout is not _STRIDED or is_wrapper(tensor):
        return bytes_of(tensor)
    if tensor.is_contiguous() or 0 not in (strides := tensor.stride()):
        return tensor.nbytes
    sizes = [size for size, stride in zip(tensor.shape, strides, strict=True) if stride or not size]
    return prod(sizes) * tensor.element_size()


def _lookup(args: Sequence[Any], result: Any) -> list[Part]:
    """Reads the elements that it returns."""
    return [_rows(args[0], tensors_of(result)[0].numel())]


def _bags(args: Sequence[Any], result: Any) -> list[Part]:
    """Embedding bags and `embedding_renorm_`: a row of the table per index."""
    table, indices = args[:2]
    part = _rows(table, indices.numel() * table.shape[-1])
    return [part._replace(written=part.read)]


def _rows(table: Tensor, elements: int) -> Part:
    return Part(table, min(_stored_bytes(table), elements * table.element_size()))


def _overwrite(args: Sequence[Any], result: Any) -> list[Part]:
    """Writes all of its first argument without reading it."""
    return [Part(args[0], 0)] if not isinstance(args[0], (list, tuple)) else []


def _update(touched: Callable[[Sequence[Any]], int | None], *, adds: Callable[[Sequence[Any]], bool]) -> Rule:
    """In place: writes the elements that indices select, and reads them where it adds to them."""

    def rule(args: Sequence[Any], result: Any) -> list[Part]:
        elements = touched(args)
        if elements is None:
            return []
        part = _rows(args[0], elements)
        return [Part(args[0], part.read if adds(args) else 0, part.read)]

    return rule


def _along_axis(args: Sequence[Any]) -> int:
    """(tensor, axis, index of whole slices, …)."""
    table, axis, index = args[:3]
    count: int = index.numel()
    return count * (table.numel() // max(table.shape[axis], 1) if table.dim() else 1)


def _each(place: int) -> Callable[[Sequence[Any]], int]:
    return lambda args: int(args[place].numel())


def _indexed(args: Sequence[Any]) -> int | None:
    """(tensor, one index per axis or None, values); None for a mask, whose number of elements depends on values."""
    table: Tensor = args[0]
    indices: Sequence[Tensor | None] = args[1]
    if any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices):
        return None
    kept = [size for axis, size in enumerate(table.shape) if axis >= len(indices) or indices[axis] is None]
    index_shapes = [index.shape for index in indices if index is not None]
    return prod(torch.broadcast_shapes(*index_shapes)) * prod(kept)  # type: ignore[no-untyped-call]


def _grouped(*of_groups: int) -> Rule:
    """The arguments at `of_groups` have one matrix, or one row of scales, per group; groups without rows are not read.

    The other side has an axis that is divided among the groups.
    """

    def rule(args: Sequence[Any], result: Any) -> list[Part]:
        left, right = args[:2]
        if left.dim() == right.dim():
            return []
        many, rows = (right, left.shape[0]) if right.dim() == 3 else (left, right.shape[1])
        chosen, groups = min(rows, many.shape[0]), max(many.shape[0], 1)
        scales = [args[place] for place in of_groups if len(args) > place and right.dim() == 3]
        return [Part(tensor, bytes_of(tensor) // groups * chosen) for tensor in (many, *scales)]

    return rule


def _named(rule: Rule, names: str, namespace: str = "aten") -> dict[str, Rule]:
    return {f"{namespace}::{name}": rule for name in names.split()}


def _always(args: Sequence[Any]) -> bool:
    return True


def _never(args: Sequence[Any]) -> bool:
    return False


RULES: dict[str, Rule] = {
    **_named(_lookup, "embedding index_select gather take index _unsafe_index select_copy slice_copy narrow_copy"),
    **_named(_bags, "embedding_bag _embedding_bag _embedding_bag_forward_only embedding_renorm_"),
    **_named(_overwrite, "copy_ fill_ zero_"),
    **_named(_update(_along_axis, adds=_always), "index_add_ index_reduce_"),
    **_named(_update(_along_axis, adds=_never), "index_copy_ index_fill_"),
    **_named(_update(_each(2), adds=_always), "scatter_add_ scatter_reduce_"),
    **_named(_update(_each(2), adds=_never), "scatter_"),
    **_named(_update(_each(1), adds=lambda args: bool(args[3:4] and args[3])), "put_"),
    **_named(_update(_indexed, adds=lambda args: bool(args[3:4] and args[3])), "index_put_ _index_put_impl_"),
    **_named(_grouped(), "_grouped_mm"),
    **_named(_grouped(3), "_scaled_grouped_mm"),
    **_named(_grouped(), "grouped_mm_fallback", "transformers"),
}
