"""What this machine can do at most: matrix products per type and thread count, bandwidth per cache level and in memory.

Ceilings of a roofline, measured then and there. Each is the best median of several shapes: a ceiling is what can be
reached, so the fastest shape counts, but its median, not its luckiest run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from analyzer.frozen import Frozen
from analyzer.timing.roofline import SHARED

SIDES = (512, 1024, 1536)
DTYPES = ("float32", "bfloat16", "float16")
SAMPLES, SAMPLE_S = 5, 0.02
SLOW_S = 0.05
Now = Callable[[], float]
RESOLVED = 2.0  # A call shorter than this many times the call of one element says nothing of bandwidth.


class Peak(Frozen):
    """One ceiling: `value` in FLOP/s or bytes/s, `spread` the range of its samples ÷ the median."""

    name: str
    unit: str
    threads: int
    value: float
    spread: float


def best(rates: Iterable[Sequence[float]]) -> tuple[float, float]:
    """Of several lots of rates the highest median, and that lot's spread."""
    lots = [lot for lot in rates if lot]
    if not lots:
        return 0.0, 0.0
    lot = max(lots, key=median)
    return median(lot), (max(lot) - min(lot)) / median(lot)


def rates(work: float, once: Callable[[], Any], now: Now = time.perf_counter) -> list[float]:
    """Work per second of several samples, each long enough for the clock; the first sample warms up and is dropped."""
    found = []
    for _ in range(SAMPLES + 1):
        start, times = now(), 0
        while now() - start < SAMPLE_S or not times:
            once()
            times += 1
        found.append(work * times / (now() - start))
    return found[1:]


def working_sets(caches: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Bytes that fit each level and not the one below: half of a level, at least twice the level below; then memory."""
    sizes = {one["level"]: one["bytes"] for one in caches if one.get("kind") in ("data", "unified")}
    sets = {f"L{level}": size // 2 for level, size in sorted(sizes.items())}
    return {**sets, "memory": max(4 * max(sizes.values(), default=0), 256 * 2**20)}


def measure(
    threads: Sequence[int],
    caches: Sequence[Mapping[str, Any]],
    tell: Callable[[int, int, str], None] = lambda done, of, label: None,
    *,
    torch: Any = None,
    now: Now = time.perf_counter,
) -> list[Peak]:
    """All ceilings of the CPU, some four seconds a thread count. Imports torch and changes its number of threads."""
    if torch is None:
        import torch  # type: ignore[no-redef, unused-ignore]
    sets = working_sets(caches)
    of, done, found = len(threads) * (len(DTYPES) + 2 * len(sets)), 0, []
    with torch.inference_mode():
        for count in threads:
            torch.set_num_threads(count)
            for dtype in DTYPES:
                tell(done, of, f"matrix product, {dtype}, {count} threads")
                done += 1
                value, spread = best(_products(torch, getattr(torch, dtype), now))
                found.append(Peak(dtype, "FLOP", count, value, spread))
            for level, size in sets.items():
                tell(done, of, f"bandwidth of {level}, {count} threads")
                done += 2
                for kind, lot in _streams(torch, size, count, now):
                    if not lot:
                        continue
                    value, spread = best([lot])
                    found.append(Peak(f"{kind} {level}", "B", count, value, spread))
    return found


def _products(torch: Any, dtype: Any, now: Now) -> Iterable[list[float]]:
    for side in SIDES:
        try:
            left, right = torch.randn(side, side).to(dtype), torch.randn(side, side).to(dtype)
            out = torch.empty(side, side, dtype=dtype)
            torch.mm(left, right, out=out)
            start = now()
            torch.mm(left, right, out=out)
            if (took := now() - start) > SLOW_S * (side / SIDES[0]) ** 3:
                yield [2 * side**3 / took]  # Emulated: one sample says so, and larger ones would take long.
                return
            yield rates(2 * side**3, lambda: torch.mm(left, right, out=out), now)  # noqa: B023 – called at once
        except RuntimeError:
            return  # The type has no matrix product here.


def _streams(torch: Any, size: int, threads: int, now: Now) -> list[tuple[str, list[float]]]:
    """Copy moves 2 bytes a byte, triad (a = b + s · c) 3; the buffers together are the working set.

    What a call costs by itself is taken off. A level that is too small to be seen beside it has no rates: with
    operators of torch that is L1 on most machines.
    """

    def calls(kind: str, count: int) -> list[float]:
        a, b, c = (torch.zeros(count) for _ in range(3))
        once = (lambda: a.copy_(b)) if kind == "copy" else (lambda: torch.add(b, c, alpha=3.0, out=a))
        return [1 / rate for rate in rates(1, once, now)]

    found = []
    private = threads if size < SHARED else 1
    for kind, buffers in (("copy", 2), ("triad", 3)):
        count = size * private // (4 * buffers)
        empty = median(calls(kind, 1))
        times = calls(kind, count)
        seen = median(times) >= RESOLVED * empty
        found.append((kind, [buffers * 4 * count / (time - empty) for time in times] if seen else []))
    return found
