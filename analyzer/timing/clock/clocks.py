"""Clocks take a mark between two operators and convert marks to seconds after the pass.

On a CPU a mark is a time in nanoseconds. On a device with a queue it is an event in the queue: the device records the
time when it reaches the event, and one synchronization reads all of them, so no operator waits for the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.timing.clock.device_queue import MarkCost, QueueBlocker, measure_mark_cost


class Clock:
    """The interface of all clocks, with defaults for a synchronous host clock.

    `mark` is called between operators and must be cheap. `late_passes` counts blocked passes that the host did not
    queue in time; None if the clock cannot block the queue. `launch_share` is the host's time to queue the last pass ÷
    the device's time to run it, None without a queue. Near 1 the device waits for the host: the pass is launch-bound.
    """

    mark: Callable[[], Any]
    launch_share: float | None = None
    late_passes: int | None = None

    def seconds(self, marks: Sequence[Any]) -> list[float]:
        """Seconds from the first mark to each mark. Waits until the device has reached the last one."""
        raise NotImplementedError

    def synchronize(self) -> None:
        """Waits until the device is idle."""

    def block_queue(self) -> None:
        """Synchronizes, then makes the device wait until the host has queued the pass, so that marks measure device
        time without launch overhead. A clock that cannot block only synchronizes."""

    def disable_blocking(self) -> None:
        """Called for a pass that synchronizes with the device itself; such a pass cannot be queued in advance."""

    def elapsed(self, call: Callable[[], Any], count: int = 1) -> float:
        """Seconds of `count` calls, with marks around all of them together."""
        marks = [self.mark()]
        for _ in range(count):
            call()
        marks.append(self.mark())
        return self.seconds(marks)[-1]


class HostClock(Clock):
    """For the CPU: an operator has finished when it returns."""

    def __init__(self, nanoseconds: Callable[[], int] = time.perf_counter_ns) -> None:
        self.mark = nanoseconds

    def seconds(self, marks: Sequence[int]) -> list[float]:
        return [(mark - marks[0]) * 1e-9 for mark in marks]


class EventClock(Clock):
    """For a device with a queue. `device` provides `Event(enable_timing=True)` and `synchronize`, like torch.cuda.

    `sleep(cycles)` keeps the device busy; without it the clock cannot block the queue. `empty_kernel` launches the
    shortest kernel, to measure the cost of a mark. Events are reused: creating one takes longer than recording one.
    """

    def __init__(
        self,
        device: Any,
        nanoseconds: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[int], Any] | None = None,
        empty_kernel: Callable[[], Any] | None = None,
    ) -> None:
        self.device, self.nanoseconds = device, nanoseconds
        self.free_events: list[Any] = []
        self.blocker = QueueBlocker(sleep) if sleep else None
        self.mark_cost = MarkCost()
        if empty_kernel:
            self.mark_cost = measure_mark_cost(self, empty_kernel)

    @property
    def late_passes(self) -> int | None:  # type: ignore[override]
        return self.blocker.late_passes if self.blocker else None

    def mark(self) -> tuple[Any, int]:
        event = self.free_events.pop() if self.free_events else self.device.Event(enable_timing=True)
        event.record()
        return event, self.nanoseconds()

    def seconds(self, marks: Sequence[tuple[Any, int]]) -> list[float]:
        self.device.synchronize()
        first, queued = marks[0]
        reached_s = [first.elapsed_time(event) / 1e3 for event, _ in marks]
        if reached_s[-1] > 0:
            self.launch_share = (marks[-1][1] - queued) * 1e-9 / reached_s[-1]
        if self.blocker:
            self.free_events += self.blocker.read(marks, reached_s)
        self.free_events += [event for event, _ in marks]
        return self.mark_cost.subtract([later - earlier for earlier, later in pairwise(reached_s)])

    def synchronize(self) -> None:
        self.device.synchronize()
        if self.blocker:
            self.blocker.start = None  # Left by a pass that raised before its marks were read.

    def block_queue(self) -> None:
        self.synchronize()
        if self.blocker:
            self.blocker.block(self.mark)

    def disable_blocking(self) -> None:
        self.blocker = None


def clock_of(device: str) -> Clock:
    """The clock of a torch device such as `cpu` or `cuda:1`. Raises AnalyzerError, with the devices of this machine."""
    import torch

    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise AnalyzerError(f"unknown device {device!r}; wanted one of: {', '.join(available_devices())}")
    if kind == "cpu":
        return HostClock()
    if not {device, f"{kind}:{index or 0}"} & set(available_devices()):
        raise AnalyzerError(f"no device {device} here; there are: {', '.join(available_devices())}")
    if kind == "cuda":
        torch.cuda.set_device(int(index or 0))
        # Not public, but there since 2018: torch's own stream tests use it to delay a stream.
        if not (sleep := getattr(torch.cuda, "_sleep", None)):
            return EventClock(torch.cuda)
        scalar = torch.zeros(1, device=device)
        return EventClock(torch.cuda, sleep=sleep, empty_kernel=lambda: scalar.add_(1.0))
    return EventClock(SimpleNamespace(Event=torch.mps.event.Event, synchronize=torch.mps.synchronize))


def available_devices() -> list[str]:
    """The devices of this machine, by torch's names."""
    import torch

    devices = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*devices, "mps"] if torch.backends.mps.is_available() else devices
