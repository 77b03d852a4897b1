"""Who else used the machine while a sample was taken: a look before, a look after, and a quality on what lies between.

A look takes some 40 µs, and 6 more a thread, and stands outside of the sample. On Linux it reads /proc: how many others
are running or waiting to run at that moment, how long our own threads waited for a processor, what others and the
hypervisor took. Where a signal is missing it accuses nobody; `signals()` says which there are.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol
from weakref import finalize

from analyzer.core.frozen import Frozen

WAITED = 0.05  # Of the time of a pass's threads: waiting for a processor that another had.
TAKEN = 0.10  # Of the processors' time: others, over at least TAKEN_WINDOW_S, since the system counts in 10 ms.
TAKEN_WINDOW_S = 0.2
STOLEN = 0.02
STARVED = 0.10  # Of a sample's time: not even one of our threads had a processor.
SMALL = 16  # Processors below which one other is enough, and one queue anywhere is ours.
THROTTLES = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat")
HOST_WORKS = sys.platform == "linux"  # Elsewhere the host may wait for a device of Apple's, and is not starved then.
TICK_S = 1 / (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)


class Look(Frozen):
    """One moment. Seconds since some start; None where this system does not say.

    `others` are threads of other processes that run or wait to run now; `waited_s` is how long our own have waited,
    `queued_s` how long anyone has (PSI). `busy_s` and `stolen_s` are sums over the processors that we may use.
    Involuntary switches are recorded and not judged: the kernel's own threads cause some on a quiet machine.
    """

    at_s: float
    own_s: float
    switches: int
    others: int | None = None
    waited_s: float | None = None
    busy_s: float | None = None
    stolen_s: float | None = None
    throttled: int | None = None
    queued_s: float | None = None


class Files(Protocol):
    """Where a look reads: a test hands in its own."""

    def text(self, path: str) -> str:
        """Raises OSError where there is none."""
        ...

    def tasks(self) -> list[str]:
        """The numbers of our own threads."""
        ...


class Proc:
    """Keeps files open and reads them anew from their start: opening costs five times as much as reading."""

    def __init__(self) -> None:
        self.handles: dict[str, int] = {}
        self.threads: list[str] = []
        finalize(self, _close, self.handles)

    def text(self, path: str) -> str:
        if path not in self.handles:
            self.handles[path] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(self.handles[path], 2**16, 0).decode("ascii", "replace")
        except OSError:
            os.close(self.handles.pop(path))
            raise

    def tasks(self) -> list[str]:
        threads = os.listdir("/proc/self/task")  # noqa: PTH208 – a hundred times a second
        if threads != self.threads:
            _close(self.handles)  # Of threads that ended; the next of the same number has files of its own.
            self.threads = threads
        return threads


def _close(handles: dict[str, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


class Contention:
    """The watch of a sampling loop: looks, and says of two looks why what lies between is not to be trusted."""

    def __init__(
        self,
        threads: int,
        files: Files | None = None,
        processors: int | None = None,
        usable: Sequence[int] | None = None,
    ) -> None:
        self.threads, self.files = threads, files or Proc()
        self.processors = processors or os.cpu_count() or 1
        self.usable = affinity() if usable is None else usable
        self.throttles = next((path for path in THROTTLES if self._throttled(path) is not None), None)

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
            self._throttled(self.throttles) if self.throttles else None,
            self._queued(),
        )

    def dirty(self, before: Look, after: Look) -> str | None:
        usable = len(self.usable) or self.processors
        return disturbed(before, after, threads=self.threads, processors=self.processors, usable=usable)

    def signals(self) -> list[str]:
        """Which signals this system gives, by the names of a look's fields; those that mean something here."""
        look = self.look()
        told = [name for name in Look.fields if getattr(look, name) is not None]
        return told if HOST_WORKS else [name for name in told if name != "own_s"]

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
        """Seconds that our processors were busy for anyone, and that the hypervisor gave to others."""
        try:
            wanted = {f"cpu{number}" for number in self.usable} or {"cpu"}
            lines = [line.split() for line in self.files.text("/proc/stat").splitlines() if line.startswith("cpu")]
            ours = [list(map(int, line[1:9])) for line in lines if line[0] in wanted]
            ticks = [user + nice + system + irq + soft for user, nice, system, _, _, irq, soft, _ in ours]
        except (OSError, ValueError, IndexError):
            return None, None
        if len(ours) != len(wanted):
            return None, None
        return sum(ticks) * TICK_S, sum(line[7] for line in ours) * TICK_S

    def _throttled(self, path: str) -> int | None:
        """How often the container's quota stopped us."""
        try:
            lines = [line.split() for line in self.files.text(path).splitlines()]
            return next(int(line[1]) for line in lines if line[0] == "nr_throttled")
        except (OSError, ValueError, IndexError, StopIteration):
            return None

    def _queued(self) -> float | None:
        """How long any task of the machine has waited for a processor (pressure stall information)."""
        try:
            first = self.files.text("/proc/pressure/cpu").partition("\n")[0]
            return int(first.rpartition("total=")[2]) * 1e-6 if first.startswith("some") else None
        except (OSError, ValueError):
            return None


def affinity() -> tuple[int, ...]:
    """The processors that this process may use; none where the system does not say.

    All threads together: OpenMP gives each a place of its own where OMP_PROC_BIND or OMP_PLACES is set.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    found = os.sched_getaffinity(0)
    with suppress(OSError, ValueError):
        found = found.union(*map(os.sched_getaffinity, map(int, Proc().tasks())))
    return tuple(sorted(found))


def disturbed(before: Look, after: Look, *, threads: int, processors: int, usable: int | None = None) -> str | None:
    """Why the time between two looks is not the model's alone, or None.

    `processors` are the machine's, `usable` those that we may use. One other that wants to run is enough on a small
    machine: even on another core it shares caches, memory and clock.
    """
    wall, usable = after.at_s - before.at_s, usable or processors
    if max(before.others or 0, after.others or 0) >= max(1, processors // (SMALL // 2)):
        return "another process was running"
    if threads <= usable and _waited(before, after, threads, processors) > WAITED * wall * threads:
        return "its threads waited for a processor"  # More threads than processors wait for each other.
    if _grown(before.throttled, after.throttled) > 0:
        return "the container's processor quota stopped it"
    if HOST_WORKS and after.own_s - before.own_s < (1 - STARVED) * wall - 2 * TICK_S:
        return "it had no processor for a part of the time"
    if wall < TAKEN_WINDOW_S:
        return None
    if _grown(before.stolen_s, after.stolen_s) > STOLEN * wall * usable:
        return "the hypervisor gave its processor to others"
    taken = _grown(before.busy_s, after.busy_s) - (after.own_s - before.own_s)
    if taken > TAKEN * wall * usable + 2 * TICK_S:
        return "other processes used the processors"
    return None


def _waited(before: Look, after: Look, threads: int, processors: int) -> float:
    """Seconds that our threads waited; where a kernel does not say, on a small machine what anyone waited.

    That is a second best: it counts the kernel's own threads too, and one at a time.
    """
    if before.waited_s is None and processors < SMALL:
        return threads * _grown(before.queued_s, after.queued_s)
    return _grown(before.waited_s, after.waited_s)


def _grown(before: float | None, after: float | None) -> float:
    """By how much; 0 where this system does not say."""
    return 0.0 if before is None or after is None else after - before
