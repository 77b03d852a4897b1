"""Do operators add up to the pass? Our instruments, leaf hooks and torch.profiler, interleaved in fresh processes.

    python -m benchmarks.instrumentation [--variant googlenet] [--batch 8] [--processes 5] [--seconds 30]

Prints for each method: the sum of the operators ÷ an uninstrumented pass, and an instrumented pass ÷ an uninstrumented
one. For our instruments also the overhead, the rank correlation of modules between processes, and the variation of
their medians over processes.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import mean, median, stdev
from typing import Any

MIN_RANKED = 0.003  # Share of a pass below which a module has no rank.
METHODS = ("instrument", "hooks", "profiler")


def run_process(variant: str, batch: int, seconds: float, seed: int, threads: int) -> dict[str, Any]:
    """One process: every method once per round in random order; disturbed samples are left out."""
    import torch
    from torch import nn
    from torch.profiler import ProfilerActivity, profile

    from analyzer.models.builder import build
    from analyzer.networks.variants import variant as find_variant
    from analyzer.timing.clock.clocks import HostClock
    from analyzer.timing.clock.sampling import garbage_collection_paused, sample_interleaved, warm_up
    from analyzer.timing.machine.contention import Contention
    from analyzer.timing.passes.operator_spans import operator_spans
    from analyzer.timing.passes.timed_pass import Inference

    torch.set_num_threads(threads)
    model = build(variant)
    x = torch.randn(batch, *find_variant(variant).network.input)
    timed_pass = Inference(lambda: model(x), model, operator_spans(model, lambda: model(x))[0], HostClock())
    leaves: list[nn.Module] = [module for module in model.modules() if next(module.children(), None) is None]

    # Each method returns the seconds of its pass and the sum of its operators.
    def instrument() -> tuple[float, float]:
        times = timed_pass.instrumented()
        operator_times.append(times)
        return sum(times.values()), sum(times.values())

    def hooks() -> tuple[float, float]:
        starts, durations = [], []
        handles = [leaf.register_forward_pre_hook(lambda *_: starts.append(time.perf_counter())) for leaf in leaves]
        handles += [
            leaf.register_forward_hook(lambda *_: durations.append(time.perf_counter() - starts.pop()))
            for leaf in leaves
        ]
        total = timed_pass.uninstrumented()
        for handle in handles:
            handle.remove()
        return total, sum(durations)

    def profiler() -> tuple[float, float]:
        with profile(activities=[ProfilerActivity.CPU]) as events:
            total = timed_pass.uninstrumented()
        return total, sum(event.self_cpu_time_total for event in events.key_averages()) * 1e-6

    operator_times: list[dict[Any, float]] = []
    clean: dict[str, list[Any]] = defaultdict(list)
    disturbed = 0
    methods: dict[str, Callable[[], Any]] = {
        "pass": timed_pass.uninstrumented,
        "instrument": instrument,
        "hooks": hooks,
        "profiler": profiler,
    }
    limits: dict[str, Any] = {"budget_s": seconds, "min_samples": 1, "max_samples": sys.maxsize}
    with torch.inference_mode(), garbage_collection_paused():
        warm_up(timed_pass.uninstrumented, time.perf_counter, budget_s=seconds / 5)
        profiler()
        watch, order = Contention(threads), random.Random(seed)
        for sample in sample_interleaved(methods, time.perf_counter, watch, order=order, **limits):
            if sample.disturbance is None:
                clean[sample.measurement].append(sample.seconds)
            elif sample.measurement == "instrument":
                operator_times.pop()
            disturbed += sample.disturbance is not None
    if not all(clean[name] for name in methods):
        return {"disturbed": disturbed}
    medians = {key: median(times[key] for times in operator_times) for key in operator_times[0]}
    overhead = ("forward", "", "overhead", 1)
    return {
        "passes": len(clean["pass"]),
        "disturbed": disturbed,
        "pass": median(clean["pass"]),
        "overhead": mean(times[overhead] / sum(times.values()) for times in operator_times),
        "modules": by_module({key: value for key, value in medians.items() if key != overhead}),
        **{method: [median(column) for column in zip(*clean[method], strict=True)] for method in METHODS},
    }


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation coefficient."""
    import pandas

    return float(pandas.Series(first).rank().corr(pandas.Series(second).rank()))


def by_module(operators: dict[Any, float]) -> dict[str, float]:
    """Seconds by path."""
    seconds: dict[str, float] = defaultdict(float)
    for (_, path, _, _), operator_s in operators.items():
        seconds[path] += operator_s
    return dict(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="googlenet")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--processes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=0, help="default: all that this process may use")
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    from analyzer.timing.driver.measure import usable_processors

    threads = options.threads or usable_processors()
    if options.seed is not None:
        print(json.dumps(run_process(options.variant, options.batch, options.seconds, options.seed, threads)))
        return 0
    runs = []
    for seed in range(options.processes):
        command = [sys.executable, "-m", "benchmarks.instrumentation", "--seed", str(seed), "--threads", str(threads)]
        command += ["--variant", options.variant, "--batch", str(options.batch), "--seconds", str(options.seconds)]
        process = subprocess.run(command, capture_output=True, text=True)  # The profiler logs a line per pass.
        if process.returncode:
            sys.exit(process.stderr[-2000:])
        run = json.loads(process.stdout)
        if "pass" not in run:
            print(f"process {seed}: void, {run['disturbed']} samples were disturbed", flush=True)
            continue
        runs.append(run)
        sums = ", ".join(f"{method} {run[method][1] / run['pass']:.4f}" for method in METHODS)
        costs = ", ".join(f"{method} {run[method][0] / run['pass']:.4f}" for method in METHODS)
        print(
            f"process {seed}: {1e3 * run['pass']:.2f} ms, {run['passes']} passes, {run['disturbed']} disturbed; "
            f"sum of operators ÷ pass: {sums}; instrumented ÷ uninstrumented: {costs}",
            flush=True,
        )
    if not runs:
        print("every process is void: run it again on a quiet machine")
        return 3
    print(f"{options.variant}, batch {options.batch}, {threads} threads, {options.processes} processes: median (range)")
    for method in METHODS:
        sums, costs = (_spread([run[method][index] / run["pass"] for run in runs]) for index in (1, 0))
        print(f"{method:10} sum of operators ÷ pass {sums}, instrumented ÷ uninstrumented {costs}")
    print(f"overhead {100 * median(run['overhead'] for run in runs):.2f} % of an instrumented pass")
    passes, modules = [run["pass"] for run in runs], [run["modules"] for run in runs]
    ranked = [path for path in modules[0] if median(times[path] for times in modules) >= MIN_RANKED * median(passes)]
    if len(runs) > 1 and ranked:
        columns = [[times[path] for path in ranked] for times in modules]
        ranks = [rank_correlation(first, second) for first, second in combinations(columns, 2)]
        variations = [stdev(times) / mean(times) for times in zip(*columns, strict=True)]
        print(
            f"{len(ranked)} modules of at least {100 * MIN_RANKED:.1f} %: rank correlation of two processes, lowest "
            f"{min(ranks):.4f}, median {median(ranks):.4f}; variation of a module's median over processes, median "
            f"{100 * median(variations):.2f} %, highest {100 * max(variations):.2f} %; of the pass "
            f"{100 * stdev(passes) / median(passes):.2f} %"
        )
    return 0


def _spread(values: Sequence[float]) -> str:
    return f"{median(values):.4f} ({min(values):.4f} to {max(values):.4f})"


if __name__ == "__main__":
    sys.exit(main())
