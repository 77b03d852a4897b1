"""A GPU's own account of itself: name, driver, clocks and caps, and who else is on it. Through NVML where it is there.

Untested on a real GPU; the logic is tested with a stand-in for NVML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from analyzer.frozen import Frozen

# NVML's bits for clocks that something else than an idle queue or the user's own setting holds down.
THROTTLES = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "heat", 0x40: "hardware heat", 0x80: "power brake"}


def nvml() -> Any | None:
    """The library, initialised, or None."""
    try:
        import pynvml  # type: ignore[import-untyped, import-not-found, unused-ignore]

        pynvml.nvmlInit()
    except Exception:
        return None
    return pynvml


def describe(torch: Any, device: str, library: Any | None = None) -> dict[str, Any]:
    """Name, memory and capability as torch knows them; driver, clocks and power cap where NVML is there."""
    properties = torch.cuda.get_device_properties(device)
    found = {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "driver": None,
    }
    library = library or nvml()
    if library is None:
        return found
    handle = library.nvmlDeviceGetHandleByIndex(int(device.partition(":")[2] or 0))
    asked: dict[str, Callable[[], Any]] = {
        "driver": library.nvmlSystemGetDriverVersion,
        "power_cap_w": lambda: library.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000,
        "clock_mhz": lambda: library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM),
        "highest_clock_mhz": lambda: library.nvmlDeviceGetMaxClockInfo(handle, library.NVML_CLOCK_SM),
    }
    for name, ask in asked.items():
        try:
            found[name] = ask()
        except Exception:
            found[name] = None  # A card, a driver or a container that does not tell.
    return found


class GpuLook(Frozen):
    """One moment on a GPU: what holds its clock down, and how many other processes use it."""

    throttles: tuple[str, ...]
    others: int


class GpuContention:
    """The watch of a sampling loop on a GPU. Without NVML it accuses nobody, and `signals` is empty."""

    def __init__(self, index: int, own: int, library: Any | None) -> None:
        self.library, self.own = library, own
        self.handle = library.nvmlDeviceGetHandleByIndex(index) if library else None

    def signals(self) -> list[str]:
        return ["throttles", "others"] if self.library else []

    def look(self) -> GpuLook:
        if self.library is None:
            return GpuLook((), 0)
        reasons = self.library.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle)
        processes = self.library.nvmlDeviceGetComputeRunningProcesses(self.handle)
        return GpuLook(
            tuple(name for bit, name in THROTTLES.items() if reasons & bit),
            sum(process.pid != self.own for process in processes),
        )

    def dirty(self, before: GpuLook, after: GpuLook) -> str | None:
        if before.others or after.others:
            return "another process used the GPU"
        held = after.throttles or before.throttles
        return f"the GPU's clock was held down by {held[0]}" if held else None
