"""Runs timing workers: fresh processes, one at a time, in random order over all configurations so that drift is shared.

The parent imports no torch and sleeps while a worker measures, except that it shows the first times of a request as
they come, while the worker pauses. What a worker has sent is kept however it ends.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import inf
from statistics import median
from typing import Any, TypeAlias

from analyzer.core.serialize import to_json
from analyzer.core.units import seconds
from analyzer.timing.request import Request
from analyzer.worker import fresh_interpreter
from analyzer.worker.reply import Reply

GRACE_S = 180.0  # Beyond the budget: importing torch, building, compiling, one long pass.
PROBES, MAX_LOAD_S = 6, 30.0  # Loads that are tried for --limit, and the time of one.
MAX_BUDGETS = 3.0  # Ten process starts take about one budget and are not counted in it.
FAILED = ("failed", "refused")  # The worker itself gave the reason.
FINAL = (*FAILED, "hung")  # Another process would end in the same way.
SAMPLES = b'{"event": "samples"'  # How a line of samples begins.
TASK = "analyzer.timing.worker.timing_task"

OnLine: TypeAlias = Callable[[bytes], None]  # Receives each line of a worker as it comes.
RunWorker: TypeAlias = Callable[[Request, OnLine], Reply]


def run_worker(
    request: Request, on_line: OnLine = lambda line: None, *, limit_s: float = inf, path: Sequence[str] = ()
) -> Reply:
    """Times one request in a fresh process and ends all its processes, after `limit_s` seconds at the latest.

    `path` is the process's import path, by default that of a new interpreter.
    """
    limit_s = min(request.budget_s + GRACE_S, limit_s)
    return fresh_interpreter.run(TASK, to_json(request), limit_s, path=path, on_line=on_line)


def estimate_so_far(lines: Iterable[Mapping[str, Any]]) -> str:
    """`10.2 ms so far: `, the median of the passes, also of disturbed ones; empty before the first sample."""
    batches = [line["samples"] for line in lines if line["event"] == "samples"]
    samples = [taken_s for batch in batches for name, taken_s, _ in batch if name == "pass"]
    return f"{seconds(median(samples))} so far: " if samples else ""


def run_workers(
    requests: Sequence[Request],
    *,
    processes: int,
    min_processes: int,
    order: random.Random,
    run_worker: RunWorker = run_worker,
    progress: Callable[[int, int, str], None] = lambda done, total, label: None,
    journal: Callable[[list[list[Reply]]], None] = lambda replies: None,
    now: Callable[[], float] = time.monotonic,
) -> tuple[list[list[Reply]], bool]:
    """Runs every request once per round, in a new random order each round.

    Returns the replies of each request, and False for an interrupted run. A request that failed or hung is not
    repeated. From `min_processes` on, a request stops after MAX_BUDGETS times its total budget: its passes are so long
    that few processes give enough samples. `progress` receives done, total, and the label of the current request with
    its time so far: before each process, and whenever the first one of a request sends samples. `journal` receives,
    after each process but the last, the replies so far, as those of an interrupted run.
    """
    replies: list[list[Reply]] = [[] for _ in requests]
    elapsed_s = [0.0] * len(requests)

    def finished(index: int) -> bool:
        ends = [reply.end for reply in replies[index]]
        over_budget = elapsed_s[index] > MAX_BUDGETS * processes * requests[index].budget_s
        return (
            len(ends) == processes or (len(ends) >= min_processes and over_budget) or any(end in FINAL for end in ends)
        )

    def interrupted() -> list[list[Reply]]:
        """The replies so far; a request that has not finished ends with an interruption."""
        ended = [finished(index) or any(reply.end == "interrupted" for reply in replies[index]) for index in indices]
        marker = Reply((), "interrupted", "interrupted")
        return [replies[index] + [marker] * (not ended[index]) for index in indices]

    def show(done: int, index: int, sent: Sequence[Mapping[str, Any]]) -> None:
        label = f"{requests[index].label}, {requests[index].configuration.label}"
        progress(done, len(turns), f"{estimate_so_far(sent)}{label}")

    def on_line(done: int, index: int, sent: list[Mapping[str, Any]], line: bytes) -> None:
        """Shows the samples of a request's first process; reading those of all would disturb more."""
        if not replies[index] and line.startswith(SAMPLES) and line.endswith(b"\n"):
            sent.append(json.loads(line))
            show(done, index, sent)

    indices = range(len(requests))
    turns = [index for _ in range(processes) for index in order.sample(range(len(requests)), len(requests))]
    try:
        for done, index in enumerate(turns):
            show(done, index, [line for reply in replies[index] for line in reply.lines])
            if finished(index):
                continue
            start = now()
            completed = sum(reply.end == "done" for reply in replies[index])
            request = requests[index].for_process(completed, seed=order.randrange(2**31))
            replies[index].append(run_worker(request, partial(on_line, done, index, [])))
            elapsed_s[index] += now() - start
            if replies[index][-1].end == "interrupted":
                raise KeyboardInterrupt
            if done + 1 < len(turns):
                journal(interrupted())
    except KeyboardInterrupt:
        return interrupted(), False
    return replies, True
