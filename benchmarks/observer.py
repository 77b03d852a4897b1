"""Is what `analyze time` says what a plain loop shows? Fresh processes of both, in turn.

    python -m benchmarks.observer [--variant googlenet] [--batch 1] [--threads N] [--rounds 10] [--seconds 5]

The plain loop imports nothing of ours but the network: it warms up, times passes with `time.perf_counter`, and takes
the median. Whatever watching does to a process, to its caches and above all to its allocator, is in the ratio; so is,
where other programs run, that ours leaves disturbed samples out.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
from statistics import median

from analyzer.timing.driver.measure import measure, usable_processors
from analyzer.timing.statistics import bootstrap_median
from reports.timing.breakdown import measurement_of

PLAIN = """
import json, resource, sys, time
import torch
from analyzer.builder import build
from analyzer.models import variant

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


def plain(variant: str, batch: int, threads: int, seconds: float) -> tuple[float, float]:
    """Seconds of a pass, and page faults in it."""
    told = [variant, str(batch), str(threads), str(seconds)]
    done = subprocess.run([sys.executable, "-c", PLAIN, *told], capture_output=True, text=True, check=True)
    time, faults = json.loads(done.stdout)
    return time, faults


def ours(variant: str, batch: int, threads: int, seconds: float) -> float:
    """Twice the seconds: half of a process's budget is for cut passes."""
    record = measure(variant, batch=batch, threads=threads, budget_s=2 * seconds, processes=1)
    whole = measurement_of(record).pass_timing
    assert whole is not None
    return whole.median_s


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=usable_processors())
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5.0)
    asked = parser.parse_args()
    what = (asked.variant, asked.batch, asked.threads, asked.seconds)
    import numpy as np

    pairs, faults = [], []
    for number in range(asked.rounds):
        found: dict[str, float] = {}
        for arm in random.Random(number).sample(["plain", "ours"], 2):
            if arm == "plain":
                found[arm], fetched = plain(*what)
                faults.append(fetched)
            else:
                found[arm] = ours(*what)
        pairs.append(found["ours"] / found["plain"])
        print(f"round {number}: plain {1e3 * found['plain']:.2f} ms, ours {1e3 * found['ours']:.2f} ms", flush=True)
    low, high = bootstrap_median([np.array([one]) for one in pairs])
    print(
        f"{asked.variant}, batch {asked.batch}, {asked.threads} threads: ours ÷ plain {median(pairs):.4f} "
        f"(95 % interval {low:.4f} to {high:.4f}, {len(pairs)} rounds); {median(faults):.0f} page faults a plain pass"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
