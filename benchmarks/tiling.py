"""Do the parts add up? Ours, leaf hooks and torch.profiler on one model, in turn, in several fresh processes.

    python -m benchmarks.tiling [--variant googlenet] [--batch 8] [--processes 5] [--seconds 30]

Prints, for each way of taking a pass apart: the sum of its parts ÷ an un-instrumented pass, and what watching costs;
for ours also the gap, the rank correlation of modules between runs and the variation of their medians over runs.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations
from statistics import mean, median, stdev
from typing import Any

NOTABLE = 0.003  # Of a pass: shorter modules have no rank.
WAYS = ("cut", "hooks", "profiler")


def child(variant: str, batch: int, seconds: float, seed: int, threads: int) -> dict[str, Any]:
    """One process: every way once a round in random order, dirty rounds left out."""
    import torch
    from torch import nn
    from torch.profiler import ProfilerActivity, profile

    from analyzer.models.builder import build
    from analyzer.networks.variants import variant as find
    from analyzer.timing.clock.clocks import HostClock
    from analyzer.timing.clock.sampling import undisturbed, warm_up
    from analyzer.timing.machine.contention import Contention
    from analyzer.timing.passes.tiles import tiles_of
    from analyzer.timing.passes.timed_pass import Inference

    torch.set_num_threads(threads)
    model = build(variant)
    x = torch.randn(batch, *find(variant).network.input)
    passed = Inference(lambda: model(x), model, tiles_of(model, lambda: model(x))[0], HostClock())
    leaves: list[nn.Module] = [module for module in model.modules() if next(module.children(), None) is None]

    def hooks() -> tuple[float, float]:
        starts, parts = [], []
        handles = [leaf.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter())) for leaf in leaves]
        handles += [
            leaf.register_forward_hook(lambda *_: parts.append(time.perf_counter() - starts.pop())) for leaf in leaves
        ]
        total = passed.whole()
        for handle in handles:
            handle.remove()
        return total, sum(parts)

    def profiler() -> tuple[float, float]:
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            total = passed.whole()
        return total, sum(event.self_cpu_time_total for event in seen.key_averages()) * 1e-6

    watch, order = Contention(threads), random.Random(seed)
    wholes: list[float] = []
    totals: dict[str, list[float]] = defaultdict(list)
    sums: dict[str, list[float]] = defaultdict(list)
    cuts: list[dict[str, float]] = []
    dirty = 0
    with torch.inference_mode(), undisturbed():
        warm_up(passed.whole, time.perf_counter, budget_s=seconds / 5)
        profiler()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for way in order.sample(["whole", *WAYS], 4):
                before = watch.look()
                if way == "whole":
                    taken: Any = passed.whole()
                elif way == "cut":
                    taken = passed.cut()
                else:
                    taken = hooks() if way == "hooks" else profiler()
                if watch.dirty(before, watch.look()):
                    dirty += 1
                elif way == "whole":
                    wholes.append(taken)
                elif way == "cut":
                    cuts.append({"|".join(map(str, key)): value for key, value in taken.items()})
                    totals[way].append(sum(taken.values()))
                    sums[way].append(sum(taken.values()))
                else:
                    totals[way].append(taken[0])
                    sums[way].append(taken[1])
    if not wholes or not all(totals[way] for way in WAYS):
        return {"dirty": dirty}
    parts = {key: median(cut[key] for cut in cuts) for key in cuts[0]}
    gap = mean(cut["forward||gap|1"] / sum(cut.values()) for cut in cuts)
    return {
        "passes": len(wholes),
        "dirty": dirty,
        "whole": median(wholes),
        "gap": gap,
        "parts": parts,
        **{way: [median(totals[way]), median(sums[way])] for way in WAYS},
    }


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's: the correlation of ranks."""
    import pandas

    return float(pandas.Series(one).rank().corr(pandas.Series(other).rank()))


def modules(parts: dict[str, float]) -> dict[str, float]:
    """Seconds by module: operators of one path together."""
    found: dict[str, float] = defaultdict(float)
    for key, seconds in parts.items():
        _, path, op, _ = key.split("|")
        if op != "overhead":
            found[path] += seconds
    return dict(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=0, help="default: all that this process may use")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    from analyzer.timing.driver.measure import usable_processors

    threads = asked.threads or usable_processors()
    if asked.seed is not None:
        print(json.dumps(child(asked.variant, asked.batch, asked.seconds, asked.seed, threads)))
        return 0
    runs = []
    for seed in range(asked.processes):
        command = [sys.executable, "-m", "benchmarks.tiling", "--seed", str(seed), "--threads", str(threads)]
        command += ["--variant", asked.variant, "--batch", str(asked.batch), "--seconds", str(asked.seconds)]
        done = subprocess.run(command, capture_output=True, text=True)  # The profiler logs a line a pass.
        if done.returncode:
            sys.exit(done.stderr[-2000:])
        one = json.loads(done.stdout)
        if "whole" not in one:
            print(f"process {seed}: void, {one['dirty']} samples were disturbed", flush=True)
            continue
        runs.append(one)
        print(
            f"process {seed}: {1e3 * one['whole']:.2f} ms, {one['passes']} passes, {one['dirty']} dirty; sum ÷ whole "
            + ", ".join(f"{way} {one[way][1] / one['whole']:.4f}" for way in WAYS)
            + "; with ÷ without "
            + ", ".join(f"{way} {one[way][0] / one['whole']:.4f}" for way in WAYS),
            flush=True,
        )
    if not runs:
        print("nothing else to say: run it again on a quiet machine")
        return 3
    print(f"{asked.variant}, batch {asked.batch}, {threads} threads, {asked.processes} processes: medians (range)")
    for way in WAYS:
        sums = sorted(one[way][1] / one["whole"] for one in runs)
        costs = sorted(one[way][0] / one["whole"] for one in runs)
        print(
            f"{way:9} sum of parts ÷ whole {median(sums):.4f} ({sums[0]:.4f} to {sums[-1]:.4f}), "
            f"with ÷ without {median(costs):.4f} ({costs[0]:.4f} to {costs[-1]:.4f})"
        )
    print(f"gap {100 * median(one['gap'] for one in runs):.2f} % of a cut pass")
    by_run = [modules(one["parts"]) for one in runs]
    whole = median(one["whole"] for one in runs)
    notable = [path for path in by_run[0] if median(run[path] for run in by_run) >= NOTABLE * whole]
    ranks = [rank_correlation([a[p] for p in notable], [b[p] for p in notable]) for a, b in combinations(by_run, 2)]
    varies = [stdev(run[path] for run in by_run) / mean(run[path] for run in by_run) for path in notable]
    if ranks and notable:
        print(
            f"{len(notable)} modules of at least {100 * NOTABLE:.1f} %: rank correlation of two runs, lowest "
            f"{min(ranks):.4f}, median {median(ranks):.4f}; variation of a module's median over runs, median "
            f"{100 * median(varies):.2f} %, highest {100 * max(varies):.2f} %; of the whole pass "
            f"{100 * stdev(one['whole'] for one in runs) / whole:.2f} %"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
