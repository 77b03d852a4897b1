"""The reference workload, a fixed computation that tracks the machine's speed, and the cache flush."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from analyzer.records.timings import Configuration
from analyzer.timing.clock.sampling import Sample, Watch
from analyzer.timing.machine.processor import caches

# Compared over years, so these must never change: a product in the caches, and a sum over 16 MB, beyond most caches.
SIDE, ELEMENTS = 256, 2**22
SAMPLES, WARM_UP = 10, 3
MIN_FLUSH_BYTES = 128 * 2**20


def sample_reference_workload(configuration: Configuration, watch: Watch) -> list[Sample]:
    """Run before the warm-up and after the last pass: between passes it would evict their data from the caches.

    Empty for a GPU: the workload times the host.
    """
    if configuration.device != "cpu":
        return []
    matrix, product, vector = _operands()
    samples = []
    for number in range(SAMPLES + WARM_UP):
        before = watch.snapshot()
        start = time.perf_counter()
        torch.mm(matrix, matrix, out=product)
        vector.add_(1.0)
        seconds = time.perf_counter() - start
        if number >= WARM_UP:
            samples.append(Sample("reference_workload", seconds, watch.disturbance(before, watch.snapshot())))
    return samples


@cache
def _operands() -> tuple[Tensor, Tensor, Tensor]:
    """Kept for the life of the process: after a program has freed 16 MB, glibc returns none of the model's memory to
    the system, and passes are faster than in a program without the workload: GoogLeNet took 0.9 of that time.
    """
    with torch.inference_mode(False):  # Tensors of inference mode could not be written outside of it.
        matrix = torch.full((SIDE, SIDE), 0.5)
        return matrix, torch.empty_like(matrix), torch.zeros(ELEMENTS)


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
