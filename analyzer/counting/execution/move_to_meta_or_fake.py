"""Where a model runs to be counted: on meta or fake tensors, which have no values and no memory, or on real tensors.

A place is a context manager around one pass. It takes the tensors of the model and of its arguments, and yields the
function that moves a tensor there, or None where the model's own tensors stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import _disable_current_modes

from analyzer.counting.dispatch.swallowed_errors import raise_swallowed_errors
from analyzer.counting.dispatch.tensors import is_fake
from analyzer.counting.execution.devices import META as META_DEVICE
from analyzer.counting.execution.devices import AsOnDevice, no_device_read, reported_device

Move: TypeAlias = Callable[[Tensor], Tensor]
Place: TypeAlias = Callable[[Sequence[Tensor]], AbstractContextManager[Move | None]]

META = "meta"
META_ON_DEVICE = "meta that reports the device"
META_BY_DEFAULT = "meta, also by default"
KNOWN_VALUES = "meta with known values"
FAKE = "fake tensors"
ZEROS = "zeros"
REAL = "real tensors"


@contextmanager
def _no_autocast() -> Iterator[None]:
    """Raises RuntimeError for autocast: it has no effect on meta tensors, so the counted bytes would be wrong."""
    autocast: Any = torch.autocast
    enter = autocast.__enter__

    def refuse(context: Any) -> Any:
        if context._enabled:
            raise RuntimeError("autocast has no effect on meta")
        return enter(context)

    if torch._C._is_any_autocast_enabled():
        raise RuntimeError("autocast has no effect on meta")
    autocast.__enter__ = refuse
    try:
        yield
    finally:
        autocast.__enter__ = enter


@contextmanager
def _meta(tensors: Sequence[Tensor]) -> Iterator[Move]:
    asked = nullcontext() if reported_device(tensors).type == "meta" else no_device_read()
    with _no_autocast(), raise_swallowed_errors(), asked:
        yield to_meta


@contextmanager
def _meta_on_device(tensors: Sequence[Tensor]) -> Iterator[Move]:
    """For a model that reads the device of a tensor."""
    with _no_autocast(), raise_swallowed_errors(), AsOnDevice(reported_device(tensors)):
        yield to_meta


@contextmanager
def _meta_by_default(tensors: Sequence[Tensor]) -> Iterator[Move]:
    """For a model that makes tensors on the default device, as by `torch.arange(n)`."""
    with _no_autocast(), raise_swallowed_errors(), AsOnDevice(reported_device(tensors), default=True):
        yield to_meta


@contextmanager
def _known_values(tensors: Sequence[Tensor]) -> Iterator[Move]:
    """For a model that reads values that do not depend on its weights, such as a mask."""
    from analyzer.counting.shape_rules.infer import infer, without_rules
    from analyzer.models.values_on_meta import KnownValues, Literals

    values = KnownValues(infer=partial(infer, always=True))

    def move(tensor: Tensor) -> Tensor:
        # A meta tensor would report the device, and the copy of a parameter would have known values.
        with torch._C.DisableTorchFunction(), _disable_current_modes():
            moved = to_meta(tensor)
            known = not (tensor.is_meta or is_fake(tensor) or isinstance(tensor, nn.Parameter))
            if known and tensor.numel() <= values.max_elements:
                values.learn(moved, tensor.detach().clone())  # The pass may write to it.
            return moved

    with ExitStack() as stack:
        stack.enter_context(_no_autocast())
        stack.enter_context(without_rules())  # A result by rule has no known value.
        stack.enter_context(raise_swallowed_errors())
        stack.enter_context(AsOnDevice(reported_device(tensors), default=True))
        stack.enter_context(values)
        stack.enter_context(Literals(values))
        yield move


@contextmanager
def _silent() -> Iterator[None]:
    """torch logs the traceback of each error on fake tensors; and raises it: one report is enough."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = disabled


@contextmanager
def _fake(tensors: Sequence[Tensor]) -> Iterator[Move]:
    """Fake tensors have a device and, where they are constants, a value; meta tensors become fake ones on the CPU.

    No kernel runs on made-up values in place of an unknown result.
    """
    own = next((tensor.fake_mode for tensor in tensors if is_fake(tensor)), None)  # type: ignore[attr-defined]
    mode = own or FakeTensorMode(allow_non_fake_inputs=True, allow_fallback_kernels=False)
    device = reported_device(tensors)
    device = torch.device("cpu") if device.type == "meta" else device

    def to_fake(tensor: Tensor) -> Tensor:
        if is_fake(tensor):
            return tensor.detach().requires_grad_(tensor.requires_grad)
        if tensor.layout != torch.strided:
            raise RuntimeError(f"the number of values of a fake tensor of layout {tensor.layout} is unknown")
        where = device if tensor.is_meta else tensor.device
        with mode:
            moved = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=where)
        return moved.requires_grad_(tensor.requires_grad)

    with _silent(), mode, raise_swallowed_errors():
        yield to_fake


@contextmanager
def _zeros(tensors: Sequence[Tensor]) -> Iterator[Move]:
    """Zeros for a model that was made on meta and has no values."""
    yield to_zeros


@contextmanager
def _real(tensors: Sequence[Tensor]) -> Iterator[None]:
    yield None


PLACES: dict[str, Place] = {
    META: _meta,
    META_ON_DEVICE: _meta_on_device,
    META_BY_DEFAULT: _meta_by_default,
    KNOWN_VALUES: _known_values,
    FAKE: _fake,
    ZEROS: _zeros,
    REAL: _real,
}
META_PLACES = [META, META_ON_DEVICE, META_BY_DEFAULT]
WITHOUT_VALUES = [*META_PLACES, KNOWN_VALUES, FAKE]


def stays(place: str, tensor: Tensor) -> bool:
    """Whether a tensor of the model is at the place already."""
    if place == FAKE:
        return is_fake(tensor)
    if place == ZEROS:
        return not tensor.is_meta
    return tensor.is_meta and not is_fake(tensor)


def to_meta(tensor: Tensor) -> Tensor:
    """A meta tensor of the same shape and strides; a leaf, so that no gradient is copied to the original device."""
    if is_fake(tensor):  # `to("meta")` would give another fake tensor.
        shape, strides = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        moved = torch.empty_strided(shape, strides, dtype=tensor.dtype, device="meta")
    elif tensor.layout not in (torch.strided, torch.jagged):
        raise RuntimeError("the number of values of a sparse tensor on meta is unknown")
    else:
        moved = tensor.detach().to(META_DEVICE)
    return moved.requires_grad_(tensor.requires_grad)


def to_zeros(tensor: Tensor) -> Tensor:
    """Zeros in place of a meta tensor, and a copy of any other tensor."""
    copy = torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor.detach().clone()
    return copy.requires_grad_(tensor.requires_grad)
