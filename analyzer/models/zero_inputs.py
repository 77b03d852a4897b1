"""Inputs of zeros that take no memory until they are read: a count on meta needs their shapes only."""

from __future__ import annotations

import mmap
import sys
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from analyzer.core.errors import AnalyzerError
from analyzer.core.parse_inputs import Input
from analyzer.core.shapes import shape_text

SMALL = 2**16  # Bytes; a smaller tensor costs less than a mapping.
# Without it Linux rejects a mapping larger than memory, although no page is used. Python has the flag from 3.13 on.
NO_RESERVE = 0x4000


def zeros(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """`torch.zeros` of which the system provides a page of memory only when it is first used."""
    size = prod(shape) * dtype.itemsize
    if size > sys.maxsize:
        raise AnalyzerError(f"an input of {shape_text(shape)[:200]} has {float(size):.3g} bytes; give smaller sizes")
    if size < SMALL or sys.platform != "linux" or torch.empty(0).device.type != "cpu":  # The default.
        return torch.zeros(shape, dtype=dtype)
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE)
    except OSError:  # A system may be set to reject such mappings; torch's error then contains the size.
        return torch.zeros(shape, dtype=dtype)
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def input_zeros(
    inputs: Sequence[Input], batch: int, device: torch.device | None = None
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments of zeros, by position and by name. For token ids 0 is valid in every vocabulary."""
    tensors = [(spec.name, zeros(*spec.batched(batch), dtype=getattr(torch, spec.dtype)).to(device)) for spec in inputs]
    args = [value for name, value in tensors if name is None]
    return args, {name: value for name, value in tensors if name is not None}
