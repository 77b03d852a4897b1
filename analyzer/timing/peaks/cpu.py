"""What the processor can do at most: matrix products per type and thread count, bandwidth per cache level and memory.

Ceilings of a roofline, measured then and there. Each is the best median of several shapes: a ceiling is what can be
reached, so the fastest shape counts, but its median, not its luckiest run. A neighbour makes them too low, and every
part would seem to reach more of its bound: disturbed samples are taken again, and what stays disturbed is void.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Quality
from analyzer.timing.clock.sampling import Watch
from analyzer.timing.machine.contention import Contention
from analyzer.timing.machine.roofline import SHARED

SIDES = (512, 1024, 1536)
DTYPES = ("float32", "float64", "bfloat16", "float16")
SAMPLES, SAMPLE_S = 5, 0.02
ENOUGH = 3  # Clean samples of a lot.
SPARE_S = 6.0  # For samples taken again, all peaks together.
SLOW_PER_S = 5e9  # FLOP/s of one product below which a type is emulated, and is not asked for more.
Now = Callable[[], float]
Runs = Callable[[Callable[[], Any], float], tuple[int, float]]  # Calls something for so long → how often, seconds.
RESOLVED = 2.0  # A call shorter than this many times the call of one element says nothing of bandwidth.


class Peak(Frozen):
    """One ceiling: `value` in FLOP/s or bytes/s, `spread` the range of its samples ÷ the median.

    `quality` is trusted or void: something else used the machine, `reason` says what, and the value is too low.
    `device` is "cpu" or the name of a GPU, which has no `threads`.
    """

    name: str
    unit: str
    threads: int
    value: float
    spread: float
    quality: Quality = "trusted"
    reason: str = ""
    device: str = "cpu"


class Lot(Frozen):
    """Samples of one thing, as work per second; `disturbed`: why, where too few of them are clean."""

    rates: tuple[float, ...]
    disturbed: str = ""


class Meter:
    """Takes samples, watched as those of a pass are; disturbed ones again, while `spare_s` for all of them lasts."""

    def __init__(self, runs: Runs, watch: Watch, spare_s: float = SPARE_S) -> None:
        self.runs, self.watch, self.spare_s = runs, watch, spare_s

    def lot(self, work: float, once: Callable[[], Any]) -> Lot:
        """Several samples, each long enough for the clock; the first warms up and is dropped."""
        self.sample(work, once)
        clean: list[float] = []
        dirty: list[tuple[float, str]] = []
        while len(clean) < SAMPLES and (len(clean) + len(dirty) < SAMPLES or self.spare_s > 0):
            rate, why = self.sample(work, once)
            if why is None:
                clean.append(rate)
            else:
                dirty.append((rate, why))
        if len(clean) >= ENOUGH:
            return Lot(tuple(clean))
        why = Counter(why for _, why in dirty).most_common(1)[0][0]
        return Lot((*clean, *(rate for rate, _ in dirty)), why)

    def sample(self, work: float, once: Callable[[], Any], at_least_s: float = SAMPLE_S) -> tuple[float, str | None]:
        """Work per second, and why it is not to be trusted."""
        before = self.watch.look()
        times, took = self.runs(once, at_least_s)
        why = self.watch.dirty(before, self.watch.look())
        self.spare_s -= took if why else 0
        return work * times / took, why


def on_host(now: Now) -> Runs:
    """Call after call, by the host's clock."""

    def run(once: Callable[[], Any], at_least_s: float) -> tuple[int, float]:
        start, times = now(), 0
        while now() - start < at_least_s or not times:
            once()
            times += 1
        return times, now() - start

    return run


def best(lots: Iterable[Lot]) -> Lot:
    """The one with the highest median, of the undisturbed ones if there are any."""
    some = [lot for lot in lots if lot.rates]
    clean = [lot for lot in some if not lot.disturbed]
    return max(clean or some, key=lambda lot: median(lot.rates), default=Lot(()))


def peak(name: str, unit: str, threads: int, lot: Lot) -> Peak:
    if not lot.rates:
        return Peak(name, unit, threads, 0.0, 0.0)
    middle = median(lot.rates)
    spread = (max(lot.rates) - min(lot.rates)) / middle
    return Peak(name, unit, threads, middle, spread, "void" if lot.disturbed else "trusted", lot.disturbed)


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
    watch: Callable[[int], Watch] = Contention,
) -> list[Peak]:
    """All ceilings of the CPU, some four seconds a thread count. Imports torch and changes its number of threads."""
    if torch is None:
        import torch  # type: ignore[no-redef, unused-ignore]
    sets = working_sets(caches)
    of, done, found = len(threads) * (len(DTYPES) + 2 * len(sets)), 0, []
    spare_s = SPARE_S
    with torch.inference_mode():
        for count in threads:
            torch.set_num_threads(count)
            meter, label = Meter(on_host(now), watch(count), spare_s), f"{count} thread{'s' if count > 1 else ''}"
            for dtype in DTYPES:
                tell(done, of, f"matrix product, {dtype}, {label}")
                done += 1
                found.append(peak(dtype, "FLOP", count, best(products(torch, getattr(torch, dtype), meter))))
            for level, size in sets.items():
                tell(done, of, f"bandwidth of {level}, {label}")
                done += 2
                lots = streams(torch, size * (count if size < SHARED else 1), meter)
                found += [peak(f"{kind} {level}", "B", count, lot) for kind, lot in lots if lot.rates]
            spare_s = meter.spare_s
    return found


def products(torch: Any, dtype: Any, meter: Meter, sides: Sequence[int] = SIDES, **where: Any) -> Iterable[Lot]:
    """A lot a size, of square matrices; none of a type that has no product here."""
    for side in sides:
        try:
            left, right = (torch.randn(side, side, **where).to(dtype) for _ in range(2))
            out = torch.empty(side, side, dtype=dtype, **where)

            def once(left: Any = left, right: Any = right, out: Any = out) -> None:
                torch.mm(left, right, out=out)

            once()
            rate, why = meter.sample(2 * side**3, once, at_least_s=0)
        except RuntimeError:
            return  # The type has no matrix product here, or no memory is left for a larger one.
        if rate < SLOW_PER_S:
            yield Lot((rate,), why or "")  # Emulated: one sample says so, and larger ones would take long.
            return
        yield meter.lot(2 * side**3, once)


def streams(torch: Any, size: int, meter: Meter, **where: Any) -> list[tuple[str, Lot]]:
    """Copy moves 2 bytes a byte, triad (a = b + s · c) 3; the buffers together are the working set of `size` bytes.

    What a call costs by itself is taken off. A level that is too small to be seen beside it has no rates: with
    operators of torch that is L1 on most machines.
    """

    def calls(kind: str, count: int) -> tuple[list[float], str]:
        a, b, c = (torch.zeros(count, **where) for _ in range(3))
        once = (lambda: a.copy_(b)) if kind == "copy" else (lambda: torch.add(b, c, alpha=3.0, out=a))
        lot = meter.lot(1, once)
        return [1 / rate for rate in lot.rates], lot.disturbed

    found = []
    for kind, buffers in (("copy", 2), ("triad", 3)):
        count = size // (4 * buffers)
        empties, why = calls(kind, 1)
        times, why_too = calls(kind, count)
        empty = median(empties)
        seen = median(times) >= RESOLVED * empty
        rates = tuple(buffers * 4 * count / (time - empty) for time in times if time > empty) if seen else ()
        found.append((kind, Lot(rates, why_too or why)))
    return found
