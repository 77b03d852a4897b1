"""The classes of a model's modules, for the rows of a table."""

from __future__ import annotations

from typing import Any

from torch import nn

from analyzer.counting.dispatch.module_names import named_modules, without_wrappers
from analyzer.records.rows import Count, prefixes


def classes(model: nn.Module, counted: Count) -> dict[str, str]:
    """The class of every module that ran, by path. Of TorchScript and exported modules it is the original class."""
    ran = {path for row in counted.rows for path in prefixes(row.path)}
    return {
        name: _exported_class(module) or getattr(module, "original_name", None) or type(module).__name__
        for path, module in named_modules(model)
        if (name := without_wrappers(path)) in ran
    }


def _exported_class(module: nn.Module) -> str:
    """`Conv2d` for a module of a program that was exported from `torch.nn.modules.conv.Conv2d`; "" if unknown."""
    if type(module).__module__ != "torch.export.unflatten":
        return ""
    type_name: Any = getattr(module, "type_name", str)  # Earlier releases of torch have none.
    return str(type_name() or "").rpartition(".")[2].partition("@")[0]
