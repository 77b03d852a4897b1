"""What it takes to read a device's own time out of its queue: to be ahead of it, and to know what a mark costs it.

A host that takes longer to issue an operator than the device to run it leaves gaps between marks that are the host's.
So the device is made to wait until a pass is in its queue. And a mark is work for the device too: it ends one kernel
before it begins the next, a microsecond and more each time, which small kernels feel. That is measured, and taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from statistics import median
from typing import Any, Protocol

from analyzer.core.frozen import Frozen

Mark = tuple[Any, int]  # An event, and the host's nanoseconds when it was issued.

FIRST_S, LEAST_S, MOST_S = 0.01, 0.001, 0.5  # Of a hold; a shorter one would say little of the device's cycles.
CYCLES_PER_S = 1e9  # A first guess; every hold is itself timed.
SPARE = 1.5  # How much longer than issuing took the last time.
SHRINK = 0.9
KERNELS, TIMES, ROUNDS = 100, 5, 12


class Hold:
    """Keeps a device busy for as long as the host needs to issue a pass, and says whether that was enough."""

    def __init__(self, sleep: Callable[[int], Any]) -> None:
        self.sleep = sleep
        self.late = 0
        self.seconds, self.rate = FIRST_S, CYCLES_PER_S
        self.start: Mark | None = None
        self.cycles = 0

    def begin(self, mark: Callable[[], Mark]) -> None:
        """On a device that has nothing to do."""
        self.start = mark()
        self.cycles = int(self.seconds * self.rate)
        self.sleep(self.cycles)

    def read(self, marks: Sequence[Mark], reached: Sequence[float]) -> list[Any]:
        """`reached` are the seconds of `marks` from the first one. Returns the hold's own event, to be used again; none
        if no hold was begun before the marks."""
        if self.start is None:
            return []
        (event, began), self.start = self.start, None
        held = event.elapsed_time(marks[0][0]) / 1e3
        if held > 0:
            self.rate = self.cycles / held
        issued = [(nanoseconds - began) * 1e-9 for _, nanoseconds in marks]
        # Work between two marks waited for nobody if all of it was issued before the device came to the first of them.
        ahead = all(own <= held + at for own, at in zip(issued[1:], reached, strict=False))
        self.late += not ahead
        self.seconds = min(max(SPARE * issued[-1], (SHRINK if ahead else 2) * self.seconds, LEAST_S), MOST_S)
        return [event]


class MarkCost(Frozen):
    """Seconds that marks add to work between two of them; an interval shorter than `least_s` is taken to be empty."""

    work_s: float = 0.0
    least_s: float = 0.0

    def without(self, intervals: Sequence[float]) -> list[float]:
        """When each mark was reached, from the first one, if marks took no time."""
        own = [0.0 if one < self.least_s else max(one - self.work_s, 0.0) for one in intervals]
        return list(accumulate(own, initial=0.0))


class _Marking(Protocol):
    def mark(self) -> Mark: ...
    def hold(self) -> None: ...
    @property
    def late(self) -> int | None: ...
    def seconds(self, marks: Sequence[Mark]) -> list[float]: ...


def together(clock: _Marking, once: Callable[[], Any], times: int) -> float:
    """Seconds of so many calls in one held queue, with no mark between."""
    clock.hold()
    ends = [clock.mark()]
    for _ in range(times):
        once()
    ends.append(clock.mark())
    return clock.seconds(ends)[-1]


def mark_cost(clock: _Marking, nothing: Callable[[], Any]) -> MarkCost:
    """Measured with the least of kernels, held: many of them marked as operators are, and as many with no mark between.

    `clock` takes no cost off yet. None is taken off where the host is never in time.
    """
    work, empty, bare = [], [], []
    for _ in range(ROUNDS):
        late = clock.late
        clock.hold()
        marks = []
        for _ in range(KERNELS):
            marks.append(clock.mark())
            nothing()
            marks.append(clock.mark())
        reached = clock.seconds(marks)
        intervals = [later - earlier for earlier, later in pairwise(reached)]
        took = together(clock, nothing, KERNELS)
        if clock.late != late:
            continue
        work.append(median(intervals[::2]))
        empty.append(median(intervals[1::2]))
        # One of them has the marks' cost, which is in `work`; the others have none.
        bare.append((took - work[-1]) / (KERNELS - 1))
        if len(work) > TIMES:
            break
    if not work:
        return MarkCost()
    marked, apart, alone = (median(times[1:] or times) for times in (work, empty, bare))  # The first warms up.
    return MarkCost(max(marked - alone, 0.0), (marked + apart) / 2)
