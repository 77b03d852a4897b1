"""Does `analyze time` give the times of a plain loop, and do its parts add up? Fourteen kinds of model, one thread.

    python -m benchmarks.pass_time_accuracy [KIND ...] [--rounds 8] [--seconds 0.4] [--memory system] [--start forked]

Each round runs every kind of `benchmarks.timed_models` in two fresh processes, in random order: a plain loop that uses
nothing of macscope, and the worker of `analyze time`. Eight rounds take about 12 minutes. With `--start forked` both
are forked from a process that has imported torch and run nothing, which takes 3 minutes; but all of them then have one
memory layout, whose effect of some percent no number of rounds averages out.

Both keep freed memory. Without that (`--memory system`) the position of the last block on the heap decides
whether glibc returns memory to the system after each pass, and so whether the next one has page faults: none or some
hundred, up to twice the time. That differs from process to process, of a plain loop as of `analyze time`, which samples
ten and has a note on it. The columns of page faults per pass show which of the two the processes were.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np

from analyzer.records.timings import Configuration, interquartile
from analyzer.regression.paired.child.isolation import retain_freed_memory
from analyzer.timing.statistics import bootstrap_median
from benchmarks.common import parse_options
from benchmarks.timed_models import INPUTS, TRAINED, export_program

VOCABULARY, WARM_UP, BLOCK_S = 50257, 5, 250e-6


def forked(call: Callable[[], dict[str, Any]], *, kept: bool = True) -> dict[str, Any]:
    """The result of a call in a forked process, whose freed memory is `kept`. Raises RuntimeError if it fails."""
    reader, writer = os.pipe()
    process = os.fork()
    if not process:
        status = 1
        try:
            os.close(reader)
            if kept:
                retain_freed_memory()
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


CHILD = """
import json, sys
from importlib import import_module
from analyzer.regression.paired.child.isolation import retain_freed_memory
kept, module, name, arguments = json.loads(sys.argv[1])
if kept:
    retain_freed_memory()
print(json.dumps(getattr(import_module(f"benchmarks.{module}"), name)(*arguments)))
"""


def fresh(call: partial[dict[str, Any]], *, kept: bool = True) -> dict[str, Any]:
    """As `forked`, in a new interpreter; the call is that of a benchmark's function."""
    function: Any = call.func
    benchmark = Path(function.__code__.co_filename).stem  # Its module's name may be "__main__".
    command = [sys.executable, "-c", CHILD, json.dumps([kept, benchmark, function.__name__, call.args])]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def plain_loop(reference: str, kind: str, seconds: float) -> dict[str, Any]:
    """Median seconds of a pass, of blocks of at least 250 µs as `python -m timeit` times them, and its page faults."""
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
        times, faults, end = [], getrusage(RUSAGE_SELF).ru_minflt, time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            for _ in range(passes):
                run()
            times.append((time.perf_counter() - start) / passes)
        faults = getrusage(RUSAGE_SELF).ru_minflt - faults
    return {"pass_s": median(times), "faults": faults / (passes * len(times))}


def _input(text: str) -> Any:
    import torch

    sizes, _, kind = text.rpartition("=")[2].partition(":")
    shape = (1, *map(int, sizes.split("x")))
    return torch.randint(0, VOCABULARY, shape) if kind else torch.randn(shape)


def timed(reference: str, kind: str, seconds: float, seed: int) -> dict[str, Any]:
    """Median seconds and page faults of a pass by the worker, and the sum of the parts ÷ the pass, both as
    interquartile means."""
    from analyzer.core.serialize import to_json
    from analyzer.timing.request import Request
    from analyzer.timing.worker.timing_task import handle

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
    return {"pass_s": median(passes), "sum": total, "faults": done.get("faults") or 0.0}


def main() -> None:
    options = parse_options(__doc__, kinds=[], rounds=8, seconds=0.4, memory="kept", start="fresh")
    start = forked if options.start == "forked" else fresh
    kept = options.memory != "system"
    kinds = options.kinds or list(INPUTS)
    if unknown := [kind for kind in kinds if kind not in INPUTS]:
        sys.exit(f"unknown kind {unknown[0]}; there are: {', '.join(INPUTS)}")
    import torch  # noqa: F401 – before the forks

    import analyzer.timing.worker.timing_task  # noqa: F401

    file = str(Path(__file__).with_name("timed_models.py"))
    references = {kind: f"{file}:{kind}" for kind in kinds}
    if "exported" in kinds:
        folder = tempfile.mkdtemp()
        forked(lambda: {"path": str(export_program(folder))})
        references["exported"] = f"{folder}/exported.pt2"
    ratios: dict[str, list[float]] = {kind: [] for kind in kinds}
    sums: dict[str, list[float]] = {kind: [] for kind in kinds}
    passes: dict[str, list[float]] = {kind: [] for kind in kinds}
    faults: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
    order = random.Random(0)
    for number in range(options.rounds):
        for kind in order.sample(kinds, len(kinds)):
            first_plain = order.random() < 0.5
            loop = partial(start, partial(plain_loop, references[kind], kind, options.seconds), kept=kept)
            plain = loop() if first_plain else None
            ours = start(partial(timed, references[kind], kind, options.seconds, number), kept=kept)
            plain = plain or loop()
            ratios[kind].append(ours["pass_s"] / plain["pass_s"])
            sums[kind].append(ours["sum"])
            passes[kind].append(plain["pass_s"])
            faults[kind].append((plain["faults"], ours["faults"]))
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr, flush=True)
    names = ("plain pass", "analyze ÷ plain", "95 % interval", "parts ÷ pass")
    print(
        "kind          ",
        *(f"{name:>{width}}" for name, width in zip(names, (12, 16, 18, 13), strict=True)),
        " page faults",
    )
    for kind in kinds:
        low, high = bootstrap_median([np.array([ratio]) for ratio in ratios[kind]])
        within = "" if low <= 1 <= high and 0.97 <= median(ratios[kind]) <= 1.03 else " *"
        loops, workers = (median(counts) for counts in zip(*faults[kind], strict=True))
        added = "" if 0.97 <= median(sums[kind]) <= 1.03 else " *"
        print(
            f"{kind:14} {1e6 * median(passes[kind]):9.1f} µs {median(ratios[kind]):16.3f} {low:8.3f} to {high:.3f}"
            f"{within:3}{median(sums[kind]):12.3f}{added:3}{loops:6.0f}, {workers:.0f}"
        )
    print("*: the interval excludes 1, or the median is not within 3 %. Page faults per pass: plain loop, analyze time")


if __name__ == "__main__":
    main()
