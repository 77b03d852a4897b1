"""Taking samples: warm up until steady, then whole and cut passes in turn, each watched, the dirty ones taken again.

Nothing here knows torch or a clock of its own: passes, the clock and the watch are handed in.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Protocol

from analyzer.core.frozen import Frozen

STEADY = 0.02  # Warm when the median of five passes is within this of the five before.
WINDOW = 5


class Watch(Protocol):
    """What else the machine did while a sample was taken."""

    def look(self) -> Any: ...

    def dirty(self, before: Any, after: Any) -> str | None:
        """Why the sample between the two looks is not to be trusted, or None."""
        ...


class Over(Exception):
    """What an arm raises that cannot go on: the rounds that follow do without it."""


class Sample(Frozen):
    """What one pass took: seconds by arm's own key, and why it is void if it is."""

    arm: str
    seconds: Any
    dirty: str | None = None


def warm_up(once: Callable[[], float], now: Callable[[], float], *, budget_s: float) -> tuple[float, ...]:
    """Runs passes until two windows of them agree, or a budget is spent; at least three. Returns their times."""
    end = now() + budget_s
    times: list[float] = []
    while len(times) < 3 or (now() < end and not _steady(times)):
        times.append(once())
    return tuple(times)


def _steady(times: Sequence[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before, after = median(times[-2 * WINDOW : -WINDOW]), median(times[-WINDOW:])
    return abs(after - before) <= STEADY * before


def samples(
    arms: Mapping[str, Callable[[], Any]],
    now: Callable[[], float],
    watch: Watch,
    *,
    budget_s: float,
    floor: int,
    ceiling: int,
    order: random.Random,
) -> Iterator[Sample]:
    """Every arm once a round, in random order, until each has `ceiling` clean samples or the budget is spent.

    At least `floor` rounds are run. A dirty sample is handed out as such, and taken again as long as there is budget.
    """
    end = now() + budget_s
    clean = dict.fromkeys(arms, 0)
    rounds = 0
    while clean and (rounds < floor or (now() < end and min(clean.values()) < ceiling)):
        for arm in order.sample(list(clean), len(clean)):
            before = watch.look()
            try:
                seconds = arms[arm]()
            except Over:
                del clean[arm]
                continue
            dirty = watch.dirty(before, watch.look())
            clean[arm] += dirty is None
            yield Sample(arm, seconds, dirty)
        rounds += 1


@contextmanager
def undisturbed() -> Iterator[None]:
    """No garbage collection in the middle of a sample."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
