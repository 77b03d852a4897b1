"""Meta tensors whose values are known, so that a model that reads a value runs on meta.

Values are known of the inputs, of `torch.tensor` and other constructors, and of everything computed from known values
alone, such as lengths, masks and position ids. They are computed on the CPU next to the meta tensor. A result of
weights has no known value: reading it raises, as on meta.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

MAX_ELEMENTS = 1 << 23  # Larger tensors have no known value: computing them would take time and memory.

# Operators that read the shape and the type of a tensor, not its values: of their first argument, or of their second.
SHAPE_OF_FIRST = frozenset(
    "empty_like zeros_like ones_like full_like new_empty new_empty_strided new_zeros new_ones new_full".split()
)
SHAPE_OF_SECOND = frozenset("expand_as view_as reshape_as type_as".split())

aten = torch.ops.aten
_GROUPED_MM: Any = aten._grouped_mm.default if hasattr(aten, "_grouped_mm") else None  # Since torch 2.8.


class KnownValues(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Computes known values alongside meta tensors, and returns `.item()`, `.tolist()`, `nonzero` and masks from
    them."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default guards the method with torch._dynamo, whose import takes a second.

    def __init__(
        self, max_elements: int = MAX_ELEMENTS, infer: Callable[..., Any] = lambda name, args, kwargs: NotImplemented
    ) -> None:
        """`infer(name, args, kwargs)` may return the result of an operator faster than torch's meta kernel does."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.max_elements = max_elements
        self.infer = infer
        self.values: dict[int, tuple[weakref.ref[Tensor], Tensor]] = {}
        self.views: dict[int, set[int]] = {}  # Storage of a value → the keys of all its tensors.

    def learn(self, tensor: Tensor, value: Tensor) -> None:
        if tensor.is_meta and value.numel() <= self.max_elements:
            key = id(tensor)
            self._drop(key)
            self.values[key] = (weakref.ref(tensor, lambda _: self._drop(key)), value)
            self.views.setdefault(_address(value), set()).add(key)

    def _drop(self, key: int) -> None:
        if key in self.values:
            _, value = self.values.pop(key)
            address = _address(value)
            self.views[address].discard(key)
            if not self.views[address]:
                del self.views[address]

    def value(self, tensor: Tensor) -> Tensor | None:
        """The value of a meta tensor, or None; any other tensor is its value."""
        if not tensor.is_meta:
            return tensor
        reference, value = self.values.get(id(tensor), (None, None))
        return value if reference is not None and reference() is tensor else None

    def forget(self, tensor: Tensor) -> None:
        """Drops the value of a tensor and of its views."""
        written = self.value(tensor)
        if written is not None:
            for key in list(self.views.get(_address(written), ())):
                self._drop(key)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        device = kwargs.get("device")
        to_meta = device is not None and torch.device(device).type == "meta"
        if not to_meta and not any(tensor.is_meta for tensor in tensors):
            return func(*args, **kwargs)
        known = self._compute(func, tensors, args, kwargs)
        if known is not None and (func is aten._local_scalar_dense.default or (device is not None and not to_meta)):
            return known  # A number, or a tensor that leaves meta.
        if known is None and func._schema.is_mutable:
            for value, argument in zip(args, func._schema.arguments, strict=False):
                if isinstance(value, Tensor) and argument.alias_info is not None and argument.alias_info.is_write:
                    self.forget(value)
        if known is None and func is aten.index.Tensor:
            args = (args[0], self._without_masks(args[1]))
        try:
            result = self._on_meta(func, args, kwargs, known)
        except Exception:
            if func is _GROUPED_MM and args[0].dtype == torch.float32:
                # The kernels on the CPU and the GPU take float32, the meta kernel does not.
                halves = pytree.tree_map_only(Tensor, _as_bfloat16, (args, kwargs))
                return func(*halves[0], **halves[1]).to(torch.float32)
            if known is None:
                raise
            result = pytree.tree_map_only(Tensor, lambda value: value.to("meta"), known)  # As of `nonzero`.
        for tensor, value in zip(pytree.tree_leaves(result), pytree.tree_leaves(known), strict=False):
            if isinstance(tensor, Tensor) and isinstance(value, Tensor):
                self.learn(tensor, value)
        return result

    def _on_meta(self, func: Any, args: Any, kwargs: Any, known: Any) -> Any:
        """The operator's result on meta. torch's meta kernels are written in Python and take longer than a CPU."""
        if known is None:
            result = self.infer(func._schema.name, args, kwargs)
            return func(*args, **kwargs) if result is NotImplemented else result
        if isinstance(known, Tensor) and known.layout == torch.strided and _makes_a_tensor(func):
            return torch.empty_strided(known.shape, known.stride(), dtype=known.dtype, device="meta")
        return func(*args, **kwargs)

    def _compute(self, func: Any, tensors: list[Tensor], args: Any, kwargs: Mapping[str, Any]) -> Any:
        """The result on the CPU, or None if a value is not known, is drawn at random or would be large."""
        name = func._schema.name.removeprefix("aten::")
        if torch.Tag.nondeterministic_seeded in func.tags or any(
            tensor.numel() > self.max_elements for tensor in tensors
        ):
            return None
        read = tensors[name in SHAPE_OF_FIRST : 1 if name in SHAPE_OF_SECOND else None]
        if any(self.value(tensor) is None for tensor in read):
            return None

        def on_cpu(leaf: Any) -> Any:
            if isinstance(leaf, Tensor):
                value = self.value(leaf)
                return torch.empty(leaf.shape, dtype=leaf.dtype, device="cpu") if value is None else value
            return torch.device("cpu") if isinstance(leaf, torch.device) and leaf.type == "meta" else leaf

        try:
            with _disable_current_modes():  # A counter does not see this.
                if not tensors and func(*args, **kwargs).numel() > self.max_elements:
                    return None
                cpu_args, cpu_kwargs = pytree.tree_map(on_cpu, (args, dict(kwargs)))
                result = func(*cpu_args, **cpu_kwargs)
                return result.zero_() if "empty" in name else result  # Uninitialized memory would differ between runs.
        except Exception:
            return None

    def _without_masks(self, indices: Any) -> list[Any]:
        """Known masks as the indices of their true elements, because on meta their number is not known."""
        result: list[Any] = []
        for index in indices:
            value = self.value(index) if isinstance(index, Tensor) and index.dtype == torch.bool else None
            result += [index] if value is None else [row.to("meta") for row in value.nonzero(as_tuple=True)]
        return result


