"""Results in the channels-last layout (https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html).

Kernels on the CPU keep this layout; torch's meta kernels of the operators here return contiguous tensors. A model that
reads strides, or calls `view`, would then run otherwise than on the CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}
NAMES = (
    "reflection_pad2d reflection_pad3d replication_pad2d replication_pad3d pixel_shuffle roll channel_shuffle "
    "native_channel_shuffle"
).split()


def format_of(tensor: Tensor) -> torch.memory_format | None:
    """The channels-last format of a tensor; None if contiguous, also where both formats have these strides."""
    axes = tensor.dim()
    if axes not in FORMATS:
        return None
    strides = tensor.stride()
    if strides[1] != 1:
        return None
    sizes, span = tensor.shape, 1
    for axis in (1, *range(axes - 1, 1, -1)):
        if strides[axis] < span:
            return None
        span = strides[axis] * sizes[axis]
    # A span of 1 is a batch of single elements, which torch takes for contiguous.
    return FORMATS[axes] if strides[0] >= span > 1 else None


def convolution_format(source: Tensor, weight: Tensor) -> torch.memory_format | None:
    """The format of a convolution's result, which follows its input or its weight."""
    return format_of(source) or (format_of(weight) if source.dim() == weight.dim() else None)


def keeps_format(name: str, rule: Callable[..., Any] | None = None) -> Callable[..., Any]:
    """The rule of an operator whose result has the format of its first argument; contiguous by `rule`, or declined."""
    operator = getattr(torch.ops.aten, name)

    def keep(source: Tensor, *args: Any, **kwargs: Any) -> Any:
        memory_format = format_of(source)
        if memory_format is None:
            return rule(source, *args, **kwargs) if rule and source.is_contiguous() else NotImplemented
        return operator(source, *args, **kwargs).contiguous(memory_format=memory_format)

    return keep
