"""Runs one request in a fresh interpreter, and ends all of its processes. Imports no torch.

For times, since memory layout differs between fresh processes, and for systems that cannot fork.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from analyzer.core.errors import one_line
from analyzer.core.signals import ignore_sigint
from analyzer.worker.reply import FINAL_EVENTS, Reply, finished, hung, lost

EXIT_S = 5.0  # For a worker that has sent everything: whatever the model does at exit.
START = """
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
spec = PathFinder.find_spec("analyzer", [sys.argv.pop(1)])
sys.modules["analyzer"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["analyzer"])
"""


def interpreter(main: str) -> list[str]:
    """The command that runs a piece of Python with our `analyzer`, also if PYTHONPATH has another one.

    Not `-m`: that puts the current folder first on sys.path, where the user's random.py would hide Python's.
    """
    return [sys.executable, "-P", "-c", f"{START.strip()}\n{main}", str(Path(__file__).parents[2])]


def run(
    task: str,
    request: Mapping[str, Any],
    limit_s: float,
    *,
    path: Sequence[str] = (),
    captured: bool = True,
    on_line: Callable[[bytes], None] = lambda line: None,
) -> Reply:
    """The reply of a fresh worker to one request. What it prints is `captured`, or goes to standard error.

    `path` is its import path, by default that of a new interpreter. `on_line` receives each line as it comes. If the
    worker dies, the reply has `end="lost"`; if the program is interrupted meanwhile, "interrupted".
    """
    output: list[bytes] = []  # Parsed only after the worker has ended: parsing would disturb its samples.
    timed_out, interrupted = threading.Event(), False
    with tempfile.TemporaryFile() if captured else nullcontext() as errors:
        worker = subprocess.Popen(
            interpreter(f"from analyzer.worker.run_task import main\nmain({task!r}, {list(path)!r})"),
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
                worker.stdin.write(json.dumps(request).encode() + b"\n")
                worker.stdin.close()
            for line in worker.stdout:
                output.append(line)
                on_line(line)
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
        lines = _parse(output)
        if interrupted:
            return Reply(lines, "interrupted", "interrupted")
        if timed_out.is_set():
            return finished(lines) or hung(lines, limit_s)
        return finished(lines) or lost(lines, worker.returncode, _last_line(errors))


def _kill(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker: its keeper ends every process that the model started. Kills the keeper if it takes too long."""
    if hasattr(os, "killpg"):
        worker.terminate()
        with suppress(subprocess.TimeoutExpired):
            worker.wait(EXIT_S)
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


def _last_line(errors: Any) -> str:
    if errors is None:
        return ""
    errors.seek(0)
    messages = errors.read().decode(errors="replace").strip().splitlines()
    return one_line(messages[-1]) if messages else ""
