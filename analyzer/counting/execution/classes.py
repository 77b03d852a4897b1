"""The classes of a model's modules, for the rows of a table."""

from __future__ import annotations

from torch import nn

from analyzer.counting.dispatch.module_names import named_modules, without_wrappers
from analyzer.records.rows import Count, prefixes


def classes(model: nn.Module, counted: Count) -> dict[str, str]:
    """The class of every module that ran, by path. Of a TorchScript module it is the class before compilation."""
    ran = {path for row in counted.rows for path in prefixes(row.path)}
    return {
        name: getattr(module, "original_name", None) or type(module).__name__
        for path, module in named_modules(model)
        if (name := without_wrappers(path)) in ran
    }
