"""Refuses types of operands that torch's meta kernels accept and its CPU kernels do not, such as a median of booleans.

The CPU kernel itself is asked, once for each operator and types, on small tensors of zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes
from torch.utils._pytree import tree_map_only

FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
TYPES = FLOATS | {torch.complex64, torch.complex128, torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32}
TYPES |= {torch.int64}
# Errors about types; others may be about the sizes of the small tensors.
ABOUT_TYPES = re.compile(
    "not implemented for '|data ?type|dtype|scalar ?type|complex|bool|\\bint|long|float", re.IGNORECASE
)
ONLY_ON_CPU = re.compile("not implemented for '(Half|BFloat16)'")  # Kernels of other devices run in half precision.
# LAPACK's kernels read pivots as positions from 1 on, and with zeros other memory.
UNCHECKED = re.compile(r"aten::(_|mkldnn_|cudnn_|miopen_)|.*(_backward|ldl_solve|lu_solve|lu_unpack)$")
MAX_ELEMENTS = 1 << 16  # Kernels run on larger operands only if these are cut.

_accepted: set[Any] = set()


def check_types(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raises the CPU kernel's error for types of meta and fake operands with which it does not run."""
    tensors = list(_tensors(args))
    if kwargs:
        tensors += _tensors(kwargs.values())
    types = {tensor.dtype for tensor in tensors}
    if not types or (len(types) == 1 and types <= FLOATS):
        return
    key = (func, *(tensor.dtype for tensor in tensors), *map(type, args))
    if key in _accepted:
        return
    if not all(tensor.is_meta or hasattr(tensor, "fake_mode") for tensor in tensors):
        return
    if types <= TYPES and _can_ask(func):
        sizes = [2] if sum(tensor.numel() for tensor in tensors) > MAX_ELEMENTS else [2, MAX_ELEMENTS]
        errors = [_error(func, args, kwargs, size) for size in sizes]
        if all(errors):
            raise errors[-1]
    _accepted.add(key)


def _can_ask(func: Any) -> bool:
    """Private, backward and library kernels may not check what they get, and crash; a draw changes the generator."""
    return bool(
        getattr(func, "namespace", "") == "aten"
        and not UNCHECKED.match(func._schema.name)
        and torch.Tag.nondeterministic_seeded not in func.tags
    )


def _error(func: Any, args: Any, kwargs: Any, size: int) -> Any:
    """The kernel's error about types on operands whose axes are cut to `size`, or None."""

    def zeros(tensor: Tensor) -> Tensor:
        return torch.zeros([min(int(length), size) for length in tensor.shape], dtype=tensor.dtype, device="cpu")

    with torch._C.DisableTorchFunction(), _disable_current_modes():
        args, kwargs = tree_map_only(Tensor, zeros, (args, kwargs))
        kwargs = {name: torch.device("cpu") if name == "device" else value for name, value in kwargs.items()}
        try:
            func(*args, **kwargs)
        except (RuntimeError, NotImplementedError, TypeError, IndexError) as error:
            return error if ABOUT_TYPES.search(str(error)) and not ONLY_ON_CPU.search(str(error)) else None
        return None


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)
