"""Detects tensors that a thread older than the pass gives to the model, whose operators are not counted.

A tensor made in a pass is an inference tensor. Any other tensor existed before the pass, or another thread made it.
"""

from __future__ import annotations

import _thread
import gc
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch.tensors import storage_id


class Origins:
    """The tensors that existed before a pass; none where no other thread exists or the pass is under autograd.

    They are kept alive, so that no new storage gets the id of an old one.
    """

    def __init__(self, note: Callable[..., None], modules: Iterable[nn.Module]) -> None:
        self.note = note
        self.known: dict[int, Tensor] = {}
        # Constants of TorchScript exist without an object of Python.
        if _thread._count() and torch.is_inference_mode_enabled() and not any(map(_is_script, modules)):
            self.known = {_storage(value): value for value in gc.get_objects() if issubclass(type(value), Tensor)}

    def check(self, tensors: Iterable[Tensor], path: str) -> None:
        for tensor in tensors:
            if not tensor.is_inference() and _storage(tensor) not in self.known:
                self.known[_storage(tensor)] = tensor
                self.note(path, " waits for a thread older than the pass, in which only modules are counted")


def _is_script(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


def _storage(tensor: Tensor) -> int:
    try:
        return storage_id(tensor)
    except (RuntimeError, NotImplementedError):  # Such as a lazy parameter.
        return 0
