"""Does `analyze time` give the times of a plain loop, and do its parts add up? Fourteen kinds of model, one thread.

    python -m benchmarks.pass_time_accuracy [KIND ...] [--rounds 10] [--memory system] [--keep FILE]

Each round runs every kind of `benchmarks.timed_models` in two new processes: a plain loop that uses nothing of
macscope, and the worker of `analyze time`. They take turns of some hundredths of a second on one processor, each turn
with another memory layout. A round's ratio is the median of the worker's samples, each divided by the medians of the
plain loop's turns before and after it. A processor of a shared host can change its speed by half within a second, two
processors differ, and so do two layouts: all would count as differences between the two programs if one ran after the
other. Ten rounds take about 20 minutes; `--keep` appends each trial to a file, and a later run adds to it.

Both processes keep freed memory. Without that (`--memory system`) the position of the last block on the heap decides
whether glibc returns memory to the system after each pass, and so whether the next one has page faults: none or some
hundred, up to twice the time. That differs from process to process, of a plain loop as of `analyze time`, which samples
ten and has a note on it. The columns of page faults per pass show which of the two the processes were.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from analyzer.records.timings import Configuration, interquartile
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import append_line, load_lines, parse_options
from benchmarks.fresh_processes import Turns, in_turn
from benchmarks.timed_models import INPUTS, TRAINED, export_program

VOCABULARY, WARM_UP, BLOCK_S = 50257, 5, 250e-6
BUDGET_S = 2.5  # Of the worker, turns of the plain loop included.
SAMPLES_PER_TURN = 6  # Of the worker: three uninstrumented passes and three instrumented passes.
DROPPED = 2  # The first of these: after the other process's turn, passes of a plain loop take 0.5 % longer, too.
WARM_UP_S, TURN_S = 8e-3, 30e-3  # Of a turn of the plain loop.


def plain_loop(reference: str, kind: str, take: int, give: int, seed: int) -> dict[str, Any]:
    """Median seconds of a pass in each turn, of blocks of at least 250 µs as `python -m timeit` times them, and its
    page faults."""
    from resource import RUSAGE_SELF, getrusage

    import torch

    from benchmarks import timed_models

    torch.set_num_threads(1)
    # The module of a program that is loaded, as users run it: one that exports it has garbage to collect.
    model: Any = torch.export.load(reference).module() if kind == "exported" else getattr(timed_models, kind)()
    inputs = [_input(text) for text in INPUTS[kind]]
    if kind in TRAINED:
        optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-6, momentum=0.9)

        def run() -> None:
            model(*inputs).sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    else:
        if kind != "exported":  # A program has no mode.
            model.eval()
        for parameter in model.parameters():
            parameter.requires_grad_(False)

        def run() -> None:
            model(*inputs)

    with torch.inference_mode(kind not in TRAINED):
        for _ in range(WARM_UP):
            run()
        start = time.perf_counter()
        run()
        passes = max(round(BLOCK_S / (time.perf_counter() - start)), 1)
        turns, medians, faults, made = Turns(take, give, seed), list[float](), 0, 0
        turns.take()
        turns.give()  # The worker begins when this process is ready.
        while turns.take():
            warm, faults_before, times = time.perf_counter() + WARM_UP_S, getrusage(RUSAGE_SELF).ru_minflt, []
            while (start := time.perf_counter()) < warm + TURN_S:
                for _ in range(passes):
                    run()
                made += passes
                if start >= warm:
                    times.append((time.perf_counter() - start) / passes)
            faults += getrusage(RUSAGE_SELF).ru_minflt - faults_before
            medians.append(median(times))
            turns.give()
    return {"pass_s": medians, "faults": faults / made}


def _input(text: str) -> Any:
    import torch

    sizes, _, kind = text.rpartition("=")[2].partition(":")
    shape = (1, *map(int, sizes.split("x")))
    return torch.randint(0, VOCABULARY, shape) if kind else torch.randn(shape)


def timed(reference: str, kind: str, take: int, give: int, seed: int) -> dict[str, Any]:
    """The worker's samples of a pass in each turn, in seconds, its page faults, and the sum of the parts ÷ the pass,
    both as interquartile means."""
    from analyzer.core.serialize import to_json
    from analyzer.timing.clock.sampling import sample_interleaved
    from analyzer.timing.request import Request
    from analyzer.timing.worker import timing_task

    turns = Turns(take, give, seed)
    samples: list[list[Any]] = [[]]

    def in_turns(*args: Any, **options: Any) -> Iterator[Any]:
        for sample in sample_interleaved(*args, **options):
            samples[-1].append(sample)
            yield sample
            if len(samples[-1]) == SAMPLES_PER_TURN:
                turns.give()
                turns.take()
                samples.append([])

    timing_task.sample_interleaved = in_turns  # type: ignore[attr-defined]
    mode = "training" if kind in TRAINED else "inference"
    inputs = () if reference.endswith(".pt2") else tuple(INPUTS[kind])
    request = Request(
        Configuration(threads=1, mode=mode), reference=reference, inputs=inputs, budget_s=BUDGET_S, seed=seed
    )
    turns.take()
    done = timing_task.handle(json.loads(json.dumps(to_json(request))), lambda line: None)
    if done["event"] != "done":
        raise RuntimeError(f"{kind}: {done.get('reason')}")
    passes = [[sample.seconds for sample in turn[DROPPED:] if sample.measurement == "pass"] for turn in samples]
    parts = sorted(sum(each.seconds) for turn in samples for each in turn if each.measurement == "instrumented")
    total = fmean(interquartile(parts)) / fmean(interquartile(sorted(chain(*passes)))) if parts else float("nan")
    return {"pass_s": passes[:-1], "sum": total, "faults": done.get("faults") or 0.0}


def turn_ratio(plain_s: Sequence[float], worker_s: Sequence[Sequence[float]]) -> float:
    """The worker's pass ÷ the plain loop's. The worker has the first turn, which has no turn of the loop before it.

    Ratios of single samples: the median of the two samples of a turn would be their mean, which is larger than the
    median of a loop's many passes.
    """
    between = [(before + after) / 2 for before, after in pairwise(plain_s)]
    turns = zip(worker_s[1:], between, strict=False)
    return median(sample / loop for samples, loop in turns for sample in samples)


def main() -> None:
    options = parse_options(__doc__, kinds=[], rounds=10, memory="kept", keep=Path)
    kinds = options.kinds or list(INPUTS)
    if unknown := [kind for kind in kinds if kind not in INPUTS]:
        sys.exit(f"unknown kind {unknown[0]}; there are: {', '.join(INPUTS)}")
    trials = load_lines(options.keep)
    program = str(export_program()) if "exported" in kinds else ""
    order = random.Random(len(trials))
    for number in range(options.rounds):
        for kind in order.sample(kinds, len(kinds)):
            reference = program if kind == "exported" else f"{Path(__file__).with_name('timed_models.py')}:{kind}"
            seed = order.getrandbits(32)
            plain, worker = in_turn(
                partial(plain_loop, reference, kind),
                partial(timed, reference, kind),
                seed=seed,
                kept=options.memory != "system",
            )
            trials.append({"kind": kind, "plain": plain, "worker": worker})
            append_line(options.keep, trials[-1])
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    names = ("rounds", "plain pass", "analyze ÷ plain", "95 % interval", "parts ÷ pass")
    widths = (6, 12, 16, 18, 13)
    print("kind       ", *(f"{name:>{width}}" for name, width in zip(names, widths, strict=True)), " page faults")
    for kind in kinds:
        _print_row(kind, [trial for trial in trials if trial["kind"] == kind])
    print(
        "*: the interval excludes 1, or the median is not within 3 %; (*): the interval is not within 3 %\n"
        "page faults per pass: plain loop, analyze time"
    )


def _print_row(kind: str, trials: list[dict[str, Any]]) -> None:
    plain, worker = ([trial[side] for trial in trials] for side in ("plain", "worker"))
    ratios = [turn_ratio(loop["pass_s"], ours["pass_s"]) for loop, ours in zip(plain, worker, strict=True)]
    low, high = bootstrap_median([np.array([ratio]) for ratio in ratios])
    within = "(*)" if low < 0.97 or high > 1.03 else ""
    if not (low <= 1 <= high and 0.97 <= median(ratios) <= 1.03):
        within = "*"
    parts = median(trial["sum"] for trial in worker)
    pass_us = 1e6 * median(median(trial["pass_s"]) for trial in plain)
    loops, workers = (median(trial["faults"] for trial in side) for side in (plain, worker))
    print(
        f"{kind:12} {len(trials):5} {pass_us:9.1f} µs {median(ratios):16.3f} {low:8.3f} to {high:.3f} {within:3}"
        f"{parts:9.3f} {'' if 0.97 <= parts <= 1.03 else '*':3}{loops:6.0f}, {workers:.0f}"
    )


if __name__ == "__main__":
    main()
