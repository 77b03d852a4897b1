"""Page faults during passes. When the C library returns freed memory to the system, the next pass causes page faults,
page by page. For GoogLeNet at batch 8 that was a tenth of the time, and no layer's FLOPs explain it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

NOTABLE_SHARE, NOTABLE_FAULTS = 0.03, 100
MAX_FAULT_S = 20e-6  # A fault takes 0.5 to 5 µs. More system time than this per fault has another cause.
# glibc's own variables: every block then comes from one heap, and up to 16 GiB may stay free at its end.
KEEP_MEMORY = "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184"


class PageFaults:
    """Counts page faults and system time of the passes that `count` runs, `passes` at a time."""

    def __init__(self) -> None:
        self.faults: list[float] = []
        self.all_faults = 0
        self.system_s = self.cpu_s = 0.0

    def count(self, run: Callable[[], float], passes: int = 1) -> float:
        try:
            from resource import RUSAGE_SELF, getrusage
        except ImportError:  # Windows.
            return run()
        before = getrusage(RUSAGE_SELF)
        seconds = run()
        after = getrusage(RUSAGE_SELF)
        self.faults.append((after.ru_minflt - before.ru_minflt) / passes)
        self.all_faults += after.ru_minflt - before.ru_minflt
        self.system_s += after.ru_stime - before.ru_stime
        self.cpu_s += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return seconds

    def summary(self) -> dict[str, Any]:
        """The median of faults per pass, and their share of the CPU time."""
        if not self.faults or not self.cpu_s:
            return {}
        fault_s = min(self.system_s, MAX_FAULT_S * self.all_faults)
        return {"faults": median(self.faults), "system_share": fault_s / self.cpu_s}


def page_fault_note(summaries: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    """A note if page faults took a notable share of the time, and the remedy if one is known, in the same words for
    every configuration.

    `summaries` has one `PageFaults.summary` per process.
    """
    known = [summary for summary in summaries if "faults" in summary]
    if not known:
        return []
    faults, share = (median(summary[key] for summary in known) for key in ("faults", "system_share"))
    if share < NOTABLE_SHARE or faults < NOTABLE_FAULTS:
        return []
    configured = any(name.startswith("MALLOC_") for name in environment.get("environment", {}))
    glibc = environment.get("system", {}).get("os") == "Linux" and environment.get("allocator") == "the system's"
    remedy = [f"{KEEP_MEMORY} in the environment avoids page faults"] if glibc and not configured else []
    return [
        f"page faults took {100 * share:.0f} % of the CPU time, {faults:,.0f} per pass: memory that a pass frees goes "
        "back to the system, and the next pass causes page faults again",
        *remedy,
    ]
