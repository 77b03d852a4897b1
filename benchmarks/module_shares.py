"""Is a module's share of a pass the time that deleting the module saves? Ten modules, one thread.

    python -m benchmarks.module_shares [--rounds 10] [--seconds 0.5]

Each round times the model, and the model without each module, in a plain loop and by the worker of `analyze time`,
every one in a new process that keeps freed memory, in random order: without it, whether passes have page faults would
depend on which module is deleted. Forked processes would all have one memory layout, whose effect of some percent no
number of rounds averages out. Ten rounds take about 12 minutes.

A share and a saving agree if the 95 % interval of their difference over the rounds includes 0. The other modules may
take less or more time without the deleted one, which leaves other data in the caches. The column `others` has this
change, as the worker times it: the share and this change together are what the deletion saves.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from analyzer.records.timings import Configuration
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options
from benchmarks.fresh_processes import fresh

# Buffers of this size do not start at equal offsets of a page: there, reads wait for writes to another page, in some
# modules more than in others, and deleting a module exchanges the buffers of all that follow.
CHANNELS, SIZE = 32, 41
MODULES = 10
MIN_AGREEMENT = 0.01  # Of the pass: shares that differ by less agree, whatever their interval.


def model(without: int = -1) -> Any:
    """Ten modules that keep the shape, so that each can be deleted.

    None of them is faster for some values than for others: MaxPool2d, whose comparisons branch, took 3.6 % less time
    without the convolution before it, which would count as that convolution's.
    """
    from torch import nn

    modules = [
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS), nn.ReLU(),
        nn.Conv2d(CHANNELS, CHANNELS, 1), nn.GELU(), nn.AvgPool2d(3, 1, 1),
        nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS), nn.GroupNorm(8, CHANNELS),
        nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2), nn.Softmax(dim=1),
    ]  # fmt: skip
    return nn.Sequential(*(module for number, module in enumerate(modules) if number != without)).eval()


def loop(without: int, seconds: float) -> dict[str, Any]:
    """Median seconds of a pass without one module."""
    import torch

    torch.set_num_threads(1)
    network, x, times = model(without), torch.randn(1, CHANNELS, SIZE, SIZE), []
    with torch.inference_mode():
        for _ in range(5):
            network(x)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            network(x)
            times.append(time.perf_counter() - start)
    return {"pass_s": median(times)}


def operator_times(without: int, seconds: float, seed: int) -> dict[str, Any]:
    """Seconds of each module of the model without one, of means over the interquartile passes, by one worker."""
    from analyzer.core.serialize import to_json
    from analyzer.timing.driver.build_measurement import build_measurement
    from analyzer.timing.request import Request
    from analyzer.timing.worker.timing_task import handle
    from analyzer.worker.reply import Reply

    request = Request(
        Configuration(threads=1), reference=f"{Path(__file__).resolve()}:model(without={without})",
        inputs=(f"{CHANNELS}x{SIZE}x{SIZE}",), budget_s=4 * seconds, seed=seed,
    )  # fmt: skip
    lines: list[dict[str, Any]] = []
    done = handle(json.loads(json.dumps(to_json(request))), lambda line: lines.append(dict(line)))
    kept = [
        {**line, "samples": [[name, taken, None] for name, taken, _ in line["samples"]]}
        if line["event"] == "samples" else line
        for line in lines
    ]  # fmt: skip
    times: dict[str, float] = defaultdict(float)
    for timing, time_s in build_measurement(request, [Reply((*kept, dict(done)), "done")]).operator_times_s.items():
        position = int(timing.path) if timing.path else -1  # -1 is the overhead of the whole model.
        times[str(position + (0 <= without <= position))] += time_s
    return times


def main() -> None:
    options = parse_options(__doc__, rounds=10, seconds=0.5)
    share, others, saved = (defaultdict[int, list[float]](list) for _ in range(3))
    order = random.Random(0)
    for number in range(options.rounds):
        passes: dict[int, float] = {}
        times: dict[int, dict[str, float]] = {}
        for without in order.sample(range(-1, MODULES), MODULES + 1):
            passes[without] = fresh(partial(loop, without, options.seconds))["pass_s"]
            times[without] = fresh(partial(operator_times, without, options.seconds, number))
        whole = sum(times[-1].values())
        for module in range(MODULES):
            module_s = times[-1].get(str(module), 0.0)
            share[module].append(module_s / whole)
            others[module].append((whole - module_s - sum(times[module].values())) / whole)
            saved[module].append(1 - passes[module] / passes[-1])
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    agree = [0, 0]
    print(f"{'module':20} {'share':>7} {'others':>7} {'deleted':>8}   share - deleted, share + others - deleted")
    for module, name in enumerate(type(layer).__name__ for layer in model()):
        texts = []
        for column, claimed in enumerate((np.array(share[module]), np.array(share[module]) + others[module])):
            low, high = bootstrap_median([np.array([value]) for value in claimed - saved[module]])
            agrees = low <= 0 <= high or max(abs(low), abs(high)) <= MIN_AGREEMENT
            agree[column] += agrees
            texts.append(f"{100 * low:+5.1f} to {100 * high:+.1f} %{'  ' if agrees else ' *'}")
        figures = (f"{100 * median(values[module]):5.1f} %" for values in (share, others, saved))
        print(f"{module} {name:18}", *figures, "", *texts)
    print(f"{agree[0]} of {MODULES} agree; {agree[1]} with the change of the others")


if __name__ == "__main__":
    main()
