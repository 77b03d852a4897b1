"""Fresh processes, one at a time, in random order over all measurements: a drift of the machine is nobody's advantage.

The parent imports no torch and sleeps while a child measures. What a child told stands, whatever becomes of it.
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
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from analyzer.core.errors import one_line
from analyzer.core.frozen import Frozen
from analyzer.core.signals import uninterrupted
from analyzer.timing.request import Request

PATIENCE_S = 180.0  # Beyond its budget: importing torch, building, compiling, one pass that takes long.
OVER = 3.0  # Starting ten processes takes about as long as their budget, and is not in it.
LEAVE_S = 5.0  # For a process that has told everything: what a model does at exit.
LAST = (b'{"event": "done"', b'{"event": "failed"')
FAILED = ("failed", "refused")  # It said why, itself.
VAIN = (*FAILED, "hung")  # How an answer ends that another process would only give again.
# Not `-m`: that would put the current folder first, where a random.py of the user's would stand for Python's own.
RUN = """
import sys
root = sys.argv.pop()
root in sys.path or sys.path.insert(0, root)
from analyzer.timing.worker.main import main
sys.exit(main())
"""
COMMAND = [sys.executable, "-P", "-c", RUN.strip(), str(Path(__file__).parents[3])]


class Answer(Frozen):
    """What one process told: its lines by event, and why it ended early if it did.

    `end` is "done", "failed" (it said why), "refused" (so too, of what was asked: no such model, device, input), "hung"
    (it did not end), "lost" (it was killed) or "interrupted".
    """

    lines: tuple[dict[str, Any], ...]
    end: str
    reason: str = ""
    details: tuple[str, ...] = ()

    def of(self, event: str) -> dict[str, Any] | None:
        """The last line of that kind."""
        return next((line for line in reversed(self.lines) if line["event"] == event), None)


class Ask(Protocol):
    """Runs one request in a fresh process."""

    def __call__(self, request: Request) -> Answer: ...


def ask(request: Request) -> Answer:
    """Raises nothing of the child's making: a process that dies is an answer too. Nothing of it is left running."""
    told: list[bytes] = []  # Read, and taken apart only when the child has ended: it measures meanwhile.
    hung, interrupted = threading.Event(), False
    limit_s = request.budget_s + PATIENCE_S
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child and keeps what it told.
        )
        assert child.stdin is not None
        assert child.stdout is not None

        def give_up() -> None:
            hung.set()
            _end(child)

        limit = threading.Timer(limit_s, give_up)
        limit.daemon = True  # An interrupt before `try` must not make the program wait for it.
        limit.start()
        try:
            with suppress(BrokenPipeError):
                child.stdin.write(json.dumps(request.to_json()).encode() + b"\n")
                child.stdin.close()
            for line in child.stdout:
                told.append(line)
                if line.startswith(LAST):
                    break  # A process that a model forked may hold the pipe open for good.
            with suppress(subprocess.TimeoutExpired):
                child.wait(LEAVE_S if told and told[-1].startswith(LAST) else None)
        except KeyboardInterrupt:
            interrupted = True
        finally:
            with uninterrupted():
                limit.cancel()
                _end(child)
                child.stdout.close()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    if interrupted:
        return Answer(_parsed(told), "interrupted", "interrupted")
    return _answer(_parsed(told), child.returncode, hung=hung.is_set(), said=said, limit_s=limit_s)


def _end(child: subprocess.Popen[bytes]) -> None:
    """The child and what it started, which is of its group: only the kernel knows what a model forks."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    child.kill()
    child.wait()


def _parsed(told: Sequence[bytes]) -> tuple[dict[str, Any], ...]:
    """Its lines up to the first that it did not finish."""
    lines = []
    for line in told:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return tuple(lines)


def _answer(lines: Sequence[dict[str, Any]], status: int, *, hung: bool, said: Sequence[str], limit_s: float) -> Answer:
    last = lines[-1] if lines else {"event": ""}
    if last["event"] == "done":
        return Answer(tuple(lines), "done")
    if last["event"] == "failed":
        end = "refused" if last.get("refused") else "failed"
        return Answer(tuple(lines[:-1]), end, last["reason"], tuple(last["details"]))
    if hung:
        return Answer(tuple(lines), "hung", f"its process did not end within {limit_s:.0f} s")
    if status < 0:
        killed = " (the system kills so when memory runs out)" if status == -9 else ""
        return Answer(tuple(lines), "lost", f"its process was killed by signal {-status}{killed}")
    words = f": {one_line(said[-1])}" if said else " and said nothing; does the model end it?"
    return Answer(tuple(lines), "lost", f"its process ended with status {status}{words}")


def ask_all(
    requests: Sequence[Request],
    *,
    rounds: int,
    least: int,
    order: random.Random,
    ask: Ask = ask,
    tell: Callable[[int, int, str], None] = lambda done, of, label: None,
    now: Callable[[], float] = time.monotonic,
) -> tuple[list[list[Answer]], bool]:
    """Every measurement once a round, the order drawn anew each round. Returns answers by measurement, and whether all were asked.

    A measurement that failed or hung is not asked again; nor, from `least` rounds on, is one that took OVER times the budget
    of all its processes: its passes are so long that a few of them are more. `tell` hears how many of how many are
    done.
    """
    answers: list[list[Answer]] = [[] for _ in requests]
    took_s = [0.0] * len(requests)

    def ended(index: int) -> bool:
        own, limit_s = answers[index], OVER * rounds * requests[index].budget_s
        over = len(own) >= least and took_s[index] > limit_s
        return over or len(own) == rounds or any(answer.end in VAIN for answer in own)

    try:
        for done, index in enumerate(_turns(len(requests), rounds, order)):
            tell(done, rounds * len(requests), f"{requests[index].label}, {requests[index].configuration.label}")
            if ended(index):
                continue
            start = now()
            well = sum(answer.end == "done" for answer in answers[index])
            answers[index].append(ask(requests[index].turn(well, seed=order.randrange(2**31))))
            took_s[index] += now() - start
            if answers[index][-1].end == "interrupted":
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        for index, own in enumerate(answers):
            if not ended(index) and not any(answer.end == "interrupted" for answer in own):
                own.append(Answer((), "interrupted", "interrupted"))
        return answers, False
    return answers, True


def _turns(count: int, rounds: int, order: random.Random) -> Iterator[int]:
    for _ in range(rounds):
        yield from order.sample(range(count), count)
