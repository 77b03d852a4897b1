"""Device time from a queue: blocks the queue until the host has filled it, and subtracts the cost of marks.

If the host needs longer to launch an operator than the device to run it, the time between two marks is launch overhead.
So the device waits until a whole pass is queued. A mark also costs device time: it ends one kernel before the next
starts, a microsecond or more each, which matters for small kernels. That cost is measured and subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import TYPE_CHECKING, Any

from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    from analyzer.timing.clock.clocks import Clock

Mark = tuple[Any, int]  # An event, and the host's nanoseconds when it was queued.

# Seconds that the queue is blocked. A shorter block is too imprecise to calibrate the device's cycles per second.
FIRST_BLOCK_S, MIN_BLOCK_S, MAX_BLOCK_S = 0.01, 0.001, 0.5
CYCLES_PER_S = 1e9  # A first guess; each block measures the true rate.
MARGIN = 1.5  # The next block ÷ the time that the host needed to queue the last pass.
SHRINK = 0.9
KERNELS, CLEAN_ROUNDS, MAX_ROUNDS = 100, 5, 12  # A first clean round warms up and is not counted.


class QueueBlocker:
    """Keeps the device busy while the host queues a pass, and counts the passes for which that was too short."""

    def __init__(self, sleep: Callable[[int], Any]) -> None:
        self.sleep = sleep
        self.late_passes = 0
        self.block_s, self.cycles_per_s = FIRST_BLOCK_S, CYCLES_PER_S
        self.start: Mark | None = None
        self.cycles = 0

    def block(self, mark: Callable[[], Mark]) -> None:
        """The device must be idle."""
        self.start = mark()
        self.cycles = int(self.block_s * self.cycles_per_s)
        self.sleep(self.cycles)

    def read(self, marks: Sequence[Mark], reached_s: Sequence[float]) -> list[Any]:
        """Adapts the next block to a finished pass; `reached_s` is the time of each mark in seconds after the first
        mark.

        Returns the event that started the block, for reuse; nothing if no block preceded the marks.
        """
        if self.start is None:
            return []
        (event, start_ns), self.start = self.start, None
        blocked_s = event.elapsed_time(marks[0][0]) / 1e3
        if blocked_s > 0:
            self.cycles_per_s = self.cycles / blocked_s
        queued_s = [(nanoseconds - start_ns) * 1e-9 for _, nanoseconds in marks]
        # In time: each mark was queued before the device reached the mark before it.
        in_time = all(queued <= blocked_s + at for queued, at in zip(queued_s[1:], reached_s, strict=False))
        self.late_passes += not in_time
        next_s = max(MARGIN * queued_s[-1], (SHRINK if in_time else 2) * self.block_s, MIN_BLOCK_S)
        self.block_s = min(next_s, MAX_BLOCK_S)
        return [event]


class MarkCost(Frozen):
    """Seconds that marks add to the work between them. An interval shorter than `empty_below_s` holds no work."""

    work_s: float = 0.0
    empty_below_s: float = 0.0

    def subtract(self, intervals: Sequence[float]) -> list[float]:
        """Seconds from the first mark to each mark, if marks cost nothing."""
        durations = [0.0 if s < self.empty_below_s else max(s - self.work_s, 0.0) for s in intervals]
        return list(accumulate(durations, initial=0.0))


def measure_mark_cost(clock: Clock, empty_kernel: Callable[[], Any]) -> MarkCost:
    """Times many short kernels in a blocked queue, with marks around each and without.

    `clock` must not subtract a cost yet. The cost is 0 if the host is never in time.
    """
    marked, between, unmarked = [], [], []
    for _ in range(MAX_ROUNDS):
        late = clock.late_passes
        clock.block_queue()
        marks = []
        for _ in range(KERNELS):
            marks.append(clock.mark())
            empty_kernel()
            marks.append(clock.mark())
        intervals = [later - earlier for earlier, later in pairwise(clock.seconds(marks))]
        clock.block_queue()
        total_s = clock.elapsed(empty_kernel, KERNELS)
        if clock.late_passes != late:
            continue
        marked.append(median(intervals[::2]))
        between.append(median(intervals[1::2]))
        # Subtracts the cost of the two outer marks, as `marked` does; there are no marks in between.
        unmarked.append((total_s - marked[-1]) / (KERNELS - 1))
        if len(marked) > CLEAN_ROUNDS:
            break
    if not marked:
        return MarkCost()
    marked_s, between_s, unmarked_s = (median(rounds[1:] or rounds) for rounds in (marked, between, unmarked))
    return MarkCost(max(marked_s - unmarked_s, 0.0), (marked_s + between_s) / 2)
