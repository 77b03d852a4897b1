"""Detects other processes during a sample: a snapshot before, a snapshot after, and limits on the difference.

This module only says whether one sample was disturbed, and by what. `driver/quality.py` decides from all samples
whether a run is trusted, noisy or void.

A snapshot takes about 40 µs plus 6 per thread, outside of the sample. On Linux it reads /proc: how many other threads
run or wait to run, how long our own threads waited for a processor, what others and the hypervisor used. Missing
signals are ignored; `signals()` lists those that this system has.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar
from weakref import finalize

from analyzer.core.frozen import Frozen

MAX_WAIT = 0.05  # Share of the threads' time spent waiting for a processor that another process had.
MAX_OTHERS = 0.10  # Share of the processors' time used by others, over MIN_WINDOW_S: the system counts in 10 ms.
MIN_WINDOW_S = 0.2
MAX_STOLEN = 0.02  # Share of the processors' time that the hypervisor gave to others.
MAX_IDLE = 0.10  # Share of a sample in which none of our threads had a processor.
SMALL_MACHINE = 16  # Processors. Below, one other thread disturbs, and system-wide waiting is used as an estimate.
THROTTLES = ("/sys/fs/cgroup/cpu.stat", "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpu,cpuacct/cpu.stat")
HOST_COMPUTES = sys.platform == "linux"  # On other systems the host may wait for a GPU; an idle host is normal there.
TICK_S = 1 / (os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100)

# Disturbances that may have had no effect: the other processes had a processor that our threads do not use.
ON_OTHER_PROCESSORS = ("another process was running on another processor", "other processes used other processors")

T = TypeVar("T")


class Snapshot(Frozen):
    """The machine at one moment. Seconds since an arbitrary start; None where the system has no such signal.

    `others` are threads of other processes that run or wait to run now. `waited_s` is how long our own threads have
    waited, `queued_s` how long any thread has (PSI). `busy_s` and `stolen_s` are sums over the processors that we may
    use. Involuntary `switches` are recorded but not judged: kernel threads cause some on a quiet machine.
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


class Proc:
    """Keeps files open and rereads them from their start: opening costs five times as much as reading."""

    def __init__(self) -> None:
        self.handles: dict[str, int] = {}
        self.threads: list[str] = []
        finalize(self, _close, self.handles)

    def text(self, path: str) -> str:
        """Raises OSError for a missing file."""
        if path not in self.handles:
            self.handles[path] = os.open(path, os.O_RDONLY)
        try:
            return os.pread(self.handles[path], 2**16, 0).decode("ascii", "replace")
        except OSError:
            os.close(self.handles.pop(path))
            raise

    def tasks(self) -> list[str]:
        """The ids of this process's threads."""
        threads = os.listdir("/proc/self/task")  # noqa: PTH208 – a hundred times a second
        if threads != self.threads:
            _close(self.handles)  # A new thread may have the id of one that ended, but has other files.
            self.threads = threads
        return threads


def _close(handles: dict[str, int]) -> None:
    while handles:
        os.close(handles.popitem()[1])


class Contention:
    """The watch of a sampling loop on a CPU; see `analyzer.timing.clock.sampling.Watch`."""

    def __init__(
        self,
        threads: int,
        files: Proc | None = None,
        processors: int | None = None,
        usable: Sequence[int] | None = None,
    ) -> None:
        self.threads, self.files = threads, files or Proc()
        self.processors = processors or os.cpu_count() or 1
        self.usable = affinity() if usable is None else usable
        self.throttles = next((path for path in THROTTLES if self._read(path, _throttled) is not None), "")

    def snapshot(self) -> Snapshot:
        used_s, preempted = usage()
        running, waited_s = self._threads()
        runnable = self._read("/proc/loadavg", _runnable)
        busy_s, stolen_s = self._read("/proc/stat", self._processor_times) or (None, None)
        return Snapshot(
            time.perf_counter(),
            used_s,
            preempted,
            None if runnable is None or running is None else max(runnable - running, 0),
            waited_s,
            busy_s,
            stolen_s,
            self._read(self.throttles, _throttled) if self.throttles else None,
            self._read("/proc/pressure/cpu", _queued_s),
        )

    def disturbance(self, before: Snapshot, after: Snapshot) -> str | None:
        usable = len(self.usable) or self.processors
        return disturbance(before, after, threads=self.threads, processors=self.processors, usable=usable)

    def signals(self) -> list[str]:
        """The signals of this system, by the names of a snapshot's fields, without signals that are not informative on
        it."""
        snapshot = self.snapshot()
        names = [name for name in Snapshot.fields if getattr(snapshot, name) is not None]
        return names if HOST_COMPUTES else [name for name in names if name != "own_s"]

    def _read(self, path: str, parse: Callable[[str], T]) -> T | None:
        try:
            return parse(self.files.text(path))
        except (OSError, ValueError, IndexError):
            return None

    def _threads(self) -> tuple[int | None, float | None]:
        """How many of this process's threads run now, and how many seconds all of them have waited."""
        running, waited_ns = 0, 0
        try:
            for task in self.files.tasks():
                stat = self.files.text(f"/proc/self/task/{task}/stat")
                running += stat[stat.rindex(")") + 2] == "R"
                waited_ns += int(self.files.text(f"/proc/self/task/{task}/schedstat").split()[1])
        except (OSError, ValueError, IndexError):
            return None, None  # A thread that ends at this moment is rare, and only this sample lacks the signal.
        return running, waited_ns * 1e-9

    def _processor_times(self, text: str) -> tuple[float, float]:
        """Seconds that our processors were busy for any process, and seconds stolen by the hypervisor."""
        wanted = {f"cpu{number}" for number in self.usable} or {"cpu"}
        lines = [line.split() for line in text.splitlines() if line.startswith("cpu")]
        ticks = [list(map(int, line[1:9])) for line in lines if line[0] in wanted]
        if len(ticks) != len(wanted):
            raise ValueError("a processor is not listed")
        busy = sum(user + nice + system + irq + soft for user, nice, system, _, _, irq, soft, _ in ticks)
        return busy * TICK_S, sum(row[7] for row in ticks) * TICK_S


