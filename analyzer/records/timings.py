"""Timings of one model at one configuration. A record keeps all samples, in seconds; statistics are computed on demand.

`device` timings are the GPU time of a pass that starts after all its work is queued; they contain no launch overhead.
`first_call` and `compile` have one sample per process: the first call of the model, and of the compiled model.
`latency` is that of requests under load; the load is its operator, such as "50/s".
`kernel` timings come from torch.profiler. `replay` runs one module alone with its recorded inputs, `replay_cold` with
flushed caches. `reference_workload` is a fixed computation that tracks machine speed, for `analyze history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean, median, quantiles
from typing import Literal, TypeAlias, TypeVar

from analyzer.core.frozen import Frozen
from analyzer.core.units import counted

Kind: TypeAlias = Literal[
    "pass",
    "device",
    "operator",
    "overhead",
    "first_call",
    "compile",
    "latency",
    "kernel",
    "replay",
    "replay_cold",
    "reference_workload",
]
Phase: TypeAlias = Literal["forward", "backward", "optimizer", "pass"]
Quality: TypeAlias = Literal["trusted", "noisy", "void"]

T = TypeVar("T")

TRUSTED_HALF_WIDTH = 0.03  # Largest half width of a trusted 95 % confidence interval, relative to the estimate.
MIN_RESOLVED_S = 50e-6  # Below this, clock resolution and instrumentation cost are no longer negligible.


def interquartile(ordered: Sequence[T]) -> Sequence[T]:
    """The middle half of a sorted sequence: without its first and its last quarter."""
    return ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4]


def quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """Lower and upper quartile by linear interpolation; both equal the sample if there is only one."""
    if len(samples) < 2:
        return samples[0], samples[0]
    low, _, high = quantiles(samples, n=4, method="inclusive")
    return low, high


class Configuration(Frozen):
    """Everything that a measurement depends on besides the model and the machine.

    `device` is torch's name, `compiled` means torch.compile, `flushed` that caches are flushed before each sample.
    """

    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 1
    threads: int = 1
    layout: str = "contiguous"
    mode: str = "inference"
    compiled: bool = False
    flushed: bool = False

    @property
    def training(self) -> bool:
        return self.mode == "training"

    @property
    def words(self) -> tuple[str, ...]:
        """One word per field."""
        flags = ("compiled" if self.compiled else "eager", "flushed" if self.flushed else "warm")
        threads = counted(self.threads, "thread")
        return (f"batch {self.batch}", threads, self.dtype, self.layout, self.mode, *flags, self.device)

    @property
    def label(self) -> str:
        """For headings: batch, threads and what differs from the defaults, as in `batch 8, 2 threads, bfloat16`."""
        defaults = ("", "", *Configuration().words[2:])
        return ", ".join(word for word, default in zip(self.words, defaults, strict=True) if word != default)


class Timing(Frozen):
    """Samples of one pass, operator or kernel, in seconds and in the order in which they were taken.

    For an operator, `path`, `op` and `call` equal those of its Row. The pass has an empty path and op; overhead has the
    op "overhead" and the path of the module in whose `forward` it arises. `processes` are sample counts per fresh
    process: samples from one process are correlated.
    """

    path: str
    op: str
    call: int
    kind: Kind
    phase: Phase
    samples_s: tuple[float, ...]
    quality: Quality
    reason: str = ""
    processes: tuple[int, ...] = ()

    @property
    def key(self) -> tuple[str, str, int]:
        """Identifies the row of an operator."""
        return self.path, self.op, self.call

    @property
    def median_s(self) -> float:
        return median(self.samples_s)

    @property
    def interquartile_mean_s(self) -> float:
        """25 % trimmed mean, comparable with the sum of `Measurement.operator_times_s`."""
        return fmean(interquartile(sorted(self.samples_s)))

    def percentile_s(self, share: float) -> float | None:
        """The nearest-rank percentile: the smallest sample that `share` of the samples do not exceed. None if too few
        samples lie above it: p99 needs 100."""
        count = len(self.samples_s)
        return None if count * (1 - share) < 1 - 1e-9 else sorted(self.samples_s)[ceil(count * share - 1e-9) - 1]

    @property
    def resolved(self) -> bool:
        return self.median_s >= MIN_RESOLVED_S


class Measurement(Frozen):
    """All timings of one model at one configuration.

    `quality` and `reason` are those of the pass. `status` is "ok", "partial" (interrupted, or a process failed after
    samples were taken), "failed" (the model raised: `reason`) or "lost" (the worker process was killed).
    `peak_memory_bytes` is the highest memory of its processes while passes ran: resident, or allocated on a GPU. A
    sample of the pass is the mean of `passes_per_sample` passes. `rate_reason` says why FLOP/s cannot be given.
    `energy_j` is the energy of a pass by the counters of the chip.
    """

    configuration: Configuration
    timings: tuple[Timing, ...] = ()
    quality: Quality = "trusted"
    reason: str = ""
    status: Literal["ok", "partial", "failed", "lost"] = "ok"
    warnings: tuple[str, ...] = ()
    peak_memory_bytes: int | None = None
    passes_per_sample: int = 1
    rate_reason: str = ""
    energy_j: float | None = None

    def of(self, kind: Kind) -> tuple[Timing, ...]:
        return tuple(timing for timing in self.timings if timing.kind == kind)

    @property
    def pass_timing(self) -> Timing | None:
        return next(iter(self.of("pass")), None)

    @property
    def uninstrumented(self) -> Timing | None:
        """The timing that operators and overhead add up to: GPU time where it was measured, else the pass."""
        return next(iter(self.of("device")), self.pass_timing)

    @property
    def operator_quality(self) -> tuple[Quality, str]:
        """Quality of the operator times and its reason. GPU time may be precise where launch overhead is not."""
        device = self.of("device")
        return (device[0].quality, device[0].reason) if device else (self.quality, self.reason)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons why the pass, and its GPU time if that differs, are not trusted."""
        gpu_reason = self.operator_quality[1]
        gpu = f"GPU time: {gpu_reason}" if gpu_reason not in ("", self.reason) else ""
        return tuple(filter(None, (self.reason, gpu)))

    @property
    def interquartile_passes(self) -> Sequence[int]:
        """Indices of the instrumented passes whose duration lies in the middle half."""
        samples = (timing.samples_s for timing in self._instrumented)
        durations = [sum(times) for times in zip(*samples, strict=True)]
        return interquartile(sorted(range(len(durations)), key=durations.__getitem__))

    @property
    def operator_times_s(self) -> dict[Timing, float]:
        """Seconds of each operator and of the overhead; together they add up to one pass, `uninstrumented`.

        Each is the mean over the interquartile passes: medians of operators would not add up.
        """
        passes = self.interquartile_passes
        if not passes:
            return {}
        return {timing: sum(timing.samples_s[index] for index in passes) / len(passes) for timing in self._instrumented}

    @property
    def overhead_s(self) -> float:
        return sum(time_s for timing, time_s in self.operator_times_s.items() if timing.kind == "overhead")

    @property
    def _instrumented(self) -> tuple[Timing, ...]:
        return self.of("operator") + self.of("overhead")
