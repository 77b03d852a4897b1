"""A GPU's own account of itself: name, driver, clocks and caps, and who else is on it. From NVML where it is there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from analyzer.core.frozen import Frozen

# NVML's bits for clocks that something else than an idle queue or the user's own configuration holds down.
THROTTLES = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "heat", 0x40: "hardware heat", 0x80: "power brake"}


def nvml() -> Any | None:
    """The library, initialised, or None."""
    try:
        import pynvml  # type: ignore[import-untyped, import-not-found, unused-ignore]

        pynvml.nvmlInit()
    except Exception:
        return None
    return pynvml


def gpus(torch: Any = None) -> list[dict[str, Any]]:
    """All that torch can use, in its order. None where its build knows no CUDA."""
    if torch is None:
        import torch
    library = nvml()
    return [describe(torch, f"cuda:{index}", library) for index in range(torch.cuda.device_count())]


def describe(torch: Any, device: str, library: Any | None = None) -> dict[str, Any]:
    """Name, memory and capability as torch knows them; driver, clocks and power cap where NVML is there."""
    properties = torch.cuda.get_device_properties(device)
    found = {
        "name": properties.name,
        "memory_bytes": properties.total_memory,
        "capability": f"{properties.major}.{properties.minor}",
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "l2_bytes": getattr(properties, "L2_cache_size", None),
        "tf32": torch.backends.cuda.matmul.allow_tf32,
        "tf32_convolutions": getattr(torch.backends.cudnn, "allow_tf32", None),
        "driver": None,
    }
    library = library or nvml()
    if library is None:
        return found
    found |= _told(library, handle(library, int(device.partition(":")[2] or 0), _uuid(properties)))
    return found


def _told(library: Any, handle: Any) -> dict[str, Any]:
    """What only NVML knows."""
    found: dict[str, Any] = {}
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


def handle(library: Any, index: int, uuid: str | None) -> Any:
    """NVML's handle of torch's device: by its own number, since the two count their devices in different orders."""
    if uuid:
        try:
            return library.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}")
        except Exception:  # An old library; then the place has to do.
            pass
    return library.nvmlDeviceGetHandleByIndex(index)


def _uuid(properties: Any) -> str | None:
    found = getattr(properties, "uuid", None)
    return str(found) if found else None


def _uuid_of(index: int) -> str | None:
    import torch

    try:
        return _uuid(torch.cuda.get_device_properties(index))
    except Exception:  # No CUDA in this build, or no such device.
        return None


class GpuLook(Frozen):
    """One moment on a GPU: what holds its clock down, how many other processes use it; None where it does not tell."""

    throttles: tuple[str, ...] | None
    others: int | None


class GpuContention:
    """The watch of a sampling loop on a GPU. What NVML does not tell accuses nobody, and is not among `signals`.

    `allowed` are throttles that accuse nobody either.
    """

    def __init__(self, index: int, own: int, library: Any | None, allowed: Collection[str] = ()) -> None:
        self.library, self.own, self.allowed = library, own, allowed
        self.handle = handle(library, index, _uuid_of(index)) if library else None

    def signals(self) -> list[str]:
        look = self.look()
        return [name for name in GpuLook.fields if getattr(look, name) is not None]

    def look(self) -> GpuLook:
        return GpuLook(self._throttles(), self._others()) if self.library else GpuLook(None, None)

    def dirty(self, before: GpuLook, after: GpuLook) -> str | None:
        if before.others or after.others:
            return "another process used the GPU"
        both = (*(after.throttles or ()), *(before.throttles or ()))
        held = [one for one in both if one not in self.allowed]
        return f"the GPU's clock was held down by {held[0]}" if held else None

    def _throttles(self) -> tuple[str, ...] | None:
        assert self.library is not None
        try:
            reasons = self.library.nvmlDeviceGetCurrentClocksThrottleReasons(self.handle)
        except Exception:
            return None
        return tuple(name for bit, name in THROTTLES.items() if reasons & bit)

    def _others(self) -> int | None:
        """In a container NVML may give the host's numbers of processes: then one of them is ours, whichever."""
        assert self.library is not None
        try:
            pids = {process.pid for process in self.library.nvmlDeviceGetComputeRunningProcesses(self.handle)}
        except Exception:
            return None
        return len(pids - {self.own}) if self.own in pids else max(len(pids) - 1, 0)
