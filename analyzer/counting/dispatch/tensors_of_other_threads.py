"""Detects tensors that a thread older than the pass gives to the model, whose operators are not counted.

A tensor made in a pass is an inference tensor. Any other tensor existed before the pass, or another thread made it.
"""

from __future__ import annotations

import _thread
import gc
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch.tensors import storage_id


class Origins:
    """The storages that existed before a pass, for as long as another thread is alive; not under autograd.

    Listing the tensors of a process takes as long as a count. So the objects that exist are frozen, which takes no
    time, and listed only if a tensor of an unknown storage appears: all but the objects that are newer.
    """

    def __init__(self, note: Callable[..., None], modules: Iterable[nn.Module]) -> None:
        self.note, self.lock = note, _thread.allocate_lock()
        self.known: dict[int, Tensor] = {}  # With the tensors, so that no new storage gets the id of an old one.
        modules = list(modules)
        # Constants of TorchScript exist without an object of Python.
        self.active = bool(_thread._count()) and torch.is_inference_mode_enabled() and not any(map(_is_script, modules))
        self.frozen = self.active and not gc.get_freeze_count()
        if self.frozen:
            self.learn(
                tensor for module in modules for tensor in [*_values(module._parameters), *_values(module._buffers)]
            )
            gc.freeze()
        elif self.active:
            self.learn(_tensors(gc.get_objects()))

    def check(self, tensors: Iterable[Tensor], path: str) -> None:
        for tensor in tensors:
            if tensor.is_inference() or _storage(tensor) in self.known:
                continue
            with self.lock:  # The model's own threads check their tensors too.
                if self.frozen and not self._is_old(tensor):
                    self._thaw()  # It may be a view of an older tensor.
                if _storage(tensor) in self.known:
                    continue
                self.learn([tensor])
            self.note(path, " waits for a thread older than the pass, in which only modules are counted")

    def close(self) -> None:
        if self.frozen:
            gc.unfreeze()
            self.frozen = False

    def _is_old(self, tensor: Tensor) -> bool:
        """Learns a tensor that is frozen."""
        if any(value is tensor for value in gc.get_objects()):
            return False
        self.learn([tensor])
        return True

    def _thaw(self) -> None:
        """Learns the tensors that existed before the pass: all but the objects that are newer than the freeze."""
        newer = {id(value) for value in gc.get_objects()}
        self.close()
        self.learn(value for value in _tensors(gc.get_objects()) if id(value) not in newer)

    def learn(self, tensors: Iterable[Tensor]) -> None:
        self.known.update((_storage(tensor), tensor) for tensor in tensors)


def _tensors(objects: Iterable[object]) -> Iterable[Tensor]:
    return (value for value in objects if issubclass(type(value), Tensor))  # type: ignore[misc]


def _values(tensors: Mapping[str, Tensor | None]) -> list[Tensor]:
    return [tensor for tensor in tensors.values() if tensor is not None]


def _is_script(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


def _storage(tensor: Tensor) -> int:
    try:
        with torch._C.DisableTorchFunctionSubclass():  # A tensor of other code may raise anything there.
            return storage_id(tensor)
    except Exception:  # A lazy parameter has no storage, and a broken tensor somewhere in the process may not either.
        return 0
