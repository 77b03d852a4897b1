"""Energy counters: RAPL's of the processor packages, NVML's of a GPU. They count the whole chip, not one process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from analyzer.core.frozen import Frozen

POWERCAP = Path("/sys/class/powercap")
MIN_S = 1.0  # RAPL is updated every millisecond.
NO_RAPL = "this machine has no RAPL counters (/sys/class/powercap)"
UNREADABLE = "RAPL's counters are readable by root only (/sys/class/powercap/*/energy_uj)"
NO_NVML = "NVML is missing, or this GPU has no energy counter"


class Energy(Frozen):
    """Joules of one pass; None with the `reason` if they cannot be known. `source` names the counter."""

    joules: float | None
    source: str = ""
    reason: str = ""


def pass_energy(run: Callable[[], Any], device: str, folder: Path = POWERCAP) -> Energy:
    """Runs passes for a second between two readings. Includes what the chip uses when idle."""
    read, source, reason = _gpu(device) if device.startswith("cuda") else _packages(folder)
    if read is None:
        return Energy(None, reason=reason)
    before, start, passes = read(), time.perf_counter(), 0
    while time.perf_counter() - start < MIN_S:
        run()
        passes += 1
    used = read() - before
    return Energy(used / passes, source) if used > 0 else Energy(None, reason=f"{source}: the counter stood still")


def _packages(folder: Path) -> tuple[Callable[[], float] | None, str, str]:
    """Joules so far of all processor packages; a counter that wraps is continued."""
    zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if _text(zone / "name").startswith("package")]
    if not zones:
        return None, "", NO_RAPL
    if any(not _text(zone / "energy_uj") for zone in zones):
        return None, "", UNREADABLE
    last = {zone: int(_text(zone / "energy_uj")) for zone in zones}
    total = 0

    def read() -> float:
        nonlocal total
        for zone in zones:
            now = int(_text(zone / "energy_uj"))
            total += now - last[zone]
            if now < last[zone]:
                total += int(_text(zone / "max_energy_range_uj") or 0)
            last[zone] = now
        return total * 1e-6

    return read, f"RAPL, {len(zones)} package{'s' if len(zones) > 1 else ''}", ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _gpu(device: str) -> tuple[Callable[[], float] | None, str, str]:
    import torch

    from analyzer.timing.machine.gpu import handle, nvml

    library = nvml()
    if library is None:
        return None, "", NO_NVML
    index = int(device.partition(":")[2] or 0)
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    gpu = handle(library, index, str(uuid) if uuid else None)

    def read() -> float:
        torch.cuda.synchronize(index)
        return float(library.nvmlDeviceGetTotalEnergyConsumption(gpu)) * 1e-3

    try:
        read()
    except Exception:
        return None, "", NO_NVML
    return read, "NVML", ""