def _runnable(loadavg: str) -> int:
    return int(loadavg.split()[3].partition("/")[0])


def _throttled(cpu_stat: str) -> int:
    """How often the container's quota stopped us."""
    return int(cpu_stat.split()[cpu_stat.split().index("nr_throttled") + 1])


def _queued_s(pressure: str) -> float:
    """How long any task of the machine has waited for a processor (pressure stall information)."""
    first = pressure.partition("\n")[0]
    if not first.startswith("some"):
        raise ValueError("no pressure stall information")
    return int(first.rpartition("total=")[2]) * 1e-6


def usage() -> tuple[float, int]:
    """Processor time of this process in seconds, and how often it was preempted, which Windows does not count."""
    try:
        from resource import RUSAGE_SELF, getrusage
    except ImportError:
        return time.process_time(), 0
    used = getrusage(RUSAGE_SELF)
    return used.ru_utime + used.ru_stime, used.ru_nivcsw


def affinity() -> tuple[int, ...]:
    """The processors that this process may use; empty if the system has no such call.

    The union over all threads: with OMP_PROC_BIND or OMP_PLACES, OpenMP binds each thread to its own processor.
    """
    if not hasattr(os, "sched_getaffinity"):
        return ()
    processors = os.sched_getaffinity(0)
    with suppress(OSError, ValueError):
        processors = processors.union(*map(os.sched_getaffinity, map(int, Proc().tasks())))
    return tuple(sorted(processors))


def disturbance(
    before: Snapshot, after: Snapshot, *, threads: int, processors: int, usable: int | None = None
) -> str | None:
    """The reason why other load affected the time between two snapshots, or None.

    `processors` are the machine's, `usable` those that this process may use. On a small machine a single other thread
    disturbs: even on another core it shares caches, memory bandwidth and clock.
    """
    wall_s, usable = after.at_s - before.at_s, usable or processors
    cpu_s = after.own_s - before.own_s
    others, spare = max(before.others or 0, after.others or 0), usable - threads
    running = others >= max(1, processors // (SMALL_MACHINE // 2))
    if running and others > spare:
        return "another process was running"
    # With more threads than processors, our threads wait for each other.
    if threads <= usable and _waited_s(before, after, threads, processors) > MAX_WAIT * wall_s * threads:
        return "the model's threads waited for a processor"
    if _increase(before.throttled, after.throttled) > 0:
        return "the container's CPU quota throttled the process"
    if HOST_COMPUTES and cpu_s < (1 - MAX_IDLE) * wall_s - 2 * TICK_S:
        return "the process had no processor for part of the time"
    if wall_s >= MIN_WINDOW_S and _increase(before.stolen_s, after.stolen_s) > MAX_STOLEN * wall_s * usable:
        return "the hypervisor gave processor time to other machines"
    if running:
        return ON_OTHER_PROCESSORS[0]
    used_s = _increase(before.busy_s, after.busy_s) - cpu_s
    if wall_s >= MIN_WINDOW_S and used_s > MAX_OTHERS * wall_s * usable + 2 * TICK_S:
        return ON_OTHER_PROCESSORS[1] if used_s <= spare * wall_s else "other processes used the processors"
    return None


def _waited_s(before: Snapshot, after: Snapshot, threads: int, processors: int) -> float:
    """Seconds that our threads waited. Without that signal, on a small machine, the seconds that any thread waited:
    an approximation, since it includes kernel threads and counts one thread at a time."""
    if before.waited_s is None and processors < SMALL_MACHINE:
        return threads * _increase(before.queued_s, after.queued_s)
    return _increase(before.waited_s, after.waited_s)


def _increase(before: float | None, after: float | None) -> float:
    """0 for a missing signal."""
    return 0.0 if before is None or after is None else after - before
