"""What the operating system took of the passes: where the C library gives memory back that a pass has freed, the next
one fetches it anew, page by page. Of GoogLeNet at batch 8 that was a tenth of the time, and no layer's FLOPs show it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

NOTABLE_SHARE, NOTABLE_FAULTS = 0.03, 100
FAULT_S = 20e-6  # A fault takes 0.5 to 5 µs; where the system took longer, it did something else for the model.
# glibc's own variables. All blocks then come of one heap, and 16 GiB may lie free at its end.
KEEPS = "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184"


class Paging:
    """`watched` runs passes, and `told` says what the system did meanwhile."""

    def __init__(self) -> None:
        self.faults: list[int] = []
        self.system_s = self.all_s = 0.0

    def watched(self, run: Callable[[], float]) -> float:
        try:
            from resource import RUSAGE_SELF, getrusage
        except ImportError:  # Windows.
            return run()
        before = getrusage(RUSAGE_SELF)
        seconds = run()
        after = getrusage(RUSAGE_SELF)
        self.faults.append(after.ru_minflt - before.ru_minflt)
        self.system_s += after.ru_stime - before.ru_stime
        self.all_s += after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return seconds

    def told(self) -> dict[str, Any]:
        """Page faults of a pass, their median, and the system's share of the processors' time."""
        if not self.faults or not self.all_s:
            return {}
        of_faults_s = min(self.system_s, FAULT_S * sum(self.faults))
        return {"faults": median(self.faults), "system_share": of_faults_s / self.all_s}


def remark(told: Sequence[Mapping[str, Any]], environment: Mapping[str, Any]) -> list[str]:
    """In words, where it is a notable part of the time, with the way out if we know one; `told` is of each process."""
    known = [one for one in told if "faults" in one]
    if not known:
        return []
    faults, share = median(one["faults"] for one in known), median(one["system_share"] for one in known)
    if share < NOTABLE_SHARE or faults < NOTABLE_FAULTS:
        return []
    set_already = any(name.startswith("MALLOC_") for name in environment.get("environment", {}))
    linux, usual = environment.get("system", {}).get("os") == "Linux", environment.get("allocator") == "the system's"
    way_out = f"; {KEEPS} in the environment keeps it" if linux and usual and not set_already else ""
    return [
        f"the system took {100 * share:.0f} % of the processors' time, with {faults:,.0f} page faults a pass: memory "
        f"that a pass gives back is fetched anew in the next{way_out}"
    ]
