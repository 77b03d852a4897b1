"""What is sampled in turn of one measurement: the pass as it is issued, on a device alone, and cut into operators.

A held pass that was not issued in time is a disturbed sample as any other, and is taken again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from analyzer.timing.clock.clocks import Clock
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.page_faults import Paging
from analyzer.timing.passes.timed_pass import Changed, Key, Pass

TRIES = 3  # To issue a pass in time. Each that was late makes the next hold longer.
LATE = "the host did not issue it in time"
Say = Callable[[Sequence[Key], str], None]


class InTime:
    """A watch that sees too whether held passes were issued in time."""

    def __init__(self, watch: Watch, clock: Clock) -> None:
        self.watch, self.clock = watch, clock

    def look(self) -> Any:
        return self.clock.late, self.watch.look()

    def dirty(self, before: Any, after: Any) -> str | None:
        return self.watch.dirty(before[1], after[1]) or (LATE if before[0] != after[0] else None)


class Arms:
    """`say` is told what the parts of a cut pass are called; once more, with the reason, if they cease to be known."""

    def __init__(self, passed: Pass, clock: Clock, say: Say) -> None:
        self.passed, self.clock, self.say = passed, clock, say
        self.keys: list[Key] = []
        self.paging = Paging()
        self.shares: list[float] = []
        self.ahead: bool | None = None  # Whether cut passes are issued in time; None where nothing is held.

    def found(self, *, cut: bool) -> dict[str, Callable[[], Any]]:
        """Those that this model and clock allow, by name. What is held is tried before."""
        arms: dict[str, Callable[[], Any]] = {"whole": self.whole}
        holds, alone = self.clock.late is not None, self._in_time(self.device)
        try:
            if cut and holds:
                self.ahead = alone and self._in_time(self.passed.cut)
                if not self.ahead:
                    self.clock.let_go()  # Of two that cannot be held against each other, neither is.
            if alone and self.ahead is not False:
                arms["device"] = self.device
            if cut:
                self.keys += self.passed.cut()
                arms["cut"] = self.cut
            self.say(self.keys, "")
        except Changed as error:
            self._uncut(error)
        return arms

    def whole(self) -> float:
        seconds = self.paging.watched(self.passed.whole)
        if self.clock.launch_share is not None:
            self.shares.append(self.clock.launch_share)
        return seconds

    def device(self) -> float:
        return self.passed.whole(held=True)

    def cut(self) -> list[float]:
        try:
            return _in_order(self.passed.cut(), self.keys)
        except Changed as error:
            self._uncut(error)
            raise

    def seen(self) -> dict[str, Any]:
        """Beside the samples: the clock's `launch_share` of whole passes, whether cut ones were in time, and paging."""
        shared = {"launch_share": median(self.shares) if self.shares else None, "ahead": self.ahead}
        return shared | (self.paging.told() if self.clock.launch_share is None else {})

    def _in_time(self, once: Callable[[], Any]) -> bool:
        """Whether a held pass can be issued in time, and takes any. Never of a clock that cannot hold."""
        for _ in range(TRIES if self.clock.late is not None else 0):
            late = self.clock.late
            if once() and self.clock.late == late:
                return True
        return False

    def _uncut(self, error: Changed) -> None:
        self.say([], f"not cut into operators: {error}")


def _in_order(times: Mapping[Key, float], keys: Sequence[Key]) -> list[float]:
    if times.keys() != set(keys):
        raise Changed("the operators of a pass change from pass to pass")
    return [times[key] for key in keys]
