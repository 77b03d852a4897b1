"""Who else used the machine while a sample was taken: a look before, a look after, and a verdict on what lies between.

A look takes about a tenth of a millisecond and stands outside of the sample. On Linux it reads /proc: how many others
are running or waiting to run at that moment, how long our own threads waited for a processor, what others and the
hypervisor took. Where a signal is missing it accuses nobody; `signals()` says which there are.
"""

from __future__ import annotations

import os
import resource
import time
from typing import Protocol

from analyzer.frozen import Frozen

WAITED = 0.05  # Of the time of a pass's threads: waiting for a processor that another had.
TAKEN = 0.10  # Of the processors' time: others, over at least TAKEN_WINDOW_S, since the system counts in 10 ms.
TAKEN_WINDOW_S = 0.2
STOLEN = 0.02
TICK_S = 1 / (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)


class Look(Frozen):
    """One moment. Seconds since some start; None where this system does not say.

    `others` are threads of other processes that run or wait to run now; `waited_s` is how long our own have waited.
    """

    at_s: float
    own_s: float
    switches: int
    others: int | None = None
    waited_s: float | None = None
    busy_s: float | None = None
    stolen_s: float | None = None
    throttled: int | None = None


class Files(Protocol):
    """Where a look reads: a test hands in its own."""

    def text(self, path: str) -> str:
        """Raises OSError where there is none."""
        ...

    def tasks(self) -> list[str]:
        """The numbers of our own threads."""
        ...


class Proc:
    def text(self, path: str) -> str:
        with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123 – a hundred times a second
            return file.read()

    def tasks(self) -> list[str]:
        return os.listdir("/proc/self/task")  # noqa: PTH208


class Contention:
    """The watch of a sampling loop: looks, and says of two looks why what lies between is not to be trusted."""

    def __init__(self, threads: int, files: Files | None = None, processors: int | None = None) -> None:
        self.threads, self.files = threads, files or Proc()
        self.processors = processors or os.cpu_count() or 1

    def look(self) -> Look:
        used = resource.getrusage(resource.RUSAGE_SELF)
        running, waited = self._own()
        others = self._running()
        busy, stolen = self._machine()
        return Look(
            time.perf_counter(),
            used.ru_utime + used.ru_stime,
            used.ru_nivcsw,
            None if others is None or running is None else max(others - running, 0),
            waited,
            busy,
            stolen,
            self._throttled(),
        )

    def dirty(self, before: Look, after: Look) -> str | None:
        return disturbed(before, after, threads=self.threads, processors=self.processors)

    def signals(self) -> list[str]:
        """Which signals this system gives, by the names of a look's fields."""
        look = self.look()
        return [name for name in Look.fields if getattr(look, name) is not None]

    def _own(self) -> tuple[int | None, float | None]:
        """How many of our own threads run now, and how long all of them have waited."""
        running, waited = 0, 0
        try:
            for task in self.files.tasks():
                stat = self.files.text(f"/proc/self/task/{task}/stat")
                running += stat[stat.rindex(")") + 2] == "R"
                waited += int(self.files.text(f"/proc/self/task/{task}/schedstat").split()[1])
        except (OSError, ValueError, IndexError):
            return None, None  # A thread that ended while we looked is rare, and costs one sample's signal.
        return running, waited * 1e-9

    def _running(self) -> int | None:
        try:
            return int(self.files.text("/proc/loadavg").split()[3].partition("/")[0])
        except (OSError, ValueError, IndexError):
            return None

    def _machine(self) -> tuple[float | None, float | None]:
        """Seconds that all processors were busy for anyone, and that the hypervisor gave to others."""
        try:
            first = self.files.text("/proc/stat").partition("\n")[0].split()
            user, nice, system, _, _, irq, soft, steal = map(int, first[1:9])
        except (OSError, ValueError):
            return None, None
        return (user + nice + system + irq + soft) * TICK_S, steal * TICK_S

    def _throttled(self) -> int | None:
        """How often the container's quota stopped us."""
        try:
            lines = dict(line.split() for line in self.files.text("/sys/fs/cgroup/cpu.stat").splitlines())
            return int(lines["nr_throttled"])
        except (OSError, ValueError, KeyError):
            return None


def disturbed(before: Look, after: Look, *, threads: int, processors: int) -> str | None:
    """Why the time between two looks is not the model's alone, or None.

    One other that wants to run is enough on a small machine: even on another core it shares caches, memory and clock.
    """
    wall = after.at_s - before.at_s
    if max(before.others or 0, after.others or 0) >= max(1, processors // 8):
        return "another process was running"
    if _grown(before.waited_s, after.waited_s) > WAITED * wall * threads:
        return "its threads waited for a processor"
    if _grown(before.throttled, after.throttled) > 0:
        return "the container's processor quota stopped it"
    if wall < TAKEN_WINDOW_S:
        return None
    if _grown(before.stolen_s, after.stolen_s) > STOLEN * wall * processors:
        return "the hypervisor gave its processor to others"
    taken = _grown(before.busy_s, after.busy_s) - (after.own_s - before.own_s)
    if taken > TAKEN * wall * processors + 2 * TICK_S:
        return "other processes used the processors"
    return None


def _grown(before: float | None, after: float | None) -> float:
    """By how much; 0 where this system does not say."""
    return 0.0 if before is None or after is None else after - before
