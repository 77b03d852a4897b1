"""Measures the ceilings of a CPU: matrix products by type and thread count, bandwidth of each cache level and memory.

A ceiling is the highest median over several shapes, not the fastest single sample. Other processes would lower the
ceilings, and every module would seem closer to its bound. Therefore disturbed samples are repeated, and a peak that
stays disturbed is void.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Quality
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.roofline import copies

SIDES = (512, 1024, 1536)
DTYPES = ("float32", "float64", "bfloat16", "float16")
SAMPLES, SAMPLE_S = 5, 0.02
MIN_CLEAN = 3  # Undisturbed samples of a trusted peak.
SPARE_S = 6.0  # For repeated samples, over all peaks.
EMULATED_BELOW = 5e9  # FLOP/s of one product below which a type is emulated, and measured no further.
MIN_RESOLVED = 2.0  # A call must take this many times a call of one element for its bandwidth to be meaningful.
Now = Callable[[], float]
# Call, minimum seconds → number of calls made, seconds.
Runner = Callable[[Callable[[], Any], float], tuple[int, float]]
Progress = Callable[[int, int, str], None]  # Done, total, label.


class Peak(Frozen):
    """One ceiling: `value` in FLOP/s or bytes/s, `spread` the range of its samples ÷ the median.

    A void peak is too low: `reason` is the other load. `device` is "cpu" or the name of a GPU, which has no `threads`.
    """

    name: str
    unit: str
    threads: int
    value: float
    spread: float
    quality: Quality = "trusted"
    reason: str = ""
    device: str = "cpu"


class Samples(Frozen):
    """Samples of one shape, as work per second; `disturbance` if too few of them are undisturbed."""

    rates: tuple[float, ...]
    disturbance: str = ""


class Meter:
    """Takes watched samples, and repeats disturbed ones until `spare_s` for all of them is spent."""

    def __init__(self, runner: Runner, watch: Watch, spare_s: float = SPARE_S) -> None:
        self.runner, self.watch, self.spare_s = runner, watch, spare_s

    def samples(self, work: float, call: Callable[[], Any]) -> Samples:
        """Several samples of a call that does `work` each time, long enough for the clock; a first call warms up."""
        self.sample(work, call)
        clean: list[float] = []
        disturbed: list[tuple[float, str]] = []
        while len(clean) < SAMPLES and (len(clean) + len(disturbed) < SAMPLES or self.spare_s > 0):
            rate, disturbance = self.sample(work, call)
            if disturbance is None:
                clean.append(rate)
            else:
                disturbed.append((rate, disturbance))
        if len(clean) >= MIN_CLEAN:
            return Samples(tuple(clean))
        most_common = Counter(reason for _, reason in disturbed).most_common(1)[0][0]
        return Samples((*clean, *(rate for rate, _ in disturbed)), most_common)

    def sample(self, work: float, call: Callable[[], Any], min_s: float = SAMPLE_S) -> tuple[float, str | None]:
        """Work per second, and what disturbed the sample."""
        before = self.watch.snapshot()
        count, seconds = self.runner(call, min_s)
        disturbance = self.watch.disturbance(before, self.watch.snapshot())
        self.spare_s -= seconds if disturbance else 0
        return work * count / seconds, disturbance


def host_runner(now: Now) -> Runner:
    """Call after call, timed by the host's clock."""

    def run(call: Callable[[], Any], min_s: float) -> tuple[int, float]:
        start, count = now(), 0
        while now() - start < min_s or not count:
            call()
            count += 1
        return count, now() - start

    return run


def best_samples(shapes: Iterable[Samples]) -> Samples:
    """The samples with the highest median, if possible from undisturbed ones."""
    candidates = [samples for samples in shapes if samples.rates]
    clean = [samples for samples in candidates if not samples.disturbance]
    return max(clean or candidates, key=lambda samples: median(samples.rates), default=Samples(()))


def peak(name: str, unit: str, threads: int, samples: Samples) -> Peak:
    if not samples.rates:
        return Peak(name, unit, threads, 0.0, 0.0)
    value = median(samples.rates)
    spread = (max(samples.rates) - min(samples.rates)) / value
    quality: Quality = "void" if samples.disturbance else "trusted"
    return Peak(name, unit, threads, value, spread, quality, samples.disturbance)


