"""The reference workload, a fixed computation that tracks the machine's speed."""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor

from analyzer.records.timings import Configuration
from analyzer.timing.clock.sampling import Sample, Watch

# Compared over years, so these must never change: a product in the caches, and a sum over 16 MB, beyond most caches.
SIDE, ELEMENTS = 256, 2**22
SAMPLES, WARM_UP = 10, 3


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
