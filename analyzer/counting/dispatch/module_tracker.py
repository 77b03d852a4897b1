"""Tracks which module of a model is running: the stack of module calls in each thread, kept by global forward hooks.

`torch.utils.module_tracker.ModuleTracker` names modules by class and child, and forgets the order of calls; rows need
the paths of `named_modules()`.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from analyzer.counting.dispatch.module_names import named_modules, without_wrappers


class Calls:
    """The calls in progress in one thread: the paths of their modules, outermost first."""

    def __init__(self, path: str, *, foreign: bool = False) -> None:
        self.paths = [path]
        self.foreign = foreign  # The thread is older than the pass and takes part while a module of the model runs.


class _Local(threading.local):
    calls: Any = None  # None in a thread that takes no part in the pass.


class ModuleTracker:
    """`with tracker:` keeps `tracker.path`, the path of the module whose forward runs, "" outside any.

    Subclasses override `entered` and `left`. The model itself gets no hooks.
    """

    def __init__(self, model: nn.Module) -> None:
        # The list keeps the modules alive, so that no new object gets the id of an old module.
        self.modules = [(without_wrappers(path), module) for path, module in named_modules(model)]
        self.paths = {id(module): path for path, module in self.modules}
        self.local = _Local()
        self.main = self.local.calls = self.new_calls("")

    def new_calls(self, path: str, *, foreign: bool = False) -> Any:
        """The calls of a thread that starts at `path`."""
        return Calls(path, foreign=foreign)

    @property
    def calls(self) -> Any:
        """This thread's calls. A thread of torch, such as autograd's, uses the calls of the main thread, which waits
        for it."""
        return self.local.calls or self.main

    @property
    def path(self) -> str:
        path: str = self.calls.paths[-1]
        return path

    def entered(self, module: nn.Module) -> None:
        """Called when a forward starts; `path` is already that of the module."""

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        """Called when a forward ends; `path` is the module's, `self.path` its caller's. No output if it raised."""

    def is_torch_thread(self) -> bool:
        """Whether torch runs this thread for the main thread."""
        return False

    def join_thread(self, path: str) -> None:
        """Called when the module at `path` starts in a thread that takes no part in the pass yet."""
        self.local.calls = self.new_calls("", foreign=True)

    def leave_thread(self) -> None:
        """Called when this module has ended."""
        self.local.calls = None

    def _enter(self, module: nn.Module, args: Any) -> None:
        calls = self.local.calls
        if calls is None:
            if not self.is_torch_thread():
                if id(module) not in self.paths:
                    return  # Called by another model, in a thread that does not belong to the pass.
                self.join_thread(self.paths[id(module)])
            calls = self.calls
        # A module created during the pass has no path: it counts to the module that created it.
        calls.paths.append(self.paths.get(id(module), calls.paths[-1]))
        self.entered(module)

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        calls = self.local.calls
        if calls is None:
            if not self.is_torch_thread():
                return
            calls = self.main
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # Without kwargs and output if forward raised.
        path = calls.paths.pop()
        if not torch._C._is_torch_function_mode_enabled():
            self.left(module, path, args, kwargs, output)
        else:
            with torch._C.DisableTorchFunction():  # Reading a shape would also go through the function mode.
                self.left(module, path, args, kwargs, output)
        if calls.foreign and len(calls.paths) == 1:
            self.leave_thread()

    def __enter__(self) -> Self:
        self._handles = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True, always_call=True),
        )
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
