"""Makes meta tensors report the device of the tensors that they replace, because models branch on the device."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from analyzer.counting.dispatch.operator_tracker import DispatchMode
from analyzer.counting.dispatch.patched_functions import Replacement, Replacements

KINDS = re.compile(r"is_(cpu|cuda|xpu|mps|mtia|maia|meta|xla|hpu|ipu|vulkan)")
FLAGS = tuple(name for name in dir(Tensor) if KINDS.fullmatch(name))
META = torch.device("meta")
LIBRARY = sys.stdlib_module_names - {"__main__"}  # E.g. asyncio writes results as text in debug mode.


class DeviceRead(BaseException):
    """Raised if a model reads the device of a meta tensor. Not an Exception, which the model might handle."""

    def __init__(self) -> None:
        super().__init__("the model reads a tensor's device")


@contextmanager
def no_device_read() -> Iterator[None]:
    """Raises DeviceRead if a model reads the device of a meta tensor.

    AsOnDevice would return the device, but a function mode makes every call of torch slower.
    """
    reader = _Reader(None)
    with reader:
        _tensors.add(reader)
        try:
            yield
        finally:
            _tensors.remove(reader)
    if reader.raised:
        raise DeviceRead


class _Reader:
    """What storages, texts of tensors and legacy types report in place of meta: `device`, or if None a DeviceRead."""

    def __init__(self, device: torch.device | None) -> None:
        self.device = device
        self.raised = False

    def __enter__(self) -> None:
        _others.add(self)

    def __exit__(self, *error: object) -> None:
        _others.remove(self)


def _is_on_meta(tensor: Tensor) -> bool:
    return bool(_device(tensor) == META)


def _reported() -> tuple[torch.device, Any] | None:
    """The device to report and the mode that counts, if the model's code asks, not an operator, torch or this package.

    Raises DeviceRead where the device is not reported.
    """
    mode = next((mode for mode in _get_current_dispatch_mode_stack() if isinstance(mode, DispatchMode)), None)
    if mode is None:
        return None  # Outside a pass, or within an operator.
    name = str(sys._getframe(2).f_globals.get("__name__", ""))
    if name.startswith(("torch.", "analyzer.")) or name.partition(".")[0] in LIBRARY:
        return None
    for reader in _others.active:
        if reader.device is None:
            reader.raised = True
            raise DeviceRead
    return _others.active[-1].device, mode


def _property(attribute: Any) -> Any:
    def read(tensor: Tensor) -> Any:
        if _is_on_meta(tensor):
            _reported()
        return attribute.__get__(tensor)

    return property(read)


def _method(method: Any) -> Any:
    def call(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs and _is_on_meta(tensor):  # `x.type()` names the device; `x.type(dtype)` does not.
            _reported()
        return method(tensor, *args, **kwargs)

    return call


def _storage_property(attribute: Any) -> Any:
    def read(storage: Any) -> Any:
        value = attribute.__get__(storage)
        on_meta = _storage_device(getattr(storage, "_untyped_storage", storage)) == META
        if on_meta and (reported := _reported()):
            return reported[0] if value == META else reported[0].type == "cuda"
        return value

    return property(read)


def _text(method: Any) -> Any:
    def text(value: Any, *args: Any, **kwargs: Any) -> str:
        text: str = method(value, *args, **kwargs)
        if "meta" not in text or not (reported := _reported()):
            return text
        device, mode = reported
        if tracker := getattr(mode, "tracker", None):
            tracker.note(tracker.path, " writes a tensor as text, in which the values are missing", strict=False)
        if device.type == "cpu":
            return text.replace(", device='meta'", "").replace("(device=meta)", "(device=cpu)")
        return text.replace("device='meta'", f"device='{device}'").replace("(device=meta)", f"(device={device})")

    return text


class _LegacyType:
    """In place of `torch.FloatTensor` and kin, of which a tensor on meta would not be an instance."""

    def __init__(self, kind: Any) -> None:
        self.kind = kind

    def __instancecheck__(self, value: Any) -> bool:
        if not isinstance(value, Tensor):
            return False
        with torch._C.DisableTorchFunction():
            on_meta = _is_on_meta(value)
        if on_meta and (reported := _reported()):
            return reported[0].type == "cpu" and value.dtype == self.kind.dtype
        return isinstance(value, self.kind)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.kind(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kind, name)


def _to_legacy_type(method: Any) -> Any:
    """A meta tensor stays on meta."""

    def convert(tensor: Tensor, *args: Any, **kwargs: Any) -> Any:
        if args and type(args[0]) is _LegacyType:
            with torch._C.DisableTorchFunction():
                args = (args[0].dtype if _is_on_meta(tensor) else args[0].kind, *args[1:])
        return method(tensor, *args, **kwargs)

    return convert


def _of_tensors() -> Iterator[Replacement]:
    for name in ("device", *FLAGS):
        yield Tensor, name, _property
    for owner, name in ((Tensor, "get_device"), (torch, "get_device"), (Tensor, "type")):
        yield owner, name, _method


def _of_others() -> Iterator[Replacement]:
    for storage in (torch.UntypedStorage, torch.TypedStorage):
        for name in ("device", "is_cuda"):
            yield storage, name, _storage_property
        for name in ("__repr__", "__str__"):
            yield storage, name, _text
    for name in ("__repr__", "__format__"):
        yield Tensor, name, _text
    for name in LEGACY_TYPES:
        yield torch, name, _LegacyType
    yield Tensor, "type", _to_legacy_type


LEGACY_TYPES = [f"{name}Tensor" for name in "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()]
_device = torch._C.TensorBase.device.__get__
_storage_device: Any = torch.UntypedStorage.device.__get__
_tensors = Replacements(_of_tensors)
_others = Replacements(_of_others)


class AsOnDevice(TorchFunctionMode):
    """Meta tensors report `device`, and tensors made on the device that they report are made on meta.

    The device that a tensor reports is recognized by identity: tensors made on the CPU by name keep their values.
    With `default`, tensors made without a device are made on meta too.
    """

    def __init__(self, device: torch.device, *, default: bool = False) -> None:
        super().__init__()
        self.device = device
        self.reader = _Reader(device)
        self.makes_default: Iterable[Any] = _device_constructors() if default else ()
        self.answers: dict[Any, Any] = {Tensor.device.__get__: device}
        self.answers |= {getattr(Tensor, name).__get__: name == f"is_{device.type}" for name in FLAGS}
        index = -1 if device.index is None else device.index
        self.answers |= dict.fromkeys((Tensor.get_device, torch.get_device), index)
        self.methods: dict[Any, Callable[..., Any]] = {
            Tensor.to: self._to,
            Tensor.cpu: self._move_by_name,
            Tensor.cuda: self._move_by_name,
        }

    def __enter__(self) -> Self:
        self.reader.__enter__()
        self.methods[Tensor.type] = self._type  # As replaced by the reader.
        return super().__enter__()  # type: ignore[no-untyped-call,no-any-return]

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self.reader.__exit__(*error)

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