def working_sets(caches: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Bytes to stream: half of each cache, more than the one below holds; for memory 4 times the largest cache."""
    sizes = {cache["level"]: cache["bytes"] for cache in caches if cache.get("kind") in ("data", "unified")}
    halves = {f"L{level}": size // 2 for level, size in sorted(sizes.items())}
    return {**halves, "memory": max(4 * max(sizes.values(), default=0), 256 * 2**20)}


def measure(
    threads: Sequence[int],
    caches: Sequence[Mapping[str, Any]],
    progress: Progress = lambda done, total, label: None,
    *,
    torch: Any = None,
    now: Now = time.perf_counter,
    watch: Callable[[int], Watch] = Contention,
) -> list[Peak]:
    """All ceilings of the CPU, in about four seconds per thread count. Imports torch and changes its thread count."""
    if torch is None:
        import torch  # type: ignore[no-redef, unused-ignore]
    sets = working_sets(caches)
    total, done, peaks = len(threads) * (len(DTYPES) + 2 * len(sets)), 0, []
    spare_s = SPARE_S
    with torch.inference_mode():
        for count in threads:
            torch.set_num_threads(count)
            meter = Meter(host_runner(now), watch(count), spare_s)
            label = f"{count} thread{'s' if count > 1 else ''}"
            for dtype in DTYPES:
                progress(done, total, f"matrix product, {dtype}, {label}")
                done += 1
                products = matrix_products(torch, getattr(torch, dtype), meter)
                peaks.append(peak(dtype, "FLOP", count, best_samples(products)))
            for level, size in sets.items():
                progress(done, total, f"bandwidth of {level}, {label}")
                done += 2
                peaks += bandwidths(torch, level, size * copies(size, count), meter, count)
            spare_s = meter.spare_s
    return peaks


def matrix_products(
    torch: Any, dtype: Any, meter: Meter, sides: Sequence[int] = SIDES, **options: Any
) -> Iterable[Samples]:
    """Samples of square products, one size after the other; none if the type has no product here."""
    for side in sides:
        try:
            left, right = (torch.randn(side, side, **options).to(dtype) for _ in range(2))
            out = torch.empty(side, side, dtype=dtype, **options)

            def product(left: Any = left, right: Any = right, out: Any = out) -> None:
                torch.mm(left, right, out=out)

            product()
            rate, disturbance = meter.sample(2 * side**3, product, min_s=0)
        except RuntimeError:
            return  # The type has no matrix product here, or a larger one does not fit into memory.
        if rate < EMULATED_BELOW:
            yield Samples((rate,), disturbance or "")  # One sample suffices, and larger products would take long.
            return
        yield meter.samples(2 * side**3, product)


def bandwidths(torch: Any, level: str, size: int, meter: Meter, threads: int, **options: Any) -> list[Peak]:
    """Copy and triad bandwidth (McCalpin's STREAM) with buffers of `size` bytes together.

    Copy moves 2 bytes per byte, triad (a = b + s · c) 3. The cost of a call is subtracted. A cache level so small that
    this cost dominates, usually L1, has no peak.
    """

    def call_times(kind: str, count: int) -> tuple[list[float], str]:
        a, b, c = (torch.zeros(count, **options) for _ in range(3))
        call = (lambda: a.copy_(b)) if kind == "copy" else (lambda: torch.add(b, c, alpha=3.0, out=a))
        samples = meter.samples(1, call)
        return [1 / rate for rate in samples.rates], samples.disturbance

    peaks = []
    for kind, buffers in (("copy", 2), ("triad", 3)):
        count = size // (4 * buffers)
        call_s, call_disturbance = call_times(kind, 1)
        stream_s, disturbance = call_times(kind, count)
        cost_s = median(call_s)
        if median(stream_s) < MIN_RESOLVED * cost_s:
            continue
        rates = tuple(buffers * 4 * count / (seconds - cost_s) for seconds in stream_s if seconds > cost_s)
        peaks.append(peak(f"{kind} {level}", "B", threads, Samples(rates, disturbance or call_disturbance)))
    return peaks
