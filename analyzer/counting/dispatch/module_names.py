"""Names of modules in rows: paths, and the operator that a class stands for."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from torch import nn

# Names that the regular expression in `_functional_name` would split in the wrong place.
OP_NAMES = {
    name: name.lower() for name in ("ReLU", "ReLU6", "GELU", "SiLU", "ELU", "SELU", "CELU", "GLU", "PReLU", "RReLU")
} | {"LeakyReLU": "leaky_relu"}


def op_name(module: nn.Module) -> str:
    """`MaxPool2d` → `max_pool2d`: the functional name of a leaf module."""
    return _functional_name(type(module).__name__)


@cache
def _functional_name(name: str) -> str:
    for norm in ("BatchNorm", "InstanceNorm"):
        if name.startswith(norm):
            name = norm  # BatchNorm1d to 3d are one operator.
    return OP_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def named_modules(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """`model.named_modules()` in a fifth of the time, which grows with the depth there."""
    if type(model).named_modules is not nn.Module.named_modules:
        return list(model.named_modules())
    modules: list[tuple[str, nn.Module]] = []
    seen: set[int] = set()
    pending = [("", model)]
    while pending:
        path, module = pending.pop()
        if id(module) in seen:
            continue
        seen.add(id(module))
        modules.append((path, module))
        if module._modules:
            prefix = f"{path}." if path else ""
            children = [(prefix + name, child) for name, child in module._modules.items() if child is not None]
            pending += reversed(children)
    return modules


def paths_of(model: nn.Module) -> dict[int, str]:
    """The path of each module by the module's id."""
    return {id(module): without_wrappers(path) for path, module in model.named_modules()}


def without_wrappers(path: str) -> str:
    """The path in the eager model: `torch.compile` puts the module that it wraps into `_orig_mod`."""
    return ".".join(part for part in path.split(".") if part != "_orig_mod") if "_orig_mod" in path else path


def is_leaf(module: nn.Module) -> bool:
    """Whether the module is a torch.nn layer without children: one row holds all operators of its call."""
    kind: type = type(module)
    return _is_layer(kind) and not (module._modules and any(child is not None for child in module._modules.values()))


@lru_cache(maxsize=4096)
def _is_layer(kind: type) -> bool:
    return kind.__module__.startswith("torch.nn.modules.") and not issubclass(kind, nn.Sequential)


@lru_cache(maxsize=65536)
def is_bias(name: str) -> bool:
    """`conv.bias`, attention's `in_proj_bias` and `bias_k`, a recurrent layer's `bias_ih_l0_reverse`."""
    last = name.rpartition(".")[2]
    return last.endswith("bias") or last.startswith("bias_")
