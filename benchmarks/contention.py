"""Is a busy neighbour seen, and a quiet machine left in peace? Two-second windows of a network, quiet and disturbed.

    python -m benchmarks.contention [--windows 100] [--seconds 2]

A window is accused if most of its samples are. Prints misses and false alarms with exact 95 % intervals.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

ARMS = ((1, False), (1, True), (2, False), (2, True))


def windows(threads: int, busy: bool, count: int, seconds: float) -> int:
    """How many windows were accused."""
    import torch

    from analyzer.builder import build
    from analyzer.timing.contention import Contention

    torch.set_num_threads(threads)
    model, x = build("googlenet"), torch.randn(1, 3, 224, 224)
    watch, accused = Contention(threads), 0
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
    try:
        with torch.inference_mode():
            for _ in range(10):
                model(x)
            for _ in range(count):
                end, verdicts = time.perf_counter() + seconds, []
                while time.perf_counter() < end:
                    before = watch.look()
                    model(x)
                    verdicts.append(watch.dirty(before, watch.look()) is not None)
                accused += 2 * sum(verdicts) > len(verdicts)
    finally:
        if neighbour:
            neighbour.kill()
            neighbour.wait()
    return accused


def interval(hits: int, of: int, alpha: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's, by bisection of the binomial tail."""
    from math import comb

    def tail(p: float, most: int) -> float:
        return sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(most + 1))

    def solve(most: int, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle, most) > wanted else (low, middle)
        return low

    return 0.0 if hits == 0 else solve(hits - 1, 1 - alpha / 2), 1.0 if hits == of else solve(hits, alpha / 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    for threads, busy in ARMS:
        accused = windows(threads, busy, asked.windows, asked.seconds)
        wrong = asked.windows - accused if busy else accused
        low, high = interval(wrong, asked.windows)
        what = "busy loop missed" if busy else "quiet machine accused"
        print(
            f"{threads} thread{'s' if threads > 1 else ' '}: {what} {wrong} times in {asked.windows} "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %)",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
