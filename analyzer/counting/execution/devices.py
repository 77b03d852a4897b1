"""Makes meta tensors report the device of the tensors that they replace, because models branch on the device."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from analyzer.counting.dispatch.operator_tracker import DispatchMode
from analyzer.counting.dispatch.replaced import Replacement, Replacements

KINDS = re.compile(r"is_(cpu|cuda|xpu|mps|mtia|maia|meta|xla|hpu|ipu|vulkan)")
FLAGS = tuple(name for name in dir(Tensor) if KINDS.fullmatch(name))
META = torch.device("meta")


class DeviceRead(BaseException):
    """Raised if a model reads the device of a meta tensor. Not an Exception, which the model might handle."""

    def __init__(self) -> None:
        super().__init__("the model reads a tensor's device")


@contextmanager
def no_device_read() -> Iterator[None]:
    """Raises DeviceRead if a model reads the device of a meta tensor.

    AsOnDevice would return the device, but a function mode makes every call of torch slower.
    """
    alarm = _Alarm()
    _replacements.add(alarm)
    try:
        yield
    finally:
        _replacements.remove(alarm)
    if alarm.rang:
        raise DeviceRead


class _Alarm:
    rang = False


def _is_on_meta(tensor: Tensor) -> bool:
    return bool(_device(tensor) == META)


def _model_asks(tensor: Tensor) -> None:
    """Raises DeviceRead if the model's code reads the device, not an operator, torch or this package."""
    if not _is_on_meta(tensor):
        return
    if not any(isinstance(mode, DispatchMode) for mode in _get_current_dispatch_mode_stack()):
        return  # Outside a pass, or within an operator.
    name = str(sys._getframe(2).f_globals.get("__name__", ""))
    if not name.startswith(("torch.", "analyzer.")):
        for alarm in _replacements.active:
            alarm.rang = True
        raise DeviceRead


def _property(attribute: Any) -> Any:
    def read(tensor: Tensor) -> Any:
        _model_asks(tensor)
        return attribute.__get__(tensor)

    return property(read)


def _method(method: Any) -> Any:
    def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:  # `x.type()` names the device; `x.type(dtype)` does not.
            _model_asks(tensor)
        return method(tensor, *args, **kwargs)

    return call


def _all_replacements() -> Iterator[Replacement]:
    for name in ("device", *FLAGS):
        yield Tensor, name, _property
    for owner, name in ((Tensor, "get_device"), (torch, "get_device"), (Tensor, "type")):
        yield owner, name, _method


_device = torch._C.TensorBase.device.__get__
_replacements = Replacements(_all_replacements)


class AsOnDevice(TorchFunctionMode):
    """Meta tensors report `device`, and tensors made on the device that they report are made on meta.

    The device that a tensor reports is recognised by identity: tensors made on the CPU by name keep their values.
    With `default`, tensors made without a device are made on meta too.
    """

    def __init__(self, device: torch.device, *, default: bool = False) -> None:
        super().__init__()
        self.device = device
        self.makes_default: Iterable[Any] = _device_constructors() if default else ()
        self.answers: dict[Any, Any] = {Tensor.device.__get__: device}
        self.answers |= {getattr(Tensor, name).__get__: name == f"is_{device.type}" for name in FLAGS}
        index = -1 if device.index is None else device.index
        self.answers |= dict.fromkeys((Tensor.get_device, torch.get_device), index)
        self.methods: dict[Any, Callable[..., Any]] = {
            Tensor.to: self._to,
            Tensor.cpu: self._move_by_name,
            Tensor.cuda: self._move_by_name,
            Tensor.type: self._type,
        }

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in self.answers:
            return self.answers[func] if _is_on_meta(args[0]) else func(*args)
        if func in self.methods:
            return self.methods[func](func, *args, **kwargs)
        device = kwargs.get("device")
        if device is self.device or (device is None and func in self.makes_default):
            kwargs = kwargs | {"device": META}
        return func(*args, **kwargs)

    def _to(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """To the reported device; for a meta tensor also by the device's name, because it already reports that
        device."""

        def on_meta(target: Any) -> Any:
            if target is self.device:
                return META
            by_name = _is_on_meta(tensor) and isinstance(target, str | torch.device)
            return META if by_name and torch.device(target) == self.device else target

        moved: Tensor = func(tensor, *map(on_meta, args), **{name: on_meta(value) for name, value in kwargs.items()})
        return moved

    def _move_by_name(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """`x.cpu()` and `x.cuda()`: a tensor that is there already stays."""
        stays = _is_on_meta(tensor) and func.__name__ == self.device.type
        return tensor if stays else func(tensor, *args, **kwargs)

    def _type(self, func: Any, tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        """`x.type()` names the device too: `torch.cuda.FloatTensor`."""
        name = func(tensor, *args, **kwargs)
        if not isinstance(name, str):
            return name
        return name.replace("torch.meta.", "torch." if self.device.type == "cpu" else f"torch.{self.device.type}.")


def reported_device(tensors: Iterable[Tensor]) -> torch.device:
    """The first device of tensors that are not on meta; meta where all are."""
    return next((tensor.device for tensor in tensors if not tensor.is_meta), META)
