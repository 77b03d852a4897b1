"""Runs timing workers: fresh processes, one at a time, in random order over all configurations so that drift is shared.

The parent imports no torch and sleeps while a worker measures. What a worker has sent is kept however it ends.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.serialize import to_json
from analyzer.core.signals import ignore_sigint
from analyzer.timing.request import Request

GRACE_S = 180.0  # Beyond the budget: importing torch, building, compiling, one long pass.
MAX_BUDGETS = 3.0  # Ten process starts take about one budget and are not counted in it.
EXIT_S = 5.0  # For a worker that has sent everything: whatever the model does at exit.
FINAL_EVENTS = (b'{"event": "done"', b'{"event": "failed"')
FAILED = ("failed", "refused")  # The worker itself gave the reason.
FINAL = (*FAILED, "hung")  # Another process would end in the same way.
# Not `-m`: that puts the current folder first on sys.path, where the user's random.py would hide Python's.
WORKER = """
import sys
root = sys.argv.pop()
root in sys.path or sys.path.insert(0, root)
from analyzer.timing.worker.main import main
sys.exit(main())
"""
COMMAND = [sys.executable, "-P", "-c", WORKER.strip(), str(Path(__file__).parents[3])]


class Reply(Frozen):
    """The lines that one worker sent, and the reason if it ended early.

    `end` is "done", "failed" (the model raised), "refused" (bad input: no such model, device or input), "hung" (it hit
    the time limit), "lost" (it was killed) or "interrupted".
    """

    lines: tuple[dict[str, Any], ...]
    end: str
    reason: str = ""
    details: tuple[str, ...] = ()

    def last(self, event: str) -> dict[str, Any]:
        """The last line of that event; empty if there is none."""
        return next((line for line in reversed(self.lines) if line["event"] == event), {})


RunWorker: TypeAlias = Callable[[Request], Reply]


def run_worker(request: Request) -> Reply:
    """Times one request in a fresh process and ends all its processes. If the worker dies, the Reply has
    `end="lost"`."""
    output: list[bytes] = []  # Parsed only after the worker has ended: parsing would disturb its samples.
    timed_out, interrupted = threading.Event(), False
    limit_s = request.budget_s + GRACE_S
    with tempfile.TemporaryFile() as errors:
        worker = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends the worker and keeps its output.
        )
        assert worker.stdin is not None
        assert worker.stdout is not None

        def time_out() -> None:
            timed_out.set()
            _kill(worker)

        timer = threading.Timer(limit_s, time_out)
        timer.daemon = True  # An interrupt before `try` must not make the program wait for the timer.
        timer.start()
        try:
            with suppress(BrokenPipeError):
                worker.stdin.write(json.dumps(to_json(request)).encode() + b"\n")
                worker.stdin.close()
            for line in worker.stdout:
                output.append(line)
                if line.startswith(FINAL_EVENTS):
                    break  # A process that the model forked may keep the pipe open.
            with suppress(subprocess.TimeoutExpired):
                worker.wait(EXIT_S if output and output[-1].startswith(FINAL_EVENTS) else None)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            with ignore_sigint():
                timer.cancel()
                _kill(worker)
                worker.stdout.close()
        errors.seek(0)
        messages = errors.read().decode(errors="replace").strip().splitlines()
    if interrupted:
        return Reply(_parse(output), "interrupted", "interrupted")
    return _reply(_parse(output), worker.returncode, f"{limit_s:.0f} s" if timed_out.is_set() else "", messages)


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Kills the worker's process group: a model may fork."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, signal.SIGKILL)
    worker.kill()
    worker.wait()


def _parse(output: Sequence[bytes]) -> tuple[dict[str, Any], ...]:
    """The lines up to the first incomplete one."""
    lines = []
    for line in output:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return tuple(lines)


def _reply(lines: tuple[dict[str, Any], ...], status: int, timed_out: str, messages: Sequence[str]) -> Reply:
    last = lines[-1] if lines else {"event": ""}
    if last["event"] == "done":
        return Reply(lines, "done")
    if last["event"] == "failed":
        end = "refused" if last.get("refused") else "failed"
        return Reply(lines[:-1], end, last["reason"], tuple(last["details"]))
    if timed_out:
        return Reply(lines, "hung", f"its process did not end within {timed_out}")
    if status < 0:
        hint = " (Linux kills processes this way when memory runs out)" if status == -9 else ""
        return Reply(lines, "lost", f"its process was killed by signal {-status}{hint}")
    message = f": {one_line(messages[-1])}" if messages else " without a message; does the model call exit?"
    return Reply(lines, "lost", f"its process ended with status {status}{message}")


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
    that few processes give enough samples. `progress` receives done, total and the label of the current request;
    `journal`, after each process but the last, the replies so far, as those of an interrupted run.
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

    indices = range(len(requests))
    turns = [index for _ in range(processes) for index in order.sample(range(len(requests)), len(requests))]
    try:
        for done, index in enumerate(turns):
            request = requests[index]
            progress(done, len(turns), f"{request.label}, {request.configuration.label}")
            if finished(index):
                continue
            start = now()
            completed = sum(reply.end == "done" for reply in replies[index])
            replies[index].append(run_worker(request.for_process(completed, seed=order.randrange(2**31))))
            elapsed_s[index] += now() - start
            if replies[index][-1].end == "interrupted":
                raise KeyboardInterrupt
            if done + 1 < len(turns):
                journal(interrupted())
    except KeyboardInterrupt:
        return interrupted(), False
    return replies, True
