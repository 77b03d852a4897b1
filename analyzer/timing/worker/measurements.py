"""The measurements that are sampled interleaved: the pass, its GPU time, and the instrumented pass.

If a blocked pass was not queued in time, its sample counts as disturbed and is repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from analyzer.timing.clock.clocks import Clock
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.page_faults import PageFaults
from analyzer.timing.machine.process_memory import ProcessMemory
from analyzer.timing.passes.timed_pass import OperatorsChanged, Pass
from analyzer.timing.passes.timeline import Key

MAX_TRIES = 3  # To queue a pass in time. Each late one makes the next block longer.
LATE = "the host did not queue the pass in time"
SendKeys = Callable[[Sequence[Key], str], None]


class DeadlineWatch:
    """A watch that also detects blocked passes that were not queued in time."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self.watch, self.clock = watch, clock

    def snapshot(self) -> Any:
        return self.clock.late_passes, self.watch.snapshot()

    def disturbance(self, before: Any, after: Any) -> str | None:
        return self.watch.disturbance(before[1], after[1]) or (LATE if before[0] != after[0] else None)


class Measurements:
    """`send_keys(keys, "")` receives the keys of an instrumented pass, or no keys and the reason if there are none.

    `queued_in_time`: whether instrumented passes can be queued in time; None on a clock that does not block.
    """

    def __init__(
        self, timed_pass: Pass, clock: Clock, send_keys: SendKeys, memory: ProcessMemory | None = None
    ) -> None:
        self.timed_pass, self.clock, self.send_keys, self.memory = timed_pass, clock, send_keys, memory
        self.numbers: list[int] = []
        self.memory_bytes: list[int] = []
        if memory:
            memory.reset_peak()
        self.keys: list[Key] = []
        self.page_faults = PageFaults()
        self.launch_shares: list[float] = []
        self.queued_in_time: bool | None = None

    def available(self, *, instrumented: bool) -> dict[str, Callable[[], Any]]:
        """The measurements that this model and clock allow, by name. Tries each blocked one first."""
        measurements: dict[str, Callable[[], Any]] = {"pass": self.uninstrumented}
        blocks, device = self.clock.late_passes is not None, self._in_time(self.device)
        try:
            if instrumented and blocks:
                self.queued_in_time = device and self._in_time(self.timed_pass.instrumented)
                if not self.queued_in_time:
                    self.clock.disable_blocking()  # Blocked and unblocked passes would not be comparable.
            if device and self.queued_in_time is not False:
                measurements["device"] = self.device
            if instrumented:
                self.timed_pass.fit_cost()
                self.keys += self.timed_pass.instrumented()
                measurements["instrumented"] = self.instrumented
            self.send_keys(self.keys, "")
        except OperatorsChanged as error:
            self._give_up(error)
        return measurements

    def uninstrumented(self) -> float:
        seconds = self.page_faults.count(self.timed_pass.uninstrumented, self.timed_pass.passes)
        if self.clock.launch_share is not None:
            self.launch_shares.append(self.clock.launch_share)
        self.numbers.append(self.timed_pass.made)
        if self.memory and (used := self.memory.bytes()) is not None:
            self.memory_bytes.append(used)
        return seconds

    def device(self) -> float:
        return self.timed_pass.uninstrumented(blocked=True)

    def instrumented(self) -> list[float]:
        """Seconds in the order of the keys. Raises OperatorsChanged."""
        try:
            times = self.timed_pass.instrumented()
            if times.keys() != set(self.keys):
                raise OperatorsChanged("the operators of a pass change from pass to pass")
        except OperatorsChanged as error:
            self._give_up(error)
            raise
        return [times[key] for key in self.keys]

    def summary(self) -> dict[str, Any]:
        """The median launch share of the pass, whether passes were queued in time, page faults on a CPU, peak memory,
        and for each sample of the pass the number of its last pass and the memory after it."""
        launch_share = median(self.launch_shares) if self.launch_shares else None
        page_faults = self.page_faults.summary() if self.clock.launch_share is None else {}
        passes = {"numbers": self.numbers, "memory": self.memory_bytes, "repeats": self.timed_pass.repeats}
        peak_bytes = self.memory.peak_bytes() if self.memory else None
        queue = {"launch_share": launch_share, "queued_in_time": self.queued_in_time}
        return {**queue, "passes": passes, "peak_bytes": peak_bytes, **page_faults}

    def _in_time(self, measurement: Callable[[], Any]) -> bool:
        """Whether a blocked pass takes device time and can be queued in time."""
        for _ in range(MAX_TRIES if self.clock.late_passes is not None else 0):
            late = self.clock.late_passes
            if measurement() and self.clock.late_passes == late:
                return True
        return False

    def _give_up(self, error: OperatorsChanged) -> None:
        self.send_keys([], f"not instrumented: {error}")
