"""Which module of a model is running: the stack of module calls, kept by global forward hooks.

`torch.utils.module_tracker.ModuleTracker` names modules by class and child, and forgets the order of calls; rows need
the paths of `named_modules()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook

from analyzer.counting.dispatch.module_names import without_wrappers


class ModuleTracker:
    """`with tracker:` keeps `tracker.path`, the path of the module whose forward runs, "" outside any.

    Subclasses override `entered` and `left`. The model itself gets no hooks.
    """

    def __init__(self, model: nn.Module) -> None:
        # The list keeps the modules alive, so that no new object gets the id of an old module.
        self.modules = [(without_wrappers(path), module) for path, module in model.named_modules()]
        self.paths = {id(module): path for path, module in self.modules}
        self.stack = [""]

    @property
    def path(self) -> str:
        return self.stack[-1]

    def entered(self, module: nn.Module) -> None:
        """Called when a forward starts; `path` is already that of the module."""

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        """Called when a forward ends; `path` is the module's, `self.path` its caller's. No output if it raised."""

    def _enter(self, module: nn.Module, args: Any) -> None:
        # A module created during the pass has no path: it counts to the module that created it.
        self.stack.append(self.paths.get(id(module), self.stack[-1]))
        self.entered(module)

    def _leave(self, module: nn.Module, args: Any, *rest: Any) -> None:
        kwargs, output = rest if len(rest) == 2 else ({}, None)  # torch passes neither for a forward that raised.
        self.left(module, self.stack.pop(), args, kwargs, output)

    def __enter__(self) -> Self:
        self._handles = (
            register_module_forward_pre_hook(self._enter),
            register_module_forward_hook(self._leave, with_kwargs=True, always_call=True),
        )
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
