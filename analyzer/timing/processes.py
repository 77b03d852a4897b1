"""Fresh processes, one at a time, in random order over all cells: a drift of the machine is nobody's advantage.

The parent imports no torch and sleeps while a child measures. What a child told stands, whatever becomes of it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from analyzer.errors import one_line
from analyzer.frozen import Frozen
from analyzer.timing.request import Request

PATIENCE_S = 180.0  # Beyond its budget: importing torch, building, compiling, one pass that takes long.


class Answer(Frozen):
    """What one process told: its lines by event, and why it ended early if it did.

    `end` is "done", "failed" (it said why), "lost" (it was killed, or never ended) or "interrupted".
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
    """Raises nothing of the child's making: a process that dies is an answer too."""
    told: list[bytes] = []  # Read, and taken apart only when the child has ended: it measures meanwhile.
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-m", "analyzer.timing.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the parent, which then ends the child and keeps what it told.
        )
        assert child.stdin is not None
        assert child.stdout is not None
        limit = threading.Timer(request.budget_s + PATIENCE_S, child.kill)
        limit.start()
        try:
            child.stdin.write(json.dumps(request.to_json()).encode() + b"\n")
            child.stdin.close()
            told.extend(iter(child.stdout.readline, b""))
            status = child.wait()
        except KeyboardInterrupt:
            return Answer(_parsed(told), "interrupted", "interrupted")
        except BrokenPipeError:
            status = child.wait()
        finally:
            hung = limit.finished.is_set()
            limit.cancel()
            child.kill()
            child.wait()
            child.stdout.close()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip().splitlines()
    return _answer(_parsed(told), status, hung=hung, said=said, limit_s=request.budget_s + PATIENCE_S)


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
        return Answer(tuple(lines[:-1]), "failed", last["reason"], tuple(last["details"]))
    if hung:
        return Answer(tuple(lines), "lost", f"its process did not end within {limit_s:.0f} s")
    if status < 0:
        killed = " (the system kills so when memory runs out)" if status == -9 else ""
        return Answer(tuple(lines), "lost", f"its process was killed by signal {-status}{killed}")
    return Answer(tuple(lines), "lost", f"its process ended with status {status}: {one_line(said[-1] if said else '')}")


def ask_all(
    requests: Sequence[Request],
    *,
    rounds: int,
    order: random.Random,
    ask: Ask = ask,
    tell: Callable[[int, int, str], None] = lambda done, of, label: None,
) -> tuple[list[list[Answer]], bool]:
    """Every cell once a round, the order drawn anew each round. Returns answers by cell, and whether all were asked.

    A cell that failed is not asked again: it would fail again. `tell` hears how many of how many are done.
    """
    answers: list[list[Answer]] = [[] for _ in requests]
    done = 0
    for _ in range(rounds):
        for index in order.sample(range(len(requests)), len(requests)):
            request = requests[index]
            tell(done, rounds * len(requests), request.label)
            if not any(answer.end == "failed" for answer in answers[index]):
                try:
                    answer = ask(request.replace(seed=order.randrange(2**31)))
                except KeyboardInterrupt:
                    answer = Answer((), "interrupted", "interrupted")
                answers[index].append(answer)
                if answer.end == "interrupted":
                    return answers, False
            done += 1
    return answers, True