class Literals(TorchFunctionMode):
    """`torch.tensor(data)` is made below the dispatcher."""

    def __init__(self, values: KnownValues) -> None:
        super().__init__()
        self.values = values

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if (
            func in (Tensor.__getitem__, Tensor.__setitem__)
            and isinstance(args[1], tuple)
            and any(isinstance(part, list | tuple) for part in args[1])
        ):
            # The list becomes a tensor below the dispatcher.
            index = tuple(self._learned(part) if isinstance(part, list | tuple) else part for part in args[1])
            return func(args[0], index, *args[2:])
        if func not in (torch.tensor, torch.as_tensor) or isinstance(args[0] if args else None, Tensor):
            return func(*args, **kwargs)
        args, kwargs = pytree.tree_map_only(Tensor, self._number, (args, kwargs))
        result = func(*args, **kwargs)
        with _no_modes():
            if result.is_meta:
                self.values.learn(result, func(*args, **{**kwargs, "device": "cpu"}))
        return result

    def _learned(self, numbers: Any) -> Any:
        """The index as a tensor with known values; unchanged where it contains a tensor without them."""
        numbers = pytree.tree_map_only(Tensor, self._number, numbers)
        if any(isinstance(number, Tensor) for number in pytree.tree_leaves(numbers)):
            return numbers
        with _no_modes():
            value = torch.tensor(numbers, device="cpu")
            tensor = value.to("meta")
            self.values.learn(tensor, value)
        return tensor

    def _number(self, tensor: Tensor) -> Any:
        """`torch.tensor([count])` reads the values of the tensors in its list."""
        with _no_modes():
            value = self.values.value(tensor)
            return tensor if value is None else value.tolist()


@cache
def _makes_a_tensor(func: Any) -> bool:
    """Whether the result is a new tensor, and no view or argument."""
    aliases = (*func._schema.arguments, *func._schema.returns)
    return all(value.alias_info is None for value in aliases) and len(func._schema.returns) == 1


@contextmanager
def _no_modes() -> Iterator[None]:
    """Disables counters and modes that let tensors report another device, such as the CPU for meta."""
    with torch._C.DisableTorchFunction(), _disable_current_modes():
        yield


def _as_bfloat16(tensor: Tensor) -> Tensor:
    return tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor


def _address(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)


@contextmanager
def known_values(inputs: Any) -> Iterator[Any]:
    """Within the block tensors are made on meta, and their known values are kept. Yields the inputs on meta."""
    values = KnownValues()
    moved = pytree.tree_map_only(Tensor, lambda tensor: tensor.to("meta"), inputs)
    for tensor, value in zip(pytree.tree_leaves(moved), pytree.tree_leaves(inputs), strict=True):
        if isinstance(tensor, Tensor):
            values.learn(tensor, value)
    with torch.device("meta"), values, Literals(values):
        yield moved
