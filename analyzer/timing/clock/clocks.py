"""Clocks: what a pass is cut with. A mark is taken in place and read later, so that nobody waits for a device between.

On the CPU a mark is the time. On a device that runs behind the host a mark is an event in its queue: the device writes
the time when it gets there, and all are read after one synchronisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from analyzer.core.errors import AnalyzerError
from analyzer.timing.clock.device_queue import Hold, MarkCost, mark_cost


class Clock(Protocol):
    """`mark` is called between operators and must be cheap."""

    @property
    def mark(self) -> Callable[[], Any]: ...

    def seconds(self, marks: Sequence[Any]) -> list[float]:
        """When each mark was reached, from the first one; waits until the device has reached the last."""
        ...

    def settle(self) -> None:
        """Waits until nothing is under way."""
        ...

    def hold(self) -> None:
        """Settles, and has the device wait until what follows is issued: marks then say what it takes, not when it was
        told. Where that cannot be done, it only settles."""
        ...

    def let_go(self) -> None:
        """From now on nothing is held: for a pass that waits for the device itself, and is never ahead of it."""
        ...

    @property
    def late(self) -> int | None:
        """How many held passes were not issued in time. None for a clock that cannot hold."""
        ...

    @property
    def launch_share(self) -> float | None:
        """Of the last read pass, the time in which the host issued it ÷ the time in which the device ran it.

        Close to 1 the device waits for the host: the pass is bound by launches. None where there is no queue.
        """
        ...


class HostClock:
    """The CPU's: operators return when they are done."""

    launch_share = late = None

    def __init__(self, nanoseconds: Callable[[], int] = time.perf_counter_ns) -> None:
        self.mark = nanoseconds

    def seconds(self, marks: Sequence[int]) -> list[float]:
        return [(mark - marks[0]) * 1e-9 for mark in marks]

    def settle(self) -> None:
        pass

    def hold(self) -> None:
        pass

    def let_go(self) -> None:
        pass


class EventClock:
    """A device's: `device` makes events (`Event(enable_timing=True)`) and can `synchronize`, as torch.cuda does.

    `sleep` keeps it busy for so many cycles and `nothing` launches the least of kernels; without them it cannot hold.
    Events are used again pass after pass: to make one takes longer than to record one.
    """

    def __init__(
        self,
        device: Any,
        nanoseconds: Callable[[], int] = time.perf_counter_ns,
        sleep: Callable[[int], Any] | None = None,
        nothing: Callable[[], Any] | None = None,
    ) -> None:
        self.device, self.nanoseconds = device, nanoseconds
        self.free: list[Any] = []
        self.launch_share: float | None = None
        self.held = Hold(sleep) if sleep else None
        self.cost = MarkCost()
        if nothing:
            self.cost = mark_cost(self, nothing)

    @property
    def late(self) -> int | None:
        return self.held.late if self.held else None

    def mark(self) -> tuple[Any, int]:
        event = self.free.pop() if self.free else self.device.Event(enable_timing=True)
        event.record()
        return event, self.nanoseconds()

    def seconds(self, marks: Sequence[tuple[Any, int]]) -> list[float]:
        self.device.synchronize()
        first, issued = marks[0]
        reached = [first.elapsed_time(event) / 1e3 for event, _ in marks]
        if reached[-1] > 0:
            self.launch_share = (marks[-1][1] - issued) * 1e-9 / reached[-1]
        if self.held:
            self.free += self.held.read(marks, reached)
        self.free += [event for event, _ in marks]
        return self.cost.without([later - earlier for earlier, later in pairwise(reached)])

    def settle(self) -> None:
        self.device.synchronize()
        if self.held:
            self.held.start = None  # Of a pass that raised in its middle, and was never read.

    def hold(self) -> None:
        self.settle()
        if self.held:
            self.held.begin(self.mark)

    def let_go(self) -> None:
        self.held = None


def clock_of(device: str) -> Clock:
    """The clock of a torch device, such as `cpu` or `cuda:1`. Raises AnalyzerError, naming those that are there."""
    import torch

    kind, _, index = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise AnalyzerError(f"unknown device {device!r}; wanted one of: {', '.join(present())}")
    if kind == "cpu":
        return HostClock()
    if f"{kind}:{index or 0}" not in present() and device not in present():
        raise AnalyzerError(f"no device {device} here; there are: {', '.join(present())}")
    if kind == "cuda":
        torch.cuda.set_device(int(index or 0))
        # Not public, and there since 2018: torch's own tests of streams wait with it.
        if not (sleep := getattr(torch.cuda, "_sleep", None)):
            return EventClock(torch.cuda)
        least = torch.zeros(1, device=device)
        return EventClock(torch.cuda, sleep=sleep, nothing=lambda: least.add_(1.0))
    return EventClock(_Mps(torch))


class _Mps:
    """Apple's queue by the names that torch.cuda has."""

    def __init__(self, torch: Any) -> None:
        self.Event, self.synchronize = torch.mps.event.Event, torch.mps.synchronize


def present() -> list[str]:
    """The devices of this machine by torch's names."""
    import torch

    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found
