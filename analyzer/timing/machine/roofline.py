"""The roofline (Williams et al. 2009): what bounds a part, and how much of its bound it reaches. Pure; no torch.

An operator of so many FLOPs and bytes takes at least FLOPs ÷ peak rate and at least bytes ÷ bandwidth; the longer of
the two is its bound. Its bytes are its least traffic alone, at the bandwidth of the smallest level that holds what it
reads: the last operator may have left it there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration

HALF = ("bfloat16", "float16")
EMULATED = 0.5  # A half type that reaches less than this of float32's rate is not native here.
SHARED = 2**23  # Caches below that are a core's own, and as many hold data as there are threads.


Work: TypeAlias = tuple[int, int, int]  # FLOPs, bytes read, bytes written.


class Level(Frozen):
    """One place where data may be: a cache or memory, what it holds, and how fast it hands out."""

    name: str
    capacity: float
    bytes_per_s: float


class Ceilings(Frozen):
    """What bounds a part: FLOP/s, and the levels from the smallest; `source` says whose they are.

    `published` are another machine's: a time here is then no part of them, and only the least time there is of use.
    """

    flops_per_s: float
    levels: tuple[Level, ...]
    source: str
    published: bool = False

    def level(self, read: int) -> Level:
        """The first level that holds so many bytes: where an operator may find what it reads, at best."""
        return next((level for level in self.levels if read <= level.capacity), self.levels[-1])

    @property
    def ridge(self) -> float:
        """FLOPs per byte from memory at which both bound alike."""
        return self.flops_per_s / self.levels[-1].bytes_per_s


class Place(Frozen):
    """Where a part stands: its FLOPs per byte, what it achieved, the part of its bound that is, and what bounds it.

    `reached` is the least time that the ceilings leave it ÷ the time it took.
    """

    intensity: float
    achieved_per_s: float
    reached: float
    bound_by: str


def place(works: Sequence[Work], seconds: float, ceilings: Ceilings) -> Place | None:
    """`works` are operators, one by one: each has its own bound, and the part's is their sum.

    None for a part that does no work or took no time.

    >>> place([(2_000_000, 600_000, 400_000)], 0.004, Ceilings(1e9, (Level("memory", 1e12, 1e9),), "here"))
    Place(intensity=2.0, achieved_per_s=500000000.0, reached=0.5, bound_by='compute')
    """
    flops, moved = sum(work[0] for work in works), sum(work[1] + work[2] for work in works)
    if seconds <= 0 or not (flops or moved):
        return None
    bounds: Counter[str] = Counter()
    for own, read, written in works:
        level = ceilings.level(read)
        compute, memory = own / ceilings.flops_per_s, (read + written) / level.bytes_per_s
        bounds["compute" if compute >= memory else level.name] += max(compute, memory)  # type: ignore[assignment]
    most = max(bounds, key=bounds.__getitem__)
    return Place(flops / moved if moved else float("inf"), flops / seconds, sum(bounds.values()) / seconds, most)


def measured(
    peaks: Sequence[Mapping[str, Any]], environment: Mapping[str, Any], configuration: Configuration
) -> Ceilings | None:
    """The ceilings of this machine for a configuration: its own type and thread count, and bandwidth of every level seen.

    Of a GPU those of the one in `environment`, where a convolution of float32 may take tf32, as it may by torch's
    default, tf32's. None where they were not measured.
    """
    gpu = environment.get("gpu") or {}
    on, threads = ("cpu", configuration.threads) if configuration.device == "cpu" else (gpu.get("name"), 0)
    own = [peak for peak in _clean(peaks) if on_device(peak) == on and peak["threads"] == threads]
    types = (
        (configuration.dtype, "tf32")
        if configuration.dtype == "float32" and gpu.get("tf32_convolutions")
        else (configuration.dtype,)
    )
    flops = max((peak["value"] for peak in own if peak["name"] in types), default=0.0)
    rates: dict[str, float] = {}
    for peak in own:
        if peak["unit"] == "B":
            level = peak["name"].partition(" ")[2]
            rates[level] = max(rates.get(level, 0.0), peak["value"])
    if not flops or not rates.get("memory"):
        return None
    held = _held(environment.get("processor") or {}, threads) if on == "cpu" else {"L2": gpu.get("l2_bytes") or 0}
    levels = [Level(level, held[level], rates[level]) for level in sorted(held) if rates.get(level)]
    return Ceilings(flops, (*levels, Level("memory", float("inf"), rates["memory"])), "measured here")


def _held(processor: Mapping[str, Any], threads: int) -> dict[str, int]:
    """What each cache holds for so many threads."""
    caches = processor.get("caches") or []
    sizes = {f"L{one['level']}": one["bytes"] for one in caches if one["kind"] in ("data", "unified")}
    return {level: size * (threads if size < SHARED else 1) for level, size in sizes.items()}


def on_device(peak: Mapping[str, Any]) -> str:
    """Whose a peak is: "cpu", or a GPU's name."""
    return str(peak.get("device", "cpu"))


def _clean(peaks: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [peak for peak in peaks if peak.get("quality") != "void"]


def of_device(device: Mapping[str, Any], dtype: str) -> Ceilings | None:
    """A named device's published ceilings: a bound that nobody can beat from memory, never a forecast."""
    key = {"float32": "fp32_tflops", "float16": "fp16_tflops", "bfloat16": "bf16_tflops"}.get(dtype, "")
    flops, moved = device.get(key), device.get("dram_gb_per_s")
    if not flops or not moved:
        return None
    memory = Level("memory", float("inf"), moved * 1e9)
    return Ceilings(flops * 1e12, (memory,), f"{device['name']}, {device['confidence']}", published=True)


def emulated(peaks: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Half types whose products are slower than float32's at the same threads of the processor, with how many times.

    Void figures are too low by nobody knows how much, and are not compared.
    """
    own = [peak for peak in _clean(peaks) if on_device(peak) == "cpu"]
    clean = [peak for peak in own if peak["unit"] == "FLOP" and peak["value"]]
    by = {(peak["name"], peak["threads"]): peak["value"] for peak in clean}
    slow: dict[str, float] = {}
    for (name, threads), value in by.items():
        if name in HALF and value < EMULATED * by.get(("float32", threads), 0.0):
            slow[name] = max(slow.get(name, 0.0), by["float32", threads] / value)
    return slow
