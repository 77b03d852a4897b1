"""Clocks: what a pass is cut with. A mark is taken in place and read later, so that nobody waits for a device between.

On the CPU a mark is the time. On a device that runs behind the host a mark is an event in its queue: the device writes
the time when it gets there, and all are read after one synchronisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from analyzer.errors import AnalyzerError


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

    @property
    def launch_share(self) -> float | None:
        """Of the last read pass, the time in which the host issued it ÷ the time in which the device ran it.

        Close to 1 the device waits for the host: the pass is bound by launches. None where there is no queue.
        """
        ...


class HostClock:
    """The CPU's: operators return when they are done."""

    launch_share = None

    def __init__(self, nanoseconds: Callable[[], int] = time.perf_counter_ns) -> None:
        self.mark = nanoseconds

    def seconds(self, marks: Sequence[int]) -> list[float]:
        return [(mark - marks[0]) * 1e-9 for mark in marks]

    def settle(self) -> None:
        pass


class EventClock:
    """A device's: `device` makes events (`Event(enable_timing=True)`) and can `synchronize`, as torch.cuda does.

    Events are used again pass after pass: to make one takes longer than to record one.
    """

    def __init__(self, device: Any, nanoseconds: Callable[[], int] = time.perf_counter_ns) -> None:
        self.device, self.nanoseconds = device, nanoseconds
        self.free: list[Any] = []
        self.launch_share: float | None = None

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
        self.free += [event for event, _ in marks]
        return reached

    def settle(self) -> None:
        self.device.synchronize()


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
        return EventClock(torch.cuda)
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
