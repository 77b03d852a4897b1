"""Is a busy neighbour seen, and a quiet machine left in peace? Two-second windows of a network, quiet and disturbed.

    python -m benchmarks.contention [--windows 100] [--seconds 2] [--threads 1,2] [--keep FILE]

The neighbour is a busy loop of another process on the last processor that we may use: beside one thread it has a core
of its own, beside as many threads as processors it competes. Arms take turns, window by window. A window is accused if
the quality that `analyze time` gives to its samples is not `trusted`. Whether a quiet window really was quiet is asked
of another witness, the processor time of every other process; windows that were not are counted apart, with what became
of them. With --keep, windows are kept in a file and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from math import comb
from pathlib import Path
from typing import Any

QUIET = 0.02  # Of one processor's time: what all other processes together may take in a quiet window.
FLOOR = 1  # A slow window with few samples must not count as accused for that.
LOOP = (
    "import os, sys\nif hasattr(os, 'sched_setaffinity'): os.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"
)


@contextmanager
def neighbour(processor: int) -> Iterator[int]:
    """A busy loop of another process; gives its number."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, str(processor)])
    try:
        time.sleep(0.3)  # It has started and stays where it is.
        yield process.pid
    finally:
        process.kill()
        process.wait()


def others_s(but: Sequence[int]) -> float:
    """Processor time that all other processes have used so far, in seconds.

    With their children's that were waited for, so that what a process used is not lost when it ends.
    """
    total = 0
    for place in Path("/proc").iterdir():
        if place.name.isdecimal() and int(place.name) not in but:
            with suppress(OSError, ValueError, IndexError):  # It ended meanwhile.
                fields = (place / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
                total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


class Workload:
    """GoogLeNet's passes at a number of threads, watched as `analyze time` watches them."""

    def __init__(self) -> None:
        import torch

        from analyzer.models.builder import build

        self.torch = torch
        self.model, self.x = build("googlenet"), torch.randn(1, 3, 224, 224)

    def window(self, threads: int, seconds: float) -> dict[str, Any]:
        """One window: its quality, why, how many samples were dirty, and what other processes used meanwhile."""
        from analyzer.timing.driver.quality import contention_quality
        from analyzer.timing.machine.contention import Contention

        self.torch.set_num_threads(threads)
        with self.torch.inference_mode():
            for _ in range(5):
                self.model(self.x)
            watch, lot = Contention(threads), []
            before_s, start = others_s([os.getpid()]), time.perf_counter()
            while time.perf_counter() - start < seconds:
                before, began = watch.look(), time.perf_counter()
                self.model(self.x)
                took = time.perf_counter() - began
                lot.append((took, watch.dirty(before, watch.look())))
            used = (others_s([os.getpid()]) - before_s) / (time.perf_counter() - start)
        quality, reason = contention_quality([lot], FLOOR)
        dirty = sum(why is not None for _, why in lot)
        return {"quality": quality, "reason": reason, "samples": len(lot), "dirty": dirty, "others": round(used, 4)}


def interval(hits: int, of: int, alpha: float = 0.05) -> tuple[float, float]:
    """Clopper and Pearson's, by bisection of the binomial tail."""

    def tail(p: float, most: int) -> float:
        return sum(comb(of, k) * p**k * (1 - p) ** (of - k) for k in range(most + 1))

    def solve(most: int, wanted: float) -> float:
        low, high = 0.0, 1.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if tail(middle, most) > wanted else (low, middle)
        return low

    return 0.0 if hits == 0 else solve(hits - 1, 1 - alpha / 2), 1.0 if hits == of else solve(hits, alpha / 2)


def summary(threads: int, busy: bool, windows: Sequence[dict[str, Any]]) -> list[str]:
    """What an arm shows, in words. A quiet arm's windows that were not quiet are told apart."""
    head = f"{threads} thread{'s' if threads > 1 else ' '}:"
    if busy:
        missed = sum(one["quality"] == "trusted" for one in windows)
        return [f"{head} busy loop missed {_times(missed, len(windows))}"]
    quiet = [one for one in windows if abs(one["others"]) <= QUIET]  # Below 0 something ended that nobody waited for.
    loud = [one for one in windows if abs(one["others"]) > QUIET]
    lines = [f"{head} quiet machine accused {_times(sum(one['quality'] != 'trusted' for one in quiet), len(quiet))}"]
    if loud:
        found = sum(one["quality"] != "trusted" for one in loud)
        lines.append(f"{'':>10} {len(loud)} more windows were not quiet (others above {QUIET:.0%}); {found} accused")
    return lines


def _times(count: int, of: int) -> str:
    if not of:
        return "in no window: there was none"
    low, high = interval(count, of)
    return f"{count} times in {of} (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=100, help="an arm")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--threads", type=lambda text: [int(part) for part in text.split(",")], default=[1, 2])
    parser.add_argument("--keep", type=Path, help="a line a window; windows that are there are not taken again")
    asked = parser.parse_args()
    arms: dict[tuple[int, bool], list[dict[str, Any]]] = {
        (n, busy): [] for n in asked.threads for busy in (False, True)
    }
    if asked.keep and asked.keep.exists():
        for line in asked.keep.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            if (one["threads"], one["busy"]) in arms and one["seconds"] == asked.seconds:
                arms[one["threads"], one["busy"]].append(one)
    workload, last = Workload(), max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    with suppress(KeyboardInterrupt):
        for number in range(asked.windows):
            for (threads, busy), windows in arms.items():
                if len(windows) > number:
                    continue
                if busy:
                    with neighbour(last):
                        one = workload.window(threads, asked.seconds)
                else:
                    one = workload.window(threads, asked.seconds)
                windows.append({"threads": threads, "busy": busy, "seconds": asked.seconds, **one})
                if asked.keep:
                    with asked.keep.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(windows[-1]) + "\n")
    for (threads, busy), windows in arms.items():
        print("\n".join(summary(threads, busy, windows)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
