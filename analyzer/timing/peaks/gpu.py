"""Measures the ceilings of a GPU: matrix products by type, copy and triad bandwidth of its L2 cache and its memory.

GPU time: calls are queued while the device is blocked, so no launch overhead is in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.timing.clock.clocks import Clock, clock_of
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.gpu import GpuContention, nvml
from analyzer.timing.peaks.cpu import Meter, Peak, Progress, Runner, bandwidths, best_samples, matrix_products, peak
from analyzer.timing.worker.measurements import MAX_TRIES

SIDES = (2048, 4096, 8192)
# "tf32" is a product of float32 with 10 bits of fraction, which convolutions use by torch's default.
PRECISIONS = {"float32": "highest", "tf32": "high", "float64": "highest", "bfloat16": "highest", "float16": "highest"}
MAX_QUEUED = 400  # Calls; a queue holds about a thousand.
ALLOWED_THROTTLES = ("power cap",)  # A product at full rate reaches the cap by itself, so it is part of the ceiling.


def measure(
    device: str,
    progress: Progress = lambda done, total, label: None,
    *,
    torch: Any = None,
    clock: Clock | None = None,
    watch: Watch | None = None,
) -> list[Peak]:
    """All ceilings of one GPU, by torch's name such as `cuda:1`, in about five seconds.

    Raises AnalyzerError if its queue cannot be blocked: launches would be measured.
    """
    if torch is None:
        import torch  # type: ignore[no-redef, unused-ignore]
    clock = clock or clock_of(device)
    if clock.late_passes is None:
        raise AnalyzerError(f"the peaks of {device} cannot be measured: this torch build cannot block the GPU's queue")
    index = int(device.partition(":")[2] or 0)
    meter = Meter(queue_runner(clock), watch or GpuContention(index, os.getpid(), nvml(), allowed=ALLOWED_THROTTLES))
    properties = torch.cuda.get_device_properties(device)
    sets = working_sets(getattr(properties, "L2_cache_size", 0), properties.total_memory)
    total, done, peaks = len(PRECISIONS) + 2 * len(sets), 0, []
    with torch.inference_mode():
        for name, precision in PRECISIONS.items():
            progress(done, total, f"matrix product, {name}, {device}")
            done += 1
            dtype = torch.float32 if name == "tf32" else getattr(torch, name)
            with _matmul_precision(torch, precision):
                try:
                    samples = best_samples(matrix_products(torch, dtype, meter, SIDES, device=device))
                    peaks.append(peak(name, "FLOP", 0, samples))
                except CannotMeasure as error:
                    peaks.append(_void(name, "FLOP", error))
        for level, size in sets.items():
            progress(done, total, f"bandwidth of {level}, {device}")
            done += 2
            try:
                peaks += bandwidths(torch, level, size, meter, 0, device=device)
            except (CannotMeasure, RuntimeError) as error:
                peaks.append(_void(f"copy {level}", "B", error))
    return [ceiling.replace(device=properties.name) for ceiling in peaks]


def _void(name: str, unit: str, error: Exception) -> Peak:
    """A peak that could not be measured; the other peaks still are. `error` may be torch's out-of-memory error."""
    return Peak(name, unit, 0, 0.0, 0.0, "void", one_line(str(error).partition("\n")[0])[:200])


def working_sets(l2_bytes: int, memory_bytes: int) -> dict[str, int]:
    """Bytes to stream: half of the L2 cache; for memory many times the cache, but at most a quarter of the memory.

    >>> working_sets(50 * 2**20, 80 * 2**30)
    {'L2': 26214400, 'memory': 1073741824}
    """
    memory = min(max(8 * l2_bytes, 2**30), memory_bytes // 4)
    return {**({"L2": l2_bytes // 2} if l2_bytes else {}), "memory": memory}


def queue_runner(clock: Clock) -> Runner:
    """Calls in one blocked queue, until they take long enough. Raises CannotMeasure if never queued in time."""

    def seconds(call: Callable[[], Any], count: int) -> float:
        for _ in range(MAX_TRIES):
            late = clock.late_passes
            clock.block_queue()
            duration = clock.elapsed(call, count)
            if duration > 0 and clock.late_passes == late:
                return duration
        raise CannotMeasure(f"the host could not queue {count} calls fast enough; run again without other load")

    def run(call: Callable[[], Any], min_s: float) -> tuple[int, float]:
        count = 1
        while (duration := seconds(call, count)) < min_s and count < MAX_QUEUED:
            count = min(max(2 * count, int(count * min_s / max(duration, 1e-6))), MAX_QUEUED)
        return count, duration

    return run


@contextmanager
def _matmul_precision(torch: Any, precision: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
