"""Latency under load: requests arrive at random times, whether or not earlier ones have been served.

Such an open loop with Poisson arrivals has the queues that users of a service meet. Latency counts from the scheduled
arrival: counting from the start of a request would leave out its wait, exactly when the queue is long ("coordinated
omission", Tene 2013). Requests are served one at a time, in their order.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from analyzer.timing.load_options import LatencyLimit
from analyzer.timing.passes.timed_pass import ProfileRow

MIN_REQUESTS = 300  # So that a p99 has three requests above it.
MIN_S, MAX_S = 1.0, 12.0  # Of one load.
SPIN_S = (
    0.3e-3  # Before an arrival the process stops sleeping: a timer wakes it late by up to a tenth of a millisecond.
)
PROBES = 6
OVERLOAD = 0.98  # Of the time that a server is busy. Above, the queue grows for as long as the load lasts.


def load_rows(
    serve: Callable[[], object],
    service_s: float,
    rates: Sequence[float],
    limit: LatencyLimit | None,
    order: random.Random,
) -> list[ProfileRow]:
    """A row of kind "latency" per load, its rate as the operator: those asked for, and the probes for `limit`."""
    rows = [_row(rate, latencies(serve, rate, order)) for rate in rates]
    if limit:
        rows += [_row(rate, taken) for rate, taken in probes(serve, service_s, limit, order)]
    return rows


def _row(rate: float, taken: list[float]) -> ProfileRow:
    return "", f"{rate:.4g}/s", 1, "latency", "pass", taken


def probes(
    serve: Callable[[], object], service_s: float, limit: LatencyLimit, order: random.Random
) -> list[tuple[float, list[float]]]:
    """Loads by bisection of the utilization: the highest that kept the limit and the lowest that broke it close in."""
    low, high = 0.0, OVERLOAD
    probed = []
    for _ in range(PROBES):
        utilization = (low + high) / 2
        rate = float(f"{utilization / service_s:.4g}")
        taken = latencies(serve, rate, order)
        probed.append((rate, taken))
        if within(taken, limit):
            low = utilization
        else:
            high = utilization
    return probed


def within(taken: Sequence[float], limit: LatencyLimit) -> bool:
    return sum(latency <= limit.seconds for latency in taken) >= limit.share * len(taken)


def latencies(
    serve: Callable[[], object],
    rate: float,
    order: random.Random,
    *,
    now: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> list[float]:
    """Seconds from each scheduled arrival to the end of its service, in the order of arrival.

    As many arrivals as fall into the time of MIN_REQUESTS, between MIN_S and MAX_S; at least one.
    """
    duration_s = min(max(MIN_REQUESTS / rate, MIN_S), MAX_S)
    arrivals, at = list[float](), order.expovariate(rate)
    while at < duration_s or not arrivals:
        arrivals.append(at)
        at += order.expovariate(rate)
    taken, start = list[float](), now()
    for arrival in arrivals:
        while (wait_s := start + arrival - now()) > 0:
            if wait_s > SPIN_S:
                sleep(wait_s - SPIN_S)
        serve()
        taken.append(now() - start - arrival)
        if now() - start > 2 * duration_s:
            break  # The queue grows; later requests would only wait longer.
    return taken
