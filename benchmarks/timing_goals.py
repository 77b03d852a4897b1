"""Does `analyze time` give the times of a plain loop, and do its parts add up? Thirteen kinds of model, one thread.

    python -m benchmarks.timing_goals [KIND ...] [--rounds 8] [--seconds 0.4]

Each round runs every kind of `benchmarks.timed_models` in two fresh processes, in random order: a plain loop that uses
nothing of macscope, and the worker of `analyze time`. Both are forked from a process that has imported torch and run
nothing, so that the imports are paid once. Eight rounds take about 3 minutes.
"""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from analyzer.records.timings import Configuration, interquartile
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options
from benchmarks.timed_models import INPUTS, TRAINED, export_program

VOCABULARY, WARM_UP, BLOCK_S = 50257, 5, 250e-6


def forked(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of a call in a forked process. Raises RuntimeError if it fails."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        status = 1
        try:
            os.close(reader)
            with os.fdopen(writer, "w") as stream:
                stream.write(json.dumps(call()))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        text = stream.read()
    if os.waitpid(process, 0)[1]:
        raise RuntimeError("a forked process failed")
    result: dict[str, Any] = json.loads(text)
    return result


def plain_loop(kind: str, seconds: float) -> dict[str, Any]:
    """Median seconds of a pass: blocks of at least 250 µs, as `python -m timeit` times them."""
    import torch

    from benchmarks import timed_models

    torch.set_num_threads(1)
    model = getattr(timed_models, kind)()
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
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(passes):
                run()
            times.append((time.perf_counter() - start) / passes)
    return {"pass_s": median(times)}


def _input(text: str) -> Any:
    import torch

    sizes, _, kind = text.rpartition("=")[2].partition(":")
    shape = (1, *map(int, sizes.split("x")))
    return torch.randint(0, VOCABULARY, shape) if kind else torch.randn(shape)


def timed(reference: str, kind: str, seconds: float, seed: int) -> dict[str, Any]:
    """Median seconds of a pass by the worker, and the sum of the parts ÷ the pass, both as interquartile means."""
    from analyzer.core.serialize import to_json
    from analyzer.timing.request import Request
    from analyzer.timing.worker.main import handle

    mode = "training" if kind in TRAINED else "inference"
    inputs = () if reference.endswith(".pt2") else tuple(INPUTS[kind])
    request = Request(
        Configuration(threads=1, mode=mode), reference=reference, inputs=inputs, budget_s=3 * seconds, seed=seed
    )
    lines: list[dict[str, Any]] = []
    done = handle(json.loads(json.dumps(to_json(request))), lambda line: lines.append(dict(line)))
    if done["event"] != "done":
        raise RuntimeError(f"{kind}: {done.get('reason')}")
    samples = [sample for line in lines if line["event"] == "samples" for sample in line["samples"]]
    passes = sorted(taken for name, taken, _ in samples if name == "pass")
    parts = sorted(sum(taken) for name, taken, _ in samples if name == "instrumented")
    total = fmean(interquartile(parts)) / fmean(interquartile(passes)) if parts else float("nan")
    return {"pass_s": median(passes), "sum": total}


def main() -> None:
    options = parse_options(__doc__, kinds=[], rounds=8, seconds=0.4)
    kinds = options.kinds or list(INPUTS)
    if unknown := [kind for kind in kinds if kind not in INPUTS]:
        sys.exit(f"unknown kind {unknown[0]}; there are: {', '.join(INPUTS)}")
    import torch  # noqa: F401 – before the forks

    import analyzer.timing.worker.main  # noqa: F401

    file = str(Path(__file__).with_name("timed_models.py"))
    references = {kind: f"{file}:{kind}" for kind in kinds}
    if "exported" in kinds:
        folder = tempfile.mkdtemp()
        forked(lambda: {"path": str(export_program(folder))})
        references["exported"] = f"{folder}/exported.pt2"
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    sums: dict[str, list[float]] = {kind: [] for kind in kinds}
    passes: dict[str, list[float]] = {kind: [] for kind in kinds}
    order = random.Random(0)
    for number in range(options.rounds):
        for kind in order.sample(kinds, len(kinds)):
            first_plain = order.random() < 0.5
            plain = forked(lambda: plain_loop(kind, options.seconds)) if first_plain else None  # noqa: B023
            ours = forked(lambda: timed(references[kind], kind, options.seconds, number))  # noqa: B023
            plain = plain or forked(lambda: plain_loop(kind, options.seconds))  # noqa: B023
            ratios[kind].append(ours["pass_s"] / plain["pass_s"])
            sums[kind].append(ours["sum"])
            passes[kind].append(plain["pass_s"])
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    print(f"{'kind':14} {'plain pass':>12} {'analyze ÷ plain':>16} {'95 % interval':>18} {'parts ÷ pass':>13}")
    for kind in kinds:
        low, high = bootstrap_median([np.array([ratio]) for ratio in ratios[kind]])
        within = "" if low <= 1 <= high and 0.97 <= median(ratios[kind]) <= 1.03 else " *"
        added = "" if 0.97 <= median(sums[kind]) <= 1.03 else " *"
        print(
            f"{kind:14} {1e6 * median(passes[kind]):9.1f} µs {median(ratios[kind]):16.3f} {low:8.3f} to {high:.3f}"
            f"{within:3}{median(sums[kind]):12.3f}{added}"
        )
    print("*: the interval excludes 1, or the median is not within 3 %")


if __name__ == "__main__":
    main()
