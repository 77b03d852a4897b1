"""What a worker sent, and how it ended."""

from __future__ import annotations

import signal
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, InputError, one_line
from analyzer.core.frozen import Frozen

FINAL_EVENTS = (b'{"event": "done"', b'{"event": "failed"')
KILLED = " (Linux kills processes this way when memory runs out)"


class Reply(Frozen):
    """The lines that one worker sent, and the reason if it ended early.

    `end` is "done", "failed" (the model raised), "refused" (bad input: no such model, device or input), "hung" (it hit
    the time limit), "lost" (it was killed) or "interrupted". `advice` is that of an InputError.
    """

    lines: tuple[dict[str, Any], ...]
    end: str
    reason: str = ""
    details: tuple[str, ...] = ()
    advice: str = ""

    def last(self, event: str) -> dict[str, Any]:
        """The last line of that event; empty if there is none."""
        return next((line for line in reversed(self.lines) if line["event"] == event), {})

    def error(self, model: str) -> AnalyzerError:
        """The error for a reply that is not "done"; one by the model itself names it already."""
        error: AnalyzerError
        if self.end == "refused":
            error = InputError(self.reason, self.advice) if self.advice else AnalyzerError(self.reason)
        else:
            error = CannotMeasure(self.reason if self.end == "failed" else f"{model}: {self.reason}")
        error.details = tuple(map(one_line, self.details))
        return error


def finished(lines: tuple[dict[str, Any], ...]) -> Reply | None:
    """The reply if its last line is final."""
    last = lines[-1] if lines else {"event": ""}
    if last["event"] == "done":
        return Reply(lines, "done")
    if last["event"] == "failed":
        end = "refused" if last["status"] == AnalyzerError.exit_status else "failed"
        return Reply(lines[:-1], end, last["reason"], tuple(last["details"]), last["advice"])
    return None


def hung(lines: tuple[dict[str, Any], ...], limit_s: float) -> Reply:
    return Reply(lines, "hung", f"its process did not end within {limit_s:g} s")


def lost(lines: tuple[dict[str, Any], ...], status: int | None, last_message: str = "") -> Reply:
    """For a process that ended with an exit status; a negative one is a signal. `last_message` is what it printed."""
    if status is None:
        return Reply(lines, "lost", "its process has lost the connection")
    if status < 0:
        return Reply(lines, "lost", f"its process was killed by {_signal(-status)}{KILLED if status == -9 else ''}")
    message = f": {last_message}" if last_message else " without a message; does the model call exit?"
    return Reply(lines, "lost", f"its process ended with status {status}{message}")


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
