"""The observer effect: are the times of `analyze time` those of a plain loop? Fresh processes of both, interleaved.

    python -m benchmarks.googlenet_against_plain_loop [--variant googlenet] [--batch 1] [--threads N] [--rounds 10]
        [--seconds 5]

The plain loop imports nothing of macscope except the network: it warms up, times passes with `time.perf_counter`, and
takes the median. The ratio includes all effects of the measurement on a process, its caches and above all its
allocator; on a machine shared with other processes, the difference also includes that macscope leaves disturbed samples
out.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from statistics import median

import numpy as np

from analyzer.timing.driver.api import measure
from analyzer.timing.driver.time_configurations import usable_processors
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options
from reports.timing.breakdown import measurement_of

PLAIN = """
import json, resource, sys, time
import torch
from analyzer.models.spec_to_module import build
from analyzer.networks.variants import variant

name, batch, threads, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
torch.set_num_threads(threads)
model = build(name)
x = torch.randn(batch, *variant(name).network.input)
times = []
with torch.inference_mode():
    for _ in range(5):
        model(x)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:
        start = time.perf_counter()
        model(x)
        times.append(time.perf_counter() - start)
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
print(json.dumps([sorted(times)[len(times) // 2], faults / len(times)]))
"""


def time_plain_loop(variant: str, batch: int, threads: int, seconds: float) -> tuple[float, float]:
    """Seconds and page faults of a pass."""
    command = [sys.executable, "-c", PLAIN, variant, str(batch), str(threads), str(seconds)]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    pass_s, faults = json.loads(process.stdout)
    return pass_s, faults


def time_with_analyzer(variant: str, batch: int, threads: int, seconds: float) -> float:
    """Seconds of a pass. The budget is doubled: half of it goes to instrumented passes."""
    record = measure(variant, batch=batch, threads=threads, budget_s=2 * seconds, processes=1)
    timing = measurement_of(record).pass_timing
    assert timing is not None
    return timing.median_s


def main() -> None:
    options = parse_options(__doc__, variant="googlenet", batch=1, threads=usable_processors(), rounds=10, seconds=5.0)
    arguments = (options.variant, options.batch, options.threads, options.seconds)
    ratios, faults = [], []
    for number in range(options.rounds):
        analyzer_first = random.Random(number).random() < 0.5
        analyzer_s = time_with_analyzer(*arguments) if analyzer_first else 0.0
        plain_s, pass_faults = time_plain_loop(*arguments)
        analyzer_s = analyzer_s or time_with_analyzer(*arguments)
        faults.append(pass_faults)
        ratios.append(analyzer_s / plain_s)
        print(f"round {number}: plain {1e3 * plain_s:.2f} ms, analyzer {1e3 * analyzer_s:.2f} ms", flush=True)
    low, high = bootstrap_median([np.array([ratio]) for ratio in ratios])
    print(
        f"{options.variant}, batch {options.batch}, {options.threads} threads: analyzer ÷ plain {median(ratios):.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}, {len(ratios)} rounds); {median(faults):.0f} faults per plain pass"
    )


if __name__ == "__main__":
    main()
