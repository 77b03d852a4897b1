"""What is sampled in turn of one cell: the pass as it is issued, on a device alone, and cut into operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any, TypeVar

from analyzer.timing.clock import Clock
from analyzer.timing.paging import Paging
from analyzer.timing.passes import Changed, Key, Pass

TRIES = 3  # To issue a pass in time. Each that was late makes the next hold longer.
Say = Callable[[Sequence[Key], str], None]
T = TypeVar("T")


class Arms:
    """`say` is told what the parts of a cut pass are called; once more, with the reason, if they cease to be known."""

    def __init__(self, passed: Pass, clock: Clock, say: Say) -> None:
        self.passed, self.clock, self.say = passed, clock, say
        self.keys: list[Key] = []
        self.paging = Paging()
        self.shares: list[float] = []
        self.ahead: bool | None = None  # Whether cut passes are issued in time; None where nothing is held.

    def found(self, *, cut: bool) -> dict[str, Callable[[], Any]]:
        """Those that this model and clock allow, by name. Each is tried once or more before."""
        holds = self.clock.late is not None
        arms: dict[str, Callable[[], Any]] = {"whole": self.whole}
        if holds and self._tried(partial(self.passed.whole, held=True))[1]:
            arms["device"] = self.device
        try:
            if cut and holds:
                self.ahead = self._tried(self.passed.cut)[1]
                if not self.ahead:
                    self.clock.let_go()
                    arms.pop("device", None)  # What it is cut into waits for the host, and does not add up to it.
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
        return self._tried(partial(self.passed.whole, held=True))[0]

    def cut(self) -> list[float]:
        try:
            return _in_order(self._tried(self.passed.cut)[0], self.keys)
        except Changed as error:
            self._uncut(error)
            raise

    def seen(self) -> dict[str, Any]:
        """Beside the samples: the clock's `launch_share` of whole passes, whether cut ones were in time, and paging."""
        shared = {"launch_share": median(self.shares) if self.shares else None, "ahead": self.ahead}
        return shared | (self.paging.told() if self.clock.launch_share is None else {})

    def _tried(self, once: Callable[[], T]) -> tuple[T, bool]:
        """What a pass gave, and whether it was issued in time."""
        for _ in range(TRIES):
            late = self.clock.late
            found = once()
            if in_time := self.clock.late == late:
                break
        return found, in_time

    def _uncut(self, error: Changed) -> None:
        self.say([], f"not cut into operators: {error}")


def _in_order(times: Mapping[Key, float], keys: Sequence[Key]) -> list[float]:
    if times.keys() != set(keys):
        raise Changed("the operators of a pass change from pass to pass")
    return [times[key] for key in keys]
