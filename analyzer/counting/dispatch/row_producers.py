"""The rows that made the inputs of each row, and the windows of convolutions and pools, as the pass ran them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analyzer.core.shapes import Shape
from analyzer.counting.dispatch.tensors import storage_id
from analyzer.counting.shape_rules.layouts import is_meta

_DIMENSIONS = ("1d", "2d", "3d")
CONVOLUTIONS = frozenset(
    {"aten::convolution", "aten::_convolution"}
    | {f"aten::conv{kind}{n}" for kind in ("", "_transpose") for n in _DIMENSIONS}
)
POOLS = frozenset(
    f"aten::{kind}_pool{n}{end}" for kind in ("avg", "max") for n in _DIMENSIONS for end in ("", "_with_indices")
)
WINDOWED = CONVOLUTIONS | POOLS


class Producers:
    """The last row that wrote each storage, so that views of an output have its producer.

    A reference to each storage keeps its id unused: a weak one, after which its data can be freed, where it has data.
    """

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.storages: dict[int, Any] = {}

    def sources(self, storages: Sequence[int]) -> tuple[int, ...]:
        rows = self.rows
        if len(storages) == 1:  # Of most rows.
            return (rows[storages[0]],) if storages[0] in rows else ()
        sources = {rows[storage] for storage in storages if storage in rows}
        return tuple(sorted(sources)) if len(sources) > 1 else tuple(sources)

    def add(self, tensors: Iterable[Tensor], row: int) -> None:
        for tensor in tensors:
            storage = storage_id(tensor)
            if storage not in self.storages:
                try:
                    kept = tensor.untyped_storage()
                    self.storages[storage] = kept if is_meta(tensor) else StorageWeakRef(kept)  # type: ignore[no-untyped-call]
                except (NotImplementedError, RuntimeError):  # Sparse tensors and wrappers without storage.
                    self.storages[storage] = tensor
            self.rows[storage] = row


class Window(NamedTuple):
    """Sizes per axis; `padding` is None if its two sides differ, `groups` is None for pools."""

    kernel: Shape | None = None
    stride: Shape | None = None
    padding: Shape | None = None
    groups: int | None = None


NO_WINDOW = Window()


def window(func: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Window:
    """The window of a call of a convolution or a pool."""
    names, defaults = _arguments(func)

    def value(argument: str) -> Any:
        place = names[argument]
        return args[place] if place < len(args) else kwargs.get(argument, defaults[place])

    padding = value("padding")
    if name in POOLS:
        kernel = _sizes(value("kernel_size"), int(name.partition("pool")[2][0]))
        stride = value("stride")
        return Window(kernel, _sizes(stride, len(kernel)) if stride else kernel, _sizes(padding, len(kernel)))
    kernel = tuple(value("weight").shape[2:])
    if isinstance(padding, str):
        dilation = _sizes(value("dilation"), len(kernel))
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        same = None if any(total % 2 for total in totals) else [total // 2 for total in totals]
        padding = [0] if padding == "valid" else same
    axes = len(kernel)
    return Window(kernel, _sizes(value("stride"), axes), padding and _sizes(padding, axes), value("groups"))


def _arguments(func: Any) -> tuple[dict[str, int], list[Any]]:
    """The positions of the operator's arguments by name, and their defaults."""
    known = _known_arguments.get(id(func))
    if known is None:
        arguments = func._schema.arguments
        names = {argument.name: place for place, argument in enumerate(arguments)}
        known = _known_arguments[id(func)] = func, (names, [argument.default_value for argument in arguments])
    return known[1]


# By id, with the operator's object: hashing it runs Python code of torch.
_known_arguments: dict[int, tuple[Any, tuple[dict[str, int], list[Any]]]] = {}


def _sizes(value: Any, axes: int) -> Shape:
    sizes = [value] if isinstance(value, int) else value
    return tuple(map(int, sizes)) if len(sizes) == axes else (int(sizes[0]),) * axes
