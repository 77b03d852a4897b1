"""What a process does beside a model's passes: a fixed piece of work that says how fast the machine is, and a flush."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from analyzer.records.timings import Configuration
from analyzer.timing.clock.sampling import Sample, Watch
from analyzer.timing.machine.fingerprint import caches

# What is compared over years must never change: one product in the caches, one sum over 16 MB beyond most of them.
REFERENCE_SIZE, REFERENCE_FIELD = 256, 2**22
REFERENCES, REFERENCE_WARM = 10, 3
FLUSHED = 128 * 2**20  # Bytes, at the least.


def reference(configuration: Configuration, watch: Watch) -> list[Sample]:
    """A fixed piece of work, timed before the warm-up and after the last pass: between, it would take their caches.

    Not on a device, whose clock is not the host's.
    """
    if configuration.device != "cpu":
        return []
    left, product, field = _operands()
    found = []
    for number in range(REFERENCES + REFERENCE_WARM):
        before = watch.look()
        start = time.perf_counter()
        torch.mm(left, left, out=product)
        field.add_(1.0)
        seconds = time.perf_counter() - start
        if number >= REFERENCE_WARM:
            found.append(Sample("reference", seconds, watch.dirty(before, watch.look())))
    return found


@cache
def _operands() -> tuple[Tensor, Tensor, Tensor]:
    """Kept as long as the process lives. Once 16 MB were freed, glibc gives none of the model's memory back to the
    system any more, and its passes are no longer what they are in a program of its own: GoogLeNet took 0.9 of that.
    """
    left = torch.full((REFERENCE_SIZE, REFERENCE_SIZE), 0.5)
    return left, torch.empty_like(left), torch.zeros(REFERENCE_FIELD)


def flusher(device: str) -> Callable[[], None]:
    """Writes more than the largest cache holds, so that what was in it is not any more."""
    field = torch.empty(flushing_bytes(device), dtype=torch.uint8, device=device)

    def flush() -> None:
        field.fill_(1)

    return flush


def flushing_bytes(device: str) -> int:
    """Twice the largest cache of the processor, or of the device where it tells."""
    if device.startswith("cuda"):
        return 2 * int(getattr(torch.cuda.get_device_properties(device), "L2_cache_size", FLUSHED // 2))
    return max(FLUSHED, 2 * max((one["bytes"] for one in caches()), default=0))


def flushed(flush: Callable[[], None], arm: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        flush()
        return arm()

    return run
