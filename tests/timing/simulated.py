"""A clock that a test turns, and a device that runs behind its host: all of the timing's logic without waiting."""

from __future__ import annotations


class Turned:
    """A clock that stands still until it is turned; as `now` in seconds, as `nanoseconds` for a HostClock."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def turn(self, seconds: float) -> None:
        self.at_s += seconds

    def now(self) -> float:
        return self.at_s

    def nanoseconds(self) -> int:
        return round(self.at_s * 1e9)


class Device:
    """A queue: a launch costs the host `launch_s` and the device the kernel's time; an event is reached in its turn.

    `Event` and `synchronize` are torch.cuda's names.
    """

    def __init__(self, host: Turned, launch_s: float) -> None:
        self.host, self.launch_s, self.free_at_s = host, launch_s, 0.0
        self.made = 0
        self.synchronized = 0
        device = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                device.made += 1
                self.reached_s: float | None = None

            def record(self) -> None:
                self.reached_s = max(device.free_at_s, host.at_s)

            def elapsed_time(self, later: Event) -> float:
                assert device.host.at_s >= later.reached_s, "read before it was reached"
                return (later.reached_s - self.reached_s) * 1e3

        self.Event = Event

    def launch(self, seconds: float) -> None:
        self.host.turn(self.launch_s)
        self.free_at_s = max(self.free_at_s, self.host.at_s) + seconds

    def synchronize(self) -> None:
        self.synchronized += 1
        self.host.at_s = max(self.host.at_s, self.free_at_s)
