"""Memory of this process while passes run: its present size and its highest, on the host or on a GPU."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

STATUS, PEAK = Path("/proc/self/status"), "VmHWM:"
RESET_PEAK = "5"  # proc(5): written to clear_refs, it sets the peak to the present size.
PAGE = os.sysconf("SC_PAGESIZE") if hasattr(os, "sysconf") else 4096


class ProcessMemory:
    """Resident memory of the process on a CPU, memory allocated by torch on a GPU; None where the system has neither
    figure."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device if device.startswith("cuda") else ""

    def reset_peak(self) -> None:
        if self.device:
            import torch

            torch.cuda.reset_peak_memory_stats(self.device)
        else:
            with suppress(OSError):
                Path("/proc/self/clear_refs").write_text(RESET_PEAK, encoding="ascii")

    def bytes(self) -> int | None:
        if self.device:
            import torch

            return int(torch.cuda.memory_allocated(self.device))
        with suppress(OSError, ValueError, IndexError):
            return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE
        return None

    def peak_bytes(self) -> int | None:
        if self.device:
            import torch

            return int(torch.cuda.max_memory_allocated(self.device))
        with suppress(OSError, ValueError, IndexError):
            lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
            return int(next(line for line in lines if line.startswith(PEAK)).split()[1]) * 1024
        return None
