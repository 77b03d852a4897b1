"""What a module is called in a row: its path, and the operator that its class stands for."""

from __future__ import annotations

import re
from functools import cache

from torch import nn

# Names that the rule of `op_name` would take apart in the wrong place.
OP_NAMES = {
    name: name.lower() for name in ("ReLU", "ReLU6", "GELU", "SiLU", "ELU", "SELU", "CELU", "GLU", "PReLU", "RReLU")
} | {"LeakyReLU": "leaky_relu"}


def op_name(module: nn.Module) -> str:
    """`MaxPool2d` → `max_pool2d`: the functional name of a leaf module."""
    return _functional(type(module).__name__)


@cache
def _functional(name: str) -> str:
    for norm in ("BatchNorm", "InstanceNorm"):
        if name.startswith(norm):
            name = norm  # One operator for every number of axes.
    return OP_NAMES.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def paths_of(model: nn.Module) -> dict[int, str]:
    """Module → path."""
    return {id(module): as_eager(path) for path, module in model.named_modules()}


def as_eager(path: str) -> str:
    """A compiled module stands under its own name, with what it compiles in `_orig_mod` below it."""
    return ".".join(part for part in path.split(".") if part != "_orig_mod") if "_orig_mod" in path else path


def is_leaf(module: nn.Module) -> bool:
    """One of torch.nn's own modules without children: what it runs inside is its own affair."""
    own = type(module).__module__.startswith("torch.nn.modules.") and not isinstance(module, nn.Sequential)
    return own and all(child is None for child in module._modules.values())


def is_bias(name: str) -> bool:
    """`conv.bias`, attention's `in_proj_bias` and `bias_k`, a recurrent layer's `bias_ih_l0_reverse`."""
    last = name.rpartition(".")[2]
    return last.endswith("bias") or last.startswith("bias_")
