"""Description of a GPU, and a watch for other processes and clock throttling on it, from NVML if available."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from analyzer.core.frozen import Frozen

# NVML's reasons for a lower clock, other than an idle GPU and the user's own clock settings.
THROTTLES = {0x4: "power cap", 0x8: "hardware slowdown", 0x20: "heat", 0x40: "hardware heat", 0x80: "power brake"}


def nvml() -> Any | None:
    """The initialized library, or None."""
    try:
        import pynvml  # type: ignore[import-untyped, import-not-found, unused-ignore]

        pynvml.nvmlInit()
    except Exception:
        return None
    return pynvml


def gpus(torch: Any = None) -> list[dict[str, Any]]:
    """All GPUs that torch can use, in its order; empty if torch was built without CUDA."""
    if torch is None:
        import torch
    library = nvml()
    return [describe(torch, f"cuda:{index}", library) for index in range(torch.cuda.device_count())]


def describe(torch: Any, device: str, library: Any | None = None) -> dict[str, Any]:
    """Name, memory and capability from torch; driver, clocks and power cap from NVML, None where NVML lacks them."""
    properties = torch.cuda.get_device_properties(device)
    description = {
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
        return description
    gpu = handle(library, int(device.partition(":")[2] or 0), _uuid(properties))
    queries: dict[str, Callable[[], Any]] = {
        "driver": library.nvmlSystemGetDriverVersion,
        "power_cap_w": lambda: library.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1000,
        "clock_mhz": lambda: library.nvmlDeviceGetClockInfo(gpu, library.NVML_CLOCK_SM),
        "highest_clock_mhz": lambda: library.nvmlDeviceGetMaxClockInfo(gpu, library.NVML_CLOCK_SM),
    }
    return description | {name: _query(query) for name, query in queries.items()}


def _query(query: Callable[..., Any], *args: Any) -> Any | None:
    """None where the card, the driver or the container does not support the query."""
    try:
        return query(*args)
    except Exception:
        return None


def handle(library: Any, index: int, uuid: str | None) -> Any:
    """NVML's handle of a torch device, by UUID: NVML and torch number devices in different orders."""
    if uuid:
        name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        if gpu := _query(library.nvmlDeviceGetHandleByUUID, name):
            return gpu
    return library.nvmlDeviceGetHandleByIndex(index)  # An old torch or NVML.


def _uuid(properties: Any) -> str | None:
    return str(uuid) if (uuid := getattr(properties, "uuid", None)) else None


class GpuSnapshot(Frozen):
    """A GPU at one moment: why its clock is throttled, and how many other processes use it; None where unknown."""

    throttles: tuple[str, ...] | None
    others: int | None


class GpuContention:
    """The watch of a sampling loop on a GPU. Signals that NVML lacks are ignored; `allowed` throttles are too."""

    def __init__(self, index: int, pid: int, library: Any | None, allowed: Collection[str] = ()) -> None:
        import torch

        self.library, self.pid, self.allowed = library, pid, allowed
        # No properties if torch has no CUDA or no such device.
        uuid = _uuid(_query(torch.cuda.get_device_properties, index))
        self.handle = handle(library, index, uuid) if library else None

    def signals(self) -> list[str]:
        """The signals of this GPU, by the names of a snapshot's fields."""
        return [name for name, value in vars(self.snapshot()).items() if value is not None]

    def snapshot(self) -> GpuSnapshot:
        return GpuSnapshot(self._throttles(), self._others()) if self.library else GpuSnapshot(None, None)

    def disturbance(self, before: GpuSnapshot, after: GpuSnapshot) -> str | None:
        if before.others or after.others:
            return "another process used the GPU"
        throttles = (*(after.throttles or ()), *(before.throttles or ()))
        cause = next((throttle for throttle in throttles if throttle not in self.allowed), None)
        return f"the GPU's clock was throttled ({cause})" if cause else None

    def _throttles(self) -> tuple[str, ...] | None:
        assert self.library is not None
        reasons = _query(self.library.nvmlDeviceGetCurrentClocksThrottleReasons, self.handle)
        return None if reasons is None else tuple(name for bit, name in THROTTLES.items() if reasons & bit)

    def _others(self) -> int | None:
        """In a container NVML may show the host's process ids; one unknown id is then taken as this process."""
        assert self.library is not None
        processes = _query(self.library.nvmlDeviceGetComputeRunningProcesses, self.handle)
        if processes is None:
            return None
        pids = {process.pid for process in processes}
        return len(pids - {self.pid}) if self.pid in pids else max(len(pids) - 1, 0)
