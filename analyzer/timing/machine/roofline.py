"""The roofline model (Williams, Waterman and Patterson 2009): an operator's bound, and the share of it reached.

An operator takes at least FLOPs ÷ peak rate and at least bytes ÷ bandwidth; the longer time is its bound. Its bytes are
its memory traffic alone, at the bandwidth of the smallest level that holds its inputs: the operator before may have
left them there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration

HALF = ("bfloat16", "float16")
EMULATED = 0.5  # A half type that reaches less than this share of float32's rate has no hardware support here.
PRIVATE_BELOW = 2**23  # Bytes. Smaller caches belong to one core: each thread adds another.


Work: TypeAlias = tuple[int, int, int]  # FLOPs, bytes read, bytes written.
Bound: TypeAlias = tuple[float, str]  # Seconds, and the limit that applies to most of them.


class Level(Frozen):
    """A cache or the memory: capacity in bytes, and bandwidth."""

    name: str
    capacity: float
    bytes_per_s: float


class Ceilings(Frozen):
    """Peak FLOP/s, and the levels from the smallest to memory; `source` names their origin.

    `published` ceilings are those of another machine: only bounds on time are meaningful. `peak_type` is the type in
    which the peak is reached: "tf32" where float32 may run on it.
    """

    flops_per_s: float
    levels: tuple[Level, ...]
    source: str
    published: bool = False
    peak_type: str = "float32"

    def level(self, bytes_read: int) -> Level:
        """The smallest level that holds this number of bytes."""
        return next((level for level in self.levels if bytes_read <= level.capacity), self.levels[-1])

    @property
    def ridge(self) -> float:
        """The intensity, in FLOPs per byte from memory, at which compute and memory bound alike."""
        return self.flops_per_s / self.levels[-1].bytes_per_s


class RooflinePoint(Frozen):
    """FLOPs per byte, achieved FLOP/s, the bound ÷ the time taken, and the limit that applies to most of the time."""

    intensity: float
    achieved_per_s: float
    share_of_bound: float
    bound_by: str


def roofline_point(works: Sequence[Work], seconds: float, ceilings: Ceilings) -> RooflinePoint | None:
    """The point of one or more operators that together take `seconds`; their bound is the sum of each one's.

    None without work or time.

    >>> roofline_point([(2_000_000, 600_000, 400_000)], 0.004, Ceilings(1e9, (Level("memory", 1e12, 1e9),), "here"))
    RooflinePoint(intensity=2.0, achieved_per_s=500000000.0, share_of_bound=0.5, bound_by='compute')
    """
    flops, traffic = sum(work[0] for work in works), sum(work[1] + work[2] for work in works)
    if seconds <= 0 or not (flops or traffic):
        return None
    bound_s, limit = bound(works, ceilings)
    return RooflinePoint(flops / traffic if traffic else float("inf"), flops / seconds, bound_s / seconds, limit)


def bound(works: Sequence[Work], ceilings: Ceilings) -> Bound:
    """The sum of the operators' bounds; of at least one operator."""
    bounds_s: defaultdict[str, float] = defaultdict(float)
    for flops, bytes_read, bytes_written in works:
        level = ceilings.level(bytes_read)
        compute_s = flops / ceilings.flops_per_s
        memory_s = (bytes_read + bytes_written) / level.bytes_per_s
        bounds_s["compute" if compute_s >= memory_s else level.name] += max(compute_s, memory_s)
    return sum(bounds_s.values()), max(bounds_s, key=bounds_s.__getitem__)


def measured_ceilings(
    peaks: Sequence[Mapping[str, Any]], environment: Mapping[str, Any], configuration: Configuration
) -> Ceilings | None:
    """The measured ceilings for a configuration's device, type and thread count; None if they were not measured.

    For a GPU these are the ceilings of the GPU in `environment`; for float32 those of TF32 if convolutions may use TF32
    (torch's default).
    """
    gpu = environment.get("gpu") or {}
    device, threads = ("cpu", configuration.threads) if configuration.device == "cpu" else (gpu.get("name"), 0)
    usable = [peak for peak in _trusted(peaks) if device_of(peak) == device and peak["threads"] == threads]
    tf32 = configuration.dtype == "float32" and gpu.get("tf32_convolutions")
    types = (configuration.dtype, "tf32") if tf32 else (configuration.dtype,)
    rates = ((peak["value"], peak["name"]) for peak in usable if peak["name"] in types)
    flops_per_s, peak_type = max(rates, default=(0.0, ""))
    bandwidths: dict[str, float] = {}
    for peak in usable:
        if peak["unit"] == "B":
            level = peak["name"].partition(" ")[2]
            bandwidths[level] = max(bandwidths.get(level, 0.0), peak["value"])
    if not flops_per_s or not bandwidths.get("memory"):
        return None
    cpu = environment.get("processor") or {}
    capacities = _capacities(cpu, threads) if device == "cpu" else {"L2": gpu.get("l2_bytes") or 0}
    caches = [Level(name, capacities[name], bandwidths[name]) for name in sorted(capacities) if bandwidths.get(name)]
    levels = (*caches, Level("memory", float("inf"), bandwidths["memory"]))
    return Ceilings(flops_per_s, levels, "measured here", peak_type=peak_type)


def _capacities(processor: Mapping[str, Any], threads: int) -> dict[str, int]:
    """Bytes of each cache level that this number of threads share."""
    caches = [cache for cache in processor.get("caches") or [] if cache["kind"] in ("data", "unified")]
    return {f"L{cache['level']}": cache["bytes"] * copies(cache["bytes"], threads) for cache in caches}


def copies(cache_bytes: int, threads: int) -> int:
    """How many caches of a size the threads use: one each if it belongs to a core, otherwise one together."""
    return threads if cache_bytes < PRIVATE_BELOW else 1


def device_of(peak: Mapping[str, Any]) -> str:
    """The device of a peak: "cpu", or a GPU's name."""
    return str(peak.get("device", "cpu"))


def _trusted(peaks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [peak for peak in peaks if peak.get("quality") != "void"]


def published_ceilings(device: Mapping[str, Any], dtype: str) -> Ceilings | None:
    """A device's published ceilings, with data in memory: an upper limit, never a forecast.

    For float32 the peak is that of TF32 where the device has it, since libraries may use it for float32.
    """
    types = {"float32": ("tf32", "fp32"), "float16": ("fp16",), "bfloat16": ("bf16",)}.get(dtype, ())
    short = next((name for name in types if device.get(f"{name}_tflops")), None)
    gb_per_s = device.get("dram_gb_per_s")
    if short is None or not gb_per_s:
        return None
    memory = Level("memory", float("inf"), gb_per_s * 1e9)
    source = f"{device['name']}, {device['confidence']}"
    peak_type = "tf32" if short == "tf32" else dtype
    return Ceilings(device[f"{short}_tflops"] * 1e12, (memory,), source, published=True, peak_type=peak_type)


def emulated_types(peaks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Half types whose matrix products are slower than float32's on this CPU, and by which factor.

    Void peaks are too low by an unknown amount and are left out.
    """
    rates = {
        (peak["name"], peak["threads"]): peak["value"]
        for peak in _trusted(peaks)
        if device_of(peak) == "cpu" and peak["unit"] == "FLOP" and peak["value"]
    }
    slower: dict[str, float] = {}
    for (name, threads), rate in rates.items():
        if name in HALF and rate < EMULATED * rates.get(("float32", threads), 0.0):
            slower[name] = max(slower.get(name, 0.0), rates["float32", threads] / rate)
    return slower
