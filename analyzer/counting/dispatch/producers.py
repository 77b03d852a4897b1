"""The rows that made the inputs of each row, and the windows of convolutions and pools, as the pass ran them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from analyzer.core.shapes import Shape
from analyzer.counting.dispatch.tensors import storage_id

_DIMENSIONS = ("1d", "2d", "3d")
CONVOLUTIONS = frozenset(
    {"aten::convolution", "aten::_convolution"}
    | {f"aten::conv{kind}{n}" for kind in ("", "_transpose") for n in _DIMENSIONS}
)
POOLS = frozenset(
    f"aten::{kind}_pool{n}{end}" for kind in ("avg", "max") for n in _DIMENSIONS for end in ("", "_with_indices")
)


class Producers:
    """The last row that wrote each storage, so that views of an output have its producer.

    A weak reference to each storage keeps its id unused after its data is freed.
    """

    def __init__(self) -> None:
        self.rows: dict[int, int] = {}
        self.storages: dict[int, Any] = {}

    def sources(self, tensors: Iterable[Tensor]) -> tuple[int, ...]:
        rows = self.rows
        return tuple(sorted({rows[storage] for tensor in tensors if (storage := storage_id(tensor)) in rows}))

    def add(self, tensors: Iterable[Tensor], row: int) -> None:
        for tensor in tensors:
            storage = storage_id(tensor)
            if storage not in self.storages:
                try:
                    self.storages[storage] = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
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
    """The window of a call; NO_WINDOW for an operator other than a convolution or a pool."""
    if name not in CONVOLUTIONS and name not in POOLS:
        return NO_WINDOW
    defaults = _defaults(func)
    values = {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}
    if name in POOLS:
        kernel = _sizes(values["kernel_size"], int(name.partition("pool")[2][0]))
        stride = _sizes(values["stride"], len(kernel)) if values["stride"] else kernel
        return Window(kernel, stride, _sizes(values["padding"], len(kernel)))
    kernel = tuple(values["weight"].shape[2:])
    padding = values["padding"]
    if isinstance(padding, str):
        dilation = _sizes(values["dilation"], len(kernel))
        totals = [step * (size - 1) for step, size in zip(dilation, kernel, strict=True)]
        same = None if any(total % 2 for total in totals) else [total // 2 for total in totals]
        padding = [0] if padding == "valid" else same
    return Window(
        kernel, _sizes(values["stride"], len(kernel)), padding and _sizes(padding, len(kernel)), values["groups"]
    )


def _defaults(func: Any) -> dict[str, Any]:
    """The operator's arguments in order, with their defaults."""
    known = _known_defaults.get(id(func))
    if known is None:
        defaults = {argument.name: argument.default_value for argument in func._schema.arguments}
        known = _known_defaults[id(func)] = func, defaults
    return known[1]


# By id, with the operator's object: hashing it runs Python code of torch.
_known_defaults: dict[int, tuple[Any, dict[str, Any]]] = {}


def _sizes(value: Any, axes: int) -> Shape:
    sizes = [value] if isinstance(value, int) else list(value)
    return tuple(map(int, sizes * axes if len(sizes) == 1 else sizes))
