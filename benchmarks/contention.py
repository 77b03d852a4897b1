"""Error rates of the contention check: busy loops missed, quiet machines reported, in windows of two seconds.

    python -m benchmarks.contention [--windows 100] [--seconds 2] [--threads 1,2] [--keep FILE]

The busy loop is another process on the last processor that we may use: it competes only if the network uses every
processor. Quiet and busy windows are interleaved. A window is accused if the quality of its samples is not `trusted`.
The processor time of all other processes shows whether a quiet window really was quiet; windows that were not are
reported separately. --windows is per thread count, quiet and busy. With --keep, windows are kept in a file, and an
interrupted run continues.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from benchmarks.common import append_line, load_lines, parse_options, rate

MAX_QUIET = 0.02  # Share of one processor's time that all other processes together may use in a quiet window.
MIN_CLEAN = 1  # So that a slow window with few samples does not count as disturbed.
LOOP = """
import os, sys
parent = os.getppid()
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(sys.argv[1])})
while os.getppid() == parent:  # Also a benchmark that a signal kills leaves no loop.
    for _ in range(10**6):
        pass
"""


@contextmanager
def busy_loop(processor: int) -> Iterator[int]:
    """Runs a busy loop in another process; yields its id."""
    process = subprocess.Popen([sys.executable, "-c", LOOP, str(processor)])
    try:
        time.sleep(0.3)  # Until it runs on its processor.
        yield process.pid
    finally:
        process.kill()
        process.wait()


def used_by_others_s(excluded: Sequence[int]) -> float:
    """CPU time in seconds that all processes except `excluded` have used so far, including ended children."""
    ticks = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal() and int(folder.name) not in excluded:
            with suppress(OSError, ValueError, IndexError):  # The process has ended.
                fields = (folder / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


class Workload:
    """Passes of GoogLeNet, watched as `analyze time` watches them."""

    def __init__(self) -> None:
        import torch

        from analyzer.models.spec_to_module import build

        self.torch = torch
        self.model, self.x = build("googlenet"), torch.randn(1, 3, 224, 224)

    def window(self, threads: int, seconds: float) -> dict[str, Any]:
        """One window: quality and its reason, samples, disturbed samples, and the processors that others used."""
        from analyzer.timing.driver.quality import contention_quality
        from analyzer.timing.machine.contention import Contention

        self.torch.set_num_threads(threads)
        with self.torch.inference_mode():
            for _ in range(5):
                self.model(self.x)
            watch, samples = Contention(threads), []
            used_s, start = used_by_others_s([os.getpid()]), time.perf_counter()
            while time.perf_counter() - start < seconds:
                before, pass_start = watch.snapshot(), time.perf_counter()
                self.model(self.x)
                pass_s = time.perf_counter() - pass_start
                samples.append((pass_s, watch.disturbance(before, watch.snapshot())))
            others = (used_by_others_s([os.getpid()]) - used_s) / (time.perf_counter() - start)
        quality, reason = contention_quality([samples], MIN_CLEAN)
        disturbed = sum(disturbance is not None for _, disturbance in samples)
        counts = {"samples": len(samples), "disturbed": disturbed, "others": round(others, 4)}
        return {"quality": quality, "reason": reason, **counts}


def summary(threads: int, busy: bool, windows: Sequence[dict[str, Any]]) -> list[str]:
    """Lines for the windows of one thread count, quiet or busy."""
    head = f"{threads} thread{'s' if threads > 1 else ' '}:"
    if busy:
        missed = sum(window["quality"] == "trusted" for window in windows)
        return [f"{head} busy loop missed {rate(missed, len(windows))}"]
    # The difference is negative if a process ended whose parent did not wait for it.
    quiet = [window for window in windows if abs(window["others"]) <= MAX_QUIET]
    loud = [window for window in windows if abs(window["others"]) > MAX_QUIET]
    lines = [f"{head} quiet machine accused {rate(_accused(quiet), len(quiet))}"]
    if loud:
        limit = f"others above {MAX_QUIET:.0%}"
        lines.append(f"{'':>10} {len(loud)} more windows were not quiet ({limit}); {_accused(loud)} accused")
    return lines


def _accused(windows: Sequence[dict[str, Any]]) -> int:
    return sum(window["quality"] != "trusted" for window in windows)


def main() -> None:
    options = parse_options(__doc__, windows=100, seconds=2.0, threads="1,2", keep=Path)
    conditions: dict[tuple[int, bool], list[dict[str, Any]]] = {
        (int(threads), busy): [] for threads in options.threads.split(",") for busy in (False, True)
    }
    for window in load_lines(options.keep):
        if (window["threads"], window["busy"]) in conditions and window["seconds"] == options.seconds:
            conditions[window["threads"], window["busy"]].append(window)
    workload, last = Workload(), max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
    with suppress(KeyboardInterrupt):
        for number in range(options.windows):
            for (threads, busy), windows in conditions.items():
                if len(windows) > number:
                    continue
                with busy_loop(last) if busy else nullcontext():
                    window = workload.window(threads, options.seconds)
                windows.append({"threads": threads, "busy": busy, "seconds": options.seconds, **window})
                append_line(options.keep, windows[-1])
    for (threads, busy), windows in conditions.items():
        print("\n".join(summary(threads, busy, windows)), flush=True)


if __name__ == "__main__":
    main()
