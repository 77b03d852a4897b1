"""Memory of losses whose reduced result keeps the storage of all losses.

ATen computes these losses into the result and then makes it a scalar, which leaves its storage as large as it was. On
meta the storage is a scalar's. See `binary_cross_entropy_out_cpu`, `mse_loss` and others in ATen's `Loss.cpp`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def as_on_a_cpu(result: Tensor, args: Sequence[Any]) -> Tensor:
    if result.dim() or not args[0].dim():
        return result
    return result.new_empty(torch.broadcast_shapes(args[0].shape, args[1].shape).numel())[0]  # type: ignore[no-untyped-call]


aten = torch.ops.aten
LOSS_RESULTS = dict.fromkeys(
    (
        aten.mse_loss.default,
        aten.smooth_l1_loss.default,
        aten.soft_margin_loss.default,
        aten.binary_cross_entropy.default,
    ),
    as_on_a_cpu,
)
