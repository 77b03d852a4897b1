"""Notes on code that hides its operators from dispatch modes, such as `no_dispatch`: none of them is counted."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import Any

import torch
from torch.utils import _python_dispatch

from analyzer.counting.dispatch.patched_functions import Replacement, Replacements

# torch's own code hides operators too, such as those of the fake kernels that infer a shape.
TORCH = ("torch.", "analyzer.")
WRAPPERS = ("contextlib", "torch.utils._python_dispatch", "torch.utils._mode_utils")


def watch(tracker: Any) -> None:
    _replacements.add(tracker)


def end_watch(tracker: Any) -> None:
    _replacements.remove(tracker)


def _note_caller(frame: FrameType | None) -> None:
    """Adds a note if the first frame outside torch's context managers is not torch's."""
    while frame is not None and frame.f_globals.get("__name__") in WRAPPERS:
        frame = frame.f_back
    if frame is not None and not str(frame.f_globals.get("__name__", "")).startswith(TORCH):
        for tracker in _replacements.here():
            tracker.note(tracker.path, " turns off torch's dispatch modes; the operators that run then are not counted")


def _noted(make: Any) -> Any:
    def noted(*args: Any) -> Any:
        _note_caller(sys._getframe(1))
        return make(*args)

    return noted


def _noted_for_python(make: Any) -> Any:
    """For a guard that excludes a set of dispatch keys."""

    def noted(keys: Any) -> Any:
        if keys.has(torch._C.DispatchKey.Python):
            _note_caller(sys._getframe(1))
        return make(keys)

    return noted


def _stack_length(function: Any) -> Any:
    """`_disable_current_modes`, which models import by name, asks for the number of modes."""

    def length() -> Any:
        frame = sys._getframe(1)
        if frame.f_code.co_name == "_disable_current_modes":
            _note_caller(frame)
        return function()

    return length


def _all_replacements() -> Iterator[Replacement]:
    for module in _modules_with_no_dispatch(len(sys.modules)):
        yield module, "no_dispatch", _noted
    yield torch._C, "_DisableTorchDispatch", _noted
    yield torch._C, "_ExcludeDispatchKeyGuard", _noted_for_python
    yield _python_dispatch, "_len_torch_dispatch_stack", _stack_length


@lru_cache(maxsize=1)
def _modules_with_no_dispatch(count: int) -> list[Any]:
    """Modules that import it by name. `count` is the number of modules of the process: a search takes time."""
    hides = torch._C._DisableTorchDispatch
    return [
        module for module in list(sys.modules.values()) if getattr(module, "__dict__", {}).get("no_dispatch") is hides
    ]


_replacements = Replacements(_all_replacements)
