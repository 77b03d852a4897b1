"""The classes of a model's modules, for the rows of a table."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from analyzer.counting.dispatch.module_names import named_modules, without_wrappers
from analyzer.records.rows import Count


def classes(model: nn.Module, counted: Count) -> dict[str, str]:
    """The class of every module that ran, by path. Of TorchScript and exported modules it is the original class."""
    ran: set[str] = set()
    for row in counted.rows:
        path = row.path
        while path and path not in ran:
            ran.add(path)
            path = path.rpartition(".")[0]
    return {
        name: _original_class(module) or type(module).__name__
        for path, module in named_modules(model)
        if (name := without_wrappers(path)) in ran
    }


def _original_class(module: nn.Module) -> str:
    """The class of which a TorchScript or exported module was made; "" if unknown, and for any other module."""
    if isinstance(module, torch.jit.ScriptModule):
        return str(getattr(module, "original_name", ""))
    return _exported_class(module)


def _exported_class(module: nn.Module) -> str:
    """`Conv2d` for a module of a program that was exported from `torch.nn.modules.conv.Conv2d`; "" if unknown."""
    if type(module).__module__ != "torch.export.unflatten":
        return ""
    type_name: Any = getattr(module, "type_name", str)  # Earlier releases of torch have none.
    return str(type_name() or "").rpartition(".")[2].partition("@")[0]
