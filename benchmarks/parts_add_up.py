"""Do operators add up to the pass? macscope, leaf hooks and torch.profiler, interleaved in fresh processes.

    python -m benchmarks.parts_add_up [--variant googlenet] [--batch 8] [--processes 5] [--seconds 30] [--threads N]

Prints for each method: the sum of the operators ÷ an uninstrumented pass, and an instrumented pass ÷ an uninstrumented
one. For our instruments also the overhead, the rank correlation of modules between processes, and the variation of
their medians over processes.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from operator import itemgetter
from statistics import mean, median
from typing import Any

import numpy as np
import pandas

from analyzer.timing.driver.time_configurations import usable_processors
from benchmarks.common import parse_options

MIN_RANKED = 0.003  # Share of a pass below which a module has no rank.
METHODS = ("instrument", "hooks", "profiler")


def run_process(variant: str, batch: int, seconds: float, seed: int, threads: int) -> dict[str, Any]:
    """One process: every method once per round in random order; disturbed samples are left out."""
    import torch
    from torch import nn
    from torch.profiler import ProfilerActivity, profile

    from analyzer.models.spec_to_module import build
    from analyzer.networks.variants import variant as find_variant
    from analyzer.timing.clock.clocks import HostClock
    from analyzer.timing.clock.sampling import garbage_collection_paused, sample_interleaved, warm_up
    from analyzer.timing.machine.contention import Contention
    from analyzer.timing.passes.operator_spans import operator_spans
    from analyzer.timing.passes.timed_pass import Pass

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # The profiler logs a line per pass.
    torch.set_num_threads(threads)
    model = build(variant)
    x = torch.randn(batch, *find_variant(variant).network.input)
    timed_pass = Pass(lambda: model(x), model, operator_spans(model, lambda: model(x))[0], HostClock())
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
    overhead, pass_s = ("forward", "", "overhead", 1), median(clean["pass"])
    operators_s = {key: median(times[key] for times in operator_times) for key in operator_times[0] if key != overhead}
    return {
        "pass": pass_s,
        "passes": len(clean["pass"]),
        "disturbed": disturbed,
        "overhead": mean(times[overhead] / sum(times.values()) for times in operator_times),
        "modules": pandas.Series(operators_s).groupby(level=1).sum(),  # Level 1 is the path.
        **{method: [median(column) / pass_s for column in zip(*clean[method], strict=True)] for method in METHODS},
    }


def rank_correlations(columns: pandas.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Spearman's rank correlation coefficient of every two columns."""
    return columns.corr("spearman").to_numpy()[np.triu_indices(columns.shape[1], 1)]


def main() -> int:
    options = parse_options(
        __doc__, variant="googlenet", batch=8, processes=5, seconds=30.0, threads=usable_processors()
    )
    runs = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        for seed in range(options.processes):
            arguments = (options.variant, options.batch, options.seconds, seed, options.threads)
            run = pool.submit(run_process, *arguments).result()
            if "pass" not in run:
                print(f"process {seed}: void, {run['disturbed']} samples were disturbed", flush=True)
                continue
            runs.append(run)
            costs, sums = (", ".join(f"{method} {run[method][index]:.4f}" for method in METHODS) for index in (0, 1))
            print(
                f"process {seed}: {1e3 * run['pass']:.2f} ms, {run['passes']} passes, {run['disturbed']} disturbed; "
                f"sum of operators ÷ pass: {sums}; instrumented ÷ uninstrumented: {costs}",
                flush=True,
            )
    if not runs:
        print("every process is void: run it again on a quiet machine")
        return 3
    table = pandas.DataFrame(runs)
    print(f"{options.variant}, batch {options.batch}, {options.threads} threads, {len(runs)} processes: median (range)")
    for method in METHODS:
        costs, sums = (
            f"{ratios.median():.4f} ({ratios.min():.4f} to {ratios.max():.4f})"
            for ratios in (table[method].map(itemgetter(index)) for index in (0, 1))
        )
        print(f"{method:10} sum of operators ÷ pass {sums}, instrumented ÷ uninstrumented {costs}")
    print(f"overhead {100 * table['overhead'].median():.2f} % of an instrumented pass")
    modules = pandas.concat(list(table["modules"]), axis=1)
    ranked = modules[modules.median(axis=1) >= MIN_RANKED * table["pass"].median()]
    if len(runs) > 1 and len(ranked):
        ranks, variations = rank_correlations(ranked), ranked.std(axis=1) / ranked.mean(axis=1)
        print(
            f"{len(ranked)} modules of at least {100 * MIN_RANKED:.1f} %: rank correlation of two processes, lowest "
            f"{ranks.min():.4f}, median {np.median(ranks):.4f}; variation of a module's median over processes, median "
            f"{100 * variations.median():.2f} %, highest {100 * variations.max():.2f} %; of the pass "
            f"{100 * table['pass'].std() / table['pass'].median():.2f} %"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
