"""Writes more data than the caches hold, so that the next pass begins with cold caches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from analyzer.timing.machine.processor import caches

MIN_FLUSH_BYTES = 128 * 2**20


def cache_flush(device: str) -> Callable[[], None]:
    """A function that writes more bytes than the largest cache holds."""
    buffer = torch.empty(flush_bytes(device), dtype=torch.uint8, device=device)

    def flush() -> None:
        buffer.fill_(1)

    return flush


def flush_bytes(device: str) -> int:
    """Twice the largest cache of the CPU, or the GPU's L2 cache if torch reports its size."""
    if device.startswith("cuda"):
        return 2 * int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", MIN_FLUSH_BYTES // 2))
    return max(MIN_FLUSH_BYTES, 2 * max((level["bytes"] for level in caches()), default=0))


def flushed(flush: Callable[[], None], measurement: Callable[[], Any]) -> Callable[[], Any]:
    """`measurement` in flushed caches."""

    def run() -> Any:
        flush()
        return measurement()

    return run
