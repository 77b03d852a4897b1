"""Memory of `fold`: its CPU kernel makes the result of its input's size, and shrinks the shape but not the storage.

See `col2im_out_cpu_template` in ATen's `Col2Im.cpp`. On meta the storage has the size of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def as_on_a_cpu(result: Tensor, args: Sequence[Any]) -> Tensor:
    columns: Tensor = args[0]
    if columns.numel() <= result.numel():
        return result
    return result.new_empty(columns.numel())[: prod(result.shape)].view(result.shape)


FOLD_RESULTS = {aten.col2im.default: as_on_a_cpu}
