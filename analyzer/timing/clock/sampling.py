"""Warms up until times are steady, then samples several measurements interleaved, until enough are undisturbed.

Independent of torch and of real time: passes, the clock and the watch are parameters.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any, Protocol

from analyzer.core.frozen import Frozen

STEADY = 0.02  # Warm when the median of the last window differs by at most this from the window before.
WINDOW = 5  # Passes.


class Watch(Protocol):
    """Detects load from other processes during a sample."""

    def snapshot(self) -> Any: ...

    def disturbance(self, before: Any, after: Any) -> str | None:
        """Why the sample between two snapshots cannot be trusted, or None."""
        ...


class StopSampling(Exception):
    """Raised by a measurement that must stop; later rounds skip it."""


class Sample(Frozen):
    """One sample of a measurement: seconds, or the measurement's own result, and the disturbance."""

    measurement: str
    seconds: Any
    disturbance: str | None = None


def warm_up(run: Callable[[], float], now: Callable[[], float], *, budget_s: float) -> tuple[float, ...]:
    """Runs passes until two windows agree or the budget is spent, at least three passes. Returns their seconds."""
    end = now() + budget_s
    times: list[float] = []
    while len(times) < 3 or (now() < end and not _steady(times)):
        times.append(run())
    return tuple(times)


def _steady(times: Sequence[float]) -> bool:
    if len(times) < 2 * WINDOW:
        return False
    before, after = median(times[-2 * WINDOW : -WINDOW]), median(times[-WINDOW:])
    return abs(after - before) <= STEADY * before


def sample_interleaved(
    measurements: Mapping[str, Callable[[], Any]],
    now: Callable[[], float],
    watch: Watch,
    *,
    budget_s: float,
    min_samples: int,
    max_samples: int,
    order: random.Random,
) -> Iterator[Sample]:
    """Yields one sample of each measurement per round, in random order, disturbed samples included.

    Runs at least `min_samples` rounds, then until each measurement has `max_samples` undisturbed samples or the budget
    is spent.
    """
    end = now() + budget_s
    clean = dict.fromkeys(measurements, 0)
    rounds = 0
    while clean and (rounds < min_samples or (now() < end and min(clean.values()) < max_samples)):
        for name in order.sample(list(clean), len(clean)):
            before = watch.snapshot()
            try:
                seconds = measurements[name]()
            except StopSampling:
                del clean[name]
                continue
            disturbance = watch.disturbance(before, watch.snapshot())
            clean[name] += disturbance is None
            yield Sample(name, seconds, disturbance)
        rounds += 1


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Collects garbage now, and not during a sample."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
