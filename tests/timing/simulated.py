"""A manual clock, and a device that runs behind its host: timing logic without waiting."""

from __future__ import annotations


class ManualClock:
    """Stands still until `advance`; read as `now` in seconds or as `nanoseconds`."""

    def __init__(self) -> None:
        self.at_s = 0.0

    def advance(self, seconds: float) -> None:
        self.at_s += seconds

    def now(self) -> float:
        return self.at_s

    def nanoseconds(self) -> int:
        return round(self.at_s * 1e9)


class Device:
    """A queue. A launch costs the host `launch_s`, and the device the kernel's time.

    An event costs the host `record_s` and the device `mark_s`; `sleep` keeps the device busy, at 2e9 cycles a second.
    `Event` and `synchronize` have torch.cuda's names.
    """

    def __init__(self, host: ManualClock, launch_s: float, *, record_s: float = 0.0, mark_s: float = 0.0) -> None:
        self.host, self.launch_s, self.free_at_s = host, launch_s, 0.0
        self.record_s, self.mark_s = record_s, mark_s
        self.events = 0
        self.synchronized = 0
        device = self

        class Event:
            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing
                device.events += 1
                self.reached_s: float | None = None

            def record(self) -> None:
                host.advance(device.record_s)
                device.free_at_s = self.reached_s = max(device.free_at_s, host.at_s) + device.mark_s

            def elapsed_time(self, later: Event) -> float:
                assert device.host.at_s >= later.reached_s, "read before the device reached it"
                return (later.reached_s - self.reached_s) * 1e3

        self.Event = Event

    def launch(self, seconds: float) -> None:
        self.host.advance(self.launch_s)
        self.free_at_s = max(self.free_at_s, self.host.at_s) + seconds

    def sleep(self, cycles: int) -> None:
        self.free_at_s = max(self.free_at_s, self.host.at_s) + cycles / 2e9

    def synchronize(self) -> None:
        self.synchronized += 1
        self.host.at_s = max(self.host.at_s, self.free_at_s)


class FakeWatch:
    """A watch that detects nothing, or one given disturbance after the other, then always `last`."""

    def __init__(self, *disturbances: str | None, last: str | None = None) -> None:
        self.disturbances, self.last = list(disturbances), last

    def snapshot(self) -> None:
        return None

    def disturbance(self, before: object, after: object) -> str | None:
        return self.disturbances.pop(0) if self.disturbances else self.last
