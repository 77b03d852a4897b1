"""Which other process used the processors most while this one measured: its name, id and CPU time, from /proc."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from analyzer.core.frozen import Frozen
from analyzer.timing.machine.contention import TICK_S

MIN_SHARE = 0.05  # Of one processor.


class Used(Frozen):
    """CPU time of a process so far."""

    name: str
    seconds: float


class Busiest(Frozen):
    """The process that used most CPU time; `share` of one processor."""

    name: str
    process: int
    share: float


def cpu_times(proc: Path = Path("/proc")) -> dict[int, Used]:
    """By process id, without this process. Takes about 30 µs per process; empty without /proc."""
    times = {}
    try:
        folders = [folder for folder in os.listdir(proc) if folder.isdecimal()]  # noqa: PTH208 – a few hundred
    except OSError:
        return {}
    for folder in folders:
        try:
            start, _, rest = (proc / folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            fields = rest.split()
            times[int(folder)] = Used(start.partition("(")[2], (int(fields[11]) + int(fields[12])) * TICK_S)
        except (OSError, ValueError, IndexError):
            continue  # The process has ended.
    times.pop(os.getpid(), None)
    return times


def busiest(before: Mapping[int, Used], after: Mapping[int, Used], elapsed_s: float) -> Busiest | None:
    """None if no process used a notable share of a processor. A process that started meanwhile counts in full."""
    nothing = Used("", 0.0)
    used = {number: now.seconds - before.get(number, nothing).seconds for number, now in after.items()}
    if not used or elapsed_s <= 0:
        return None
    process = max(used, key=used.__getitem__)
    share = used[process] / elapsed_s
    return Busiest(after[process].name, process, share) if share >= MIN_SHARE else None
