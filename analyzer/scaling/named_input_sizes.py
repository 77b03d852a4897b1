"""The sizes of a model's inputs by name, and inputs of other sizes: what `analyze scale` varies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from analyzer.models.zero_inputs import zeros

# The names of a tensor's dimensions by their number; the batch and channels have none.
IMAGES: dict[int, tuple[str, ...]] = {4: ("", "", "height", "width"), 5: ("", "", "frames", "height", "width")}
INTEGERS: dict[int, tuple[str, ...]] = {2: ("", "sequence")}
SHARED = ("sequence", "frames", "height", "width")


class _Leaf(NamedTuple):
    """A tensor among the arguments: its place among their leaves, and its name, such as `ids` or `arg0`."""

    place: int
    name: str
    tensor: Tensor


def input_sizes(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, int]:
    """Every size but the batch that can be varied: name → present value.

    `height` and `width` are those of images and `sequence` that of token ids, shared by all inputs that have the same
    one. Any other size is named by its input and position: `arg0.1`, `mask.2`.
    """
    sizes: dict[str, int] = {}
    for name, _, size in _dimensions(args, kwargs):
        sizes.setdefault(name, size)
    order = {name: position for position, name in enumerate(SHARED)}
    return dict(sorted(sizes.items(), key=lambda item: order.get(item[0], len(order))))


def resized(
    args: Sequence[Any], kwargs: Mapping[str, Any], sizes: Mapping[str, int]
) -> tuple[Sequence[Any], Mapping[str, Any]]:
    """The arguments with other sizes. Integers keep their values, and repeat the last one; other tensors are zeros."""
    leaves, spec = pytree.tree_flatten((args, kwargs))
    shapes = {leaf.place: list(leaf.tensor.shape) for leaf in _leaves(args, kwargs)}
    for name, (index, position), _ in _dimensions(args, kwargs):
        if name in sizes:
            shapes[index][position] = sizes[name]
    for index, shape in shapes.items():
        if shape != list(leaves[index].shape):
            leaves[index] = _resize(leaves[index], shape)
    changed: tuple[Sequence[Any], Mapping[str, Any]] = pytree.tree_unflatten(leaves, spec)
    return changed


def _dimensions(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, tuple[int, int], int]]:
    """(name, (leaf, dimension), size) of every dimension but the first, the batch, and the channels of images."""
    shared: dict[str, int] = {}
    for leaf in _leaves(args, kwargs):
        is_integer = not leaf.tensor.is_floating_point() and not leaf.tensor.is_complex()
        names = INTEGERS if is_integer else IMAGES
        shared_names = names.get(leaf.tensor.ndim, ())
        for position, size in enumerate(leaf.tensor.shape):
            name = shared_names[position] if shared_names else f"{leaf.name}.{position}" if position else ""
            if not name:
                continue
            if name in SHARED and shared.setdefault(name, size) != size:
                name = f"{leaf.name}.{position}"
            yield name, (leaf.place, position), size


def _leaves(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[_Leaf]:
    paths, _ = pytree.tree_flatten_with_path((tuple(args), dict(kwargs)))
    for index, (path, leaf) in enumerate(paths):
        if isinstance(leaf, Tensor) and len(path) == 2:  # Not in a list: its images need not have a batch.
            key = path[1]
            name = f"arg{key.idx}" if isinstance(key, pytree.SequenceKey) else str(getattr(key, "key", key))
            yield _Leaf(index, name, leaf)


def _resize(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    if tensor.is_floating_point() or tensor.is_complex() or tensor.is_meta:
        return zeros(*shape, dtype=tensor.dtype).to(tensor.device)
    for dimension, size in enumerate(shape):
        present = tensor.shape[dimension]
        if size != present:
            tensor = tensor.index_select(dimension, torch.arange(size).clamp(max=present - 1))
    return tensor
