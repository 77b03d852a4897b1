"""Notes on values that a model reads as NumPy arrays, numbers or pointers: work on them is not counted.

A note names the module that reads the values. It is strict if a tensor may contain results of such work: after
`data_ptr`, if tensors are made from data afterwards, if an operator reads memory that no counted operator wrote,
and if the model computes with NumPy arrays that it holds.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from analyzer.counting.dispatch.compiled_extensions import any_extension
from analyzer.counting.dispatch.patched_functions import Replacement, Replacements
from analyzer.counting.dispatch.swallowed_errors import record
from analyzer.counting.dispatch.tensors import is_fake, storage_id, tensors_of
from analyzer.counting.operators.classify import Operator

ARRAYS = ("numpy", "__array__", "__dlpack__")
EMPTY = frozenset(
    f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")
)
# The last operator of `torch.tensor(data)` and kin; on meta the second.
LITERALS = frozenset({"aten::lift_fresh", "aten::detach_"})
MOVES = frozenset(f"aten::{name}" for name in ("cat", "stack", "clone", "_to_copy", "contiguous", "index_select"))
# Under `torch.vmap` random numbers are drawn by operators that read only the shape of their first argument.
SHAPE_ONLY = frozenset(
    f"aten::{name}" for name in "bernoulli uniform exponential cauchy geometric log_normal normal_functional".split()
)
# The shape of their result depends on values, or Python reads it.
READERS = frozenset(
    f"aten::{name}"
    for name in (
        "item equal is_nonzero nonzero nonzero_static masked_select bincount repeat_interleave _unique _unique2 "
        "unique_dim unique_consecutive unique_dim_consecutive"
    ).split()
)
# A model that reads single numbers, such as a loss or a length, reads fewer than this many.
SCALARS = 16
MAX_ARRAY = 1 << 26  # Bytes of an array that is compared with its former values.


class LeavingValues:
    """The values that one pass read from tensors, by module, and the modules that made tensors from data."""

    def __init__(self, note: Callable[..., None], arrays: Sequence[Any] = ()) -> None:
        """`arrays` are the NumPy arrays that the model holds, which may share memory with tensors."""
        self.note = note
        self.arrays = [
            (array, array.copy()) for array in arrays if array.dtype.kind in "fc" and array.nbytes <= MAX_ARRAY
        ]
        self.from_arrays: set[str] = set()
        self.left: dict[str, dict[str, bool]] = {}  # path → method → whether any value was not an integer
        self.came_back: dict[str, bool] = {}  # path → whether any value was not an integer
        # Storages from torch.empty that no operator has written. A new storage may get the id of an old one.
        self.empty: dict[int, weakref.ref[Any]] = {}
        # Storages of tensors that became arrays, which share their memory: the module, the tensor and its values then.
        self.shared: dict[int, tuple[str, Tensor, Tensor]] = {}
        self.arrays_of_tensors: dict[int, Tensor] = {}  # All of them, so that no new storage gets the id of an old one.
        self.scalars = 0

    def leave(self, tensor: Tensor, method: str, path: str) -> None:
        methods = self.left.setdefault(path, {})
        methods[method] = methods.get(method, False) or _has_fractions(tensor)
        if method in ARRAYS and _has_fractions(tensor) and tensor.layout == torch.strided:
            with torch._C.DisableTorchFunction(), _disable_current_modes():
                nbytes = tensor.nbytes + sum(value.nbytes for value in self.arrays_of_tensors.values())
                if tensor.device.type == "cpu" and not is_fake(tensor) and nbytes <= MAX_ARRAY:
                    values = tensor.detach()
                    self.shared.setdefault(storage_id(tensor), (path, values, values.clone()))
                    self.arrays_of_tensors[storage_id(tensor)] = values

    def check_shared(self, storage: int) -> None:
        """Notes code outside torch that has written to the memory of an array; called before an operator writes."""
        if storage in self.shared:
            path, values, before = self.shared.pop(storage)
            with torch._C.DisableTorchFunction(), _disable_current_modes():
                if not torch.equal(values.nan_to_num(), before.nan_to_num()):
                    self.note(path, " writes to an array that shares a tensor's memory; work on arrays is not counted")

    def come_back(self, tensor: Tensor, path: str) -> None:
        """A tensor was made of data. A number is taken for a constant; the memory of an array cannot be resized."""
        if storage_id(tensor) in self.arrays_of_tensors:
            return  # See `check_shared`.
        if self.arrays and tensor.dim() and _has_fractions(tensor) and not self._is_held(tensor):
            self.from_arrays.add(path)
        if self.left and (tensor.dim() or not tensor.untyped_storage().resizable()):
            self.came_back[path] = self.came_back.get(path, False) or _has_fractions(tensor)

    def read_scalar(self, tensor: Tensor, path: str) -> None:
        self.scalars += _has_fractions(tensor)
        if self.scalars == SCALARS:
            self.leave(tensor, "item", path)

    def allocate(self, tensor: Tensor) -> None:
        if tensor.numel() and tensor.layout == torch.strided:
            self.empty[storage_id(tensor)] = weakref.ref(tensor.untyped_storage())

    def check_memory(self, func: Any, known: Operator, args: Any, kwargs: Any, path: str) -> None:
        """Called before an operator while memory exists that no operator wrote, or that other code can write to."""
        written = set()
        if known.mutable:
            for place, argument in enumerate(func._schema.arguments):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    value = args[place] if place < len(args) else kwargs.get(argument.name)
                    written |= set(map(storage_id, tensors_of(value)))
        for storage in written:
            self.empty.pop(storage, None)
            self.check_shared(storage)
        if known.kind in ("formula", "unknown") or known.name in MOVES:
            self.read_memory(tensors_of((args, kwargs))[known.name in SHAPE_ONLY :], path)

    def read_memory(self, tensors: list[Tensor], path: str, *, returned: bool = False) -> None:
        """Unwritten memory that an operator reads has a note only if code outside torch can have written it."""
        for tensor in tensors:
            storage = self.empty.pop(storage_id(tensor), None)
            if storage is not None and storage() is not None and (returned or self.left or any_extension()):
                self.note(path, " reads memory that no counted operator wrote; the work that wrote it is not counted")

    def _is_held(self, tensor: Tensor) -> bool:
        """Whether an array that the model holds became a tensor as it is: a constant, without work in NumPy."""
        shape = tuple(tensor.shape)
        held = [array for array, _ in self.arrays if array.shape == shape]
        if tensor.is_meta or is_fake(tensor):
            return bool(held)
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            values = torch._C.TensorBase.numpy(tensor.detach().resolve_conj())
        return any(numpy.array_equal(array.astype(values.dtype), values, equal_nan=True) for array in held)

    def finish(self) -> None:
        """Adds the notes, once the pass has ended."""
        for storage in list(self.shared):
            self.check_shared(storage)
        if any(not numpy.array_equal(array, before, equal_nan=True) for array, before in self.arrays):
            self.note("", " writes to a NumPy array that it holds; work on arrays is not counted")
        for path in sorted(self.from_arrays - set(self.came_back)):
            self.note(
                path, " makes tensors from data while the model holds NumPy arrays; work on arrays is not counted"
            )
        fractions_back = any(self.came_back.values())
        for path, methods in self.left.items():
            names = ", ".join(f".{method}()" for method in methods)
            arrays = any(method in ARRAYS for method in methods)
            fractions = any(methods.values())
            # Integers that return as integers, such as lengths and positions, involve no floating-point work.
            back = bool(self.came_back) and (fractions or fractions_back) and (arrays or (fractions and fractions_back))
            if "data_ptr" in methods or back:
                back_in = f", and {_name(next(iter(self.came_back)))} makes tensors from data" if back else ""
                self.note(path, f" converts tensors by {names}{back_in}; work on the converted values is not counted")
            else:
                text = f" converts tensors by {names}; work on the converted values would not be counted"
                self.note(path, text, strict=False)


def _name(path: str) -> str:
    return path or "the model itself"


def _has_fractions(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def any_mask(indices: Any) -> bool:
    """Whether a tensor is indexed by a mask, so that the number of elements depends on values."""
    return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices)


def watch(tracker: Any) -> None:
    _replacements.add(tracker)


def end_watch(tracker: Any) -> None:
    _replacements.remove(tracker)


def _leaving(name: str) -> Callable[[Any], Any]:
    def make(method: Any) -> Any:
        def leave(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
            # torch's own code prints tensors and checks addresses; this package reads known values.
            if not str(sys._getframe(1).f_globals.get("__name__", "")).startswith(("torch.", "analyzer.")):
                for tracker in _replacements.here():
                    tracker.values.leave(tensor, name, tracker.path)
                    if name == "data_ptr":
                        _check_address(tensor)
            return method(tensor, *args, **kwargs)

        leave.__name__ = name  # Function modes see it: a pass has the same functions with and without the counter.
        return leave

    return make


def _leaving_storage(name: str) -> Callable[[Any], Any]:
    """For reads of a storage, whose type of values is unknown."""

    def make(method: Any) -> Any:
        def leave(*args: Any) -> Any:
            if not str(sys._getframe(1).f_globals.get("__name__", "")).startswith(("torch.", "analyzer.")):
                for tracker in _replacements.here():
                    tracker.values.left.setdefault(tracker.path, {})[name] = True
                    if name == "data_ptr":
                        _check_address(args[0])
            return method(*args)

        leave.__name__ = name
        return leave

    return make


def _check_address(owner: Any) -> None:
    """Raises RuntimeError for a tensor or storage on meta. torch returns 0: all addresses would be equal, and code that
    reads there would crash."""
    with torch._C.DisableTorchFunction():  # A mode may report another device.
        if owner.device.type != "meta" and not is_fake(owner):
            return
    error = RuntimeError("a tensor on meta has no address")
    record(error, refused=True)
    raise error


def _coming_back(function: Any) -> Any:
    """For functions that make tensors of memory without an operator."""

    def come_back(*args: Any, **kwargs: Any) -> Any:
        tensor = function(*args, **kwargs)
        for tracker in _replacements.here():
            tracker.values.come_back(tensor, tracker.path)
        return tensor

    come_back.__name__ = getattr(function, "__name__", "come_back")
    return come_back


def _all_replacements() -> Iterator[Replacement]:
    for name in (*ARRAYS, "tolist", "data_ptr"):
        yield Tensor, name, _leaving(name)
    for storage in (torch.UntypedStorage, torch.TypedStorage):
        for name in ("data_ptr", "tolist", "__getitem__", "__iter__"):
            yield storage, name, _leaving_storage("tolist" if name.startswith("__") else name)
    for owner, name in ((torch, "frombuffer"), (torch, "from_dlpack"), (torch.utils.dlpack, "from_dlpack")):
        yield owner, name, _coming_back
    for owner in (torch, torch.utils.dlpack):
        yield owner, "to_dlpack", _leaving("__dlpack__")


_replacements = Replacements(_all_replacements)
