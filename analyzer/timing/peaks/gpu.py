"""What a GPU can do at most: matrix products per type, copy and triad in its L2 cache and its memory.

Its own time: calls are issued while it is held, so that none of them waits for its launch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.timing.clock.clocks import Clock, clock_of
from analyzer.timing.clock.device_queue import together
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.gpu import GpuContention, nvml
from analyzer.timing.peaks.cpu import SPARE_S, Meter, Peak, Runs, best, peak, products, streams
from analyzer.timing.worker.measurements import TRIES

SIDES = (2048, 4096, 8192)
# "tf32" are products of float32 with the multiplier's 10 bits of fraction, which convolutions take by torch's default.
PRODUCTS = {"float32": "highest", "tf32": "high", "float64": "highest", "bfloat16": "highest", "float16": "highest"}
QUEUED = 400  # Calls at the most: queues hold about a thousand.
OWN_LIMITS = ("power cap",)  # A product at full rate reaches it by itself: it is part of the ceiling.


def measure(
    device: str,
    tell: Callable[[int, int, str], None] = lambda done, of, label: None,
    *,
    torch: Any = None,
    clock: Clock | None = None,
    watch: Watch | None = None,
) -> list[Peak]:
    """All ceilings of one GPU, by torch's name such as `cuda:1`; some five seconds.

    Raises AnalyzerError where its queue cannot be held: launches would be measured.
    """
    if torch is None:
        import torch  # type: ignore[no-redef, unused-ignore]
    clock = clock or clock_of(device)
    if clock.late is None:
        raise AnalyzerError(f"the peaks of {device} cannot be measured: this torch cannot hold its queue")
    index = int(device.partition(":")[2] or 0)
    watch = watch or GpuContention(index, os.getpid(), nvml(), allowed=OWN_LIMITS)
    meter = Meter(runs(clock), watch, SPARE_S)
    properties = torch.cuda.get_device_properties(device)
    sets = working_sets(getattr(properties, "L2_cache_size", 0), properties.total_memory)
    of, done, found = len(PRODUCTS) + 2 * len(sets), 0, []
    with torch.inference_mode():
        for name, precision in PRODUCTS.items():
            tell(done, of, f"matrix product, {name}, {device}")
            done += 1
            dtype = torch.float32 if name == "tf32" else getattr(torch, name)
            with _precision(torch, precision):
                try:
                    lot = best(products(torch, dtype, meter, SIDES, device=device))
                    found.append(peak(name, "FLOP", 0, lot))
                except CannotMeasure as error:
                    found.append(_void(name, "FLOP", error))
        for level, size in sets.items():
            tell(done, of, f"bandwidth of {level}, {device}")
            done += 2
            try:
                lots = streams(torch, size, meter, device=device)
                found += [peak(f"{kind} {level}", "B", 0, lot) for kind, lot in lots if lot.rates]
            except (CannotMeasure, RuntimeError) as error:
                found.append(_void(f"copy {level}", "B", error))
    return [one.replace(device=properties.name) for one in found]


def _void(name: str, unit: str, error: Exception) -> Peak:
    """One that could not be measured: it takes nothing from the others. `error` may be torch's, of memory."""
    return Peak(name, unit, 0, 0.0, 0.0, "void", one_line(str(error).partition("\n")[0])[:200])


def working_sets(l2_bytes: int, memory_bytes: int) -> dict[str, int]:
    """Bytes that fit half of the L2 cache; then many times more, and no more than a quarter of the memory.

    >>> working_sets(50 * 2**20, 80 * 2**30)
    {'L2': 26214400, 'memory': 1073741824}
    """
    memory = min(max(8 * l2_bytes, 2**30), memory_bytes // 4)
    return {**({"L2": l2_bytes // 2} if l2_bytes else {}), "memory": memory}


def runs(clock: Clock) -> Runs:
    """Calls in one held queue, more until they take long enough. Raises CannotMeasure if never issued in time."""

    def timed(once: Callable[[], Any], times: int) -> float:
        for _ in range(TRIES):
            late = clock.late
            took = together(clock, once, times)
            if took > 0 and clock.late == late:
                return took
        raise CannotMeasure(f"{times} calls were not issued before the device came to them; run it again alone")

    def run(once: Callable[[], Any], at_least_s: float) -> tuple[int, float]:
        times = 1
        while (took := timed(once, times)) < at_least_s and times < QUEUED:
            times = min(max(2 * times, int(times * at_least_s / max(took, 1e-6))), QUEUED)
        return times, took

    return run


@contextmanager
def _precision(torch: Any, wanted: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(wanted)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
