"""Is a module's share of a pass the time that deleting the module saves? Ten modules, one thread.

    python -m benchmarks.module_shares [--rounds 10] [--seconds 0.5]

Each round times the whole model by the worker of `analyze time`, and in a plain loop the model and the model without
each module, every one in a fresh process that keeps freed memory, in random order: without it, whether passes have page
faults would depend on which module is deleted. Ten rounds take about 2 minutes. A share and a saving agree
if the 95 % interval of their difference over the rounds includes 0.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from analyzer.records.timings import Configuration
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options
from benchmarks.timing_goals import forked

CHANNELS, SIZE = 32, 40
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


def shares(seconds: float, seed: int) -> dict[str, Any]:
    """The share of each module, of means over the interquartile passes, by one worker."""
    from analyzer.core.serialize import to_json
    from analyzer.timing.driver.results import build_measurement
    from analyzer.timing.request import Request
    from analyzer.timing.worker.main import handle
    from analyzer.worker.reply import Reply

    request = Request(
        Configuration(threads=1), reference=f"{Path(__file__).resolve()}:model",
        inputs=(f"{CHANNELS}x{SIZE}x{SIZE}",), budget_s=4 * seconds, seed=seed,
    )  # fmt: skip
    lines: list[dict[str, Any]] = []
    done = handle(json.loads(json.dumps(to_json(request))), lambda line: lines.append(dict(line)))
    kept = [
        {**line, "samples": [[name, taken, None] for name, taken, _ in line["samples"]]}
        if line["event"] == "samples" else line
        for line in lines
    ]  # fmt: skip
    times_s = build_measurement(request, [Reply((*kept, dict(done)), "done")]).operator_times_s
    total, by_module = sum(times_s.values()), defaultdict[str, float](float)
    for timing, time_s in times_s.items():
        by_module[timing.path] += time_s / total
    return dict(by_module)


def main() -> None:
    options = parse_options(__doc__, rounds=10, seconds=0.5)
    import torch  # noqa: F401 – before the forks

    import analyzer.timing.worker.main  # noqa: F401

    claimed: dict[int, list[float]] = defaultdict(list)
    saved: dict[int, list[float]] = defaultdict(list)
    order = random.Random(0)
    for number in range(options.rounds):
        times: dict[int, float] = {}
        for without in order.sample(range(-1, MODULES), MODULES + 1):
            times[without] = forked(lambda: loop(without, options.seconds))["pass_s"]  # noqa: B023
        measured = forked(lambda: shares(options.seconds, number))  # noqa: B023
        for module in range(MODULES):
            claimed[module].append(measured.get(str(module), 0.0))
            saved[module].append(1 - times[module] / times[-1])
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    agree = 0
    print(f"{'module':28} {'share':>8} {'deleted':>8}   95 % interval of the difference")
    for module, name in enumerate(type(layer).__name__ for layer in model()):
        differences = np.array(claimed[module]) - np.array(saved[module])
        low, high = bootstrap_median([np.array([difference]) for difference in differences])
        agrees = low <= 0 <= high or max(abs(low), abs(high)) <= MIN_AGREEMENT
        agree += agrees
        print(
            f"{module} {name:26} {100 * median(claimed[module]):6.1f} % {100 * median(saved[module]):6.1f} %   "
            f"{100 * low:+.1f} to {100 * high:+.1f} %{'' if agrees else ' *'}"
        )
    print(f"{agree} of {MODULES} agree")


if __name__ == "__main__":
    main()
