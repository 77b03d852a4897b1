"""Checkpoints compare what they saved with what they compute again, without the device.

A model on meta that asks for devices finds those of its parameters, but autograd's own threads and hooks find meta.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.utils.checkpoint
from torch import Tensor


@contextmanager
def any_device() -> Iterator[None]:
    checks: dict[str, Any] = getattr(torch.utils.checkpoint, "_allowed_determinism_checks_to_fns", {})
    default = checks.get("default")
    if default is not None:
        checks["default"] = _metadata
    try:
        yield
    finally:
        if default is not None:
            checks["default"] = default


def _metadata(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype}
