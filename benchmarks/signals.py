"""What a signal at a random moment leaves of a long command: processes, files, worktrees, locks, and lost samples.

    python -m benchmarks.signals [--count 500] [--only check] [--file trials.jsonl] [--jobs 2]

Each trial starts a command in a new git repository, sends one signal (INT, TERM, HUP, QUIT or KILL, to the process or
to its group, as a terminal does) at a random moment of its usual duration, and compares what is left. `--file` keeps
the trials, so that an interrupted run goes on. `--jobs` trials run at a time, each in folders of its own. The exit
status is 1 if anything was left.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.common import append_line, load_lines, parse_options
from benchmarks.signal_leftovers import END_S, Ended, ended_badly, git, kept_processes, leftovers, started_processes

# Notes each process that times it. Deep enough that commands that only count take a while.
MODEL = """
import os, sys
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        if "analyzer.timing.worker.timing_task" in sys.modules:
            with open("started.txt", "a") as file:
                file.write(f"{os.getpid()}\\n")
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(64, 64) for _ in range(50)))
    def forward(self, x):
        return self.layers(x)
def Net_inputs(batch=1):
    return torch.zeros(batch, 64)
"""
NET = "net.py:Net"
OUTPUT = ("--format", "json", "-o", "out.json")
SWEEP = ("sweep", NET, "--batch", "1,2,4")
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "count": (NET, "--memory", "--train", *OUTPUT),
    "time": ("time", NET, "--budget", "1", "--processes", "4", *OUTPUT),
    "sweep": (*SWEEP, "--measure", "counts,time", "--budget", "1", "--processes", "2", *OUTPUT),
    "sweep counts": (*SWEEP, "--measure", "counts", *OUTPUT),
    "check": ("check", NET, "--base", "HEAD~1", "--time-budget", "2", *OUTPUT),
    "check counts": ("check", NET, "googlenet", "--update", *OUTPUT),
    "reconcile": ("reconcile", NET, *OUTPUT),
    "report": ("report", NET, "googlenet", "alexnet", "-o", "page.html"),
    "scale": ("scale", "torch.nn:TransformerEncoderLayer(64,4)", "--input", "10x64", *OUTPUT),
    "advise": ("advise", NET, "--budget", "5", *OUTPUT),
    "machine": ("machine", "--threads", "1", *OUTPUT),
}
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL")
MAX_MOMENT_S = 12.0  # Later moments of `advise`, which takes a minute, are like those before.


def main() -> int:
    options = parse_options(__doc__, count=500, only="", file=Path("signals.jsonl"), seed=0, jobs=1)
    heed_signals()
    names = [name for name in COMMANDS if options.only in ("", name)]
    trials = load_lines(options.file)
    numbers = range(len(trials), options.count)
    durations_s = {name: min(usual_duration_s(name), MAX_MOMENT_S) for name in names[: len(numbers)]}

    def trial_of(number: int) -> dict[str, Any]:
        name = names[number % len(names)]
        return run_trial(name, random.Random(f"{options.seed} {number}"), durations_s[name])

    with ThreadPoolExecutor(options.jobs) as pool:
        for trial in pool.map(trial_of, numbers):
            append_line(options.file, trial)
            trials.append(trial)
            if trial["left"]:
                print(json.dumps(trial), file=sys.stderr, flush=True)
    print(table(trials))
    return int(any(trial["left"] for trial in trials))


def heed_signals() -> None:
    """Shells ignore SIGINT and SIGQUIT in background jobs, and `nohup` SIGHUP, which the commands would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def usual_duration_s(name: str) -> float:
    with tempfile.TemporaryDirectory(prefix="signals-", dir=_parent()) as folder:
        project = make_project(Path(folder))
        start = time.monotonic()
        with _started(name, project) as running:
            printed = running.communicate()[0]
        if running.returncode not in (0, 1, 3):
            sys.exit(f"{name} without a signal: status {running.returncode}\n{printed[-1000:]}")
        return time.monotonic() - start


def run_trial(
    name: str, chance: random.Random, duration_s: float, signals: tuple[str, ...] = SIGNALS
) -> dict[str, Any]:
    """One signal to one command, and what is left of it in words; an empty list is as it should be."""
    sent, moment_s = chance.choice(signals), chance.uniform(0.05, duration_s)
    group = sent != "SIGKILL" and chance.random() < 0.5  # A terminal signals the whole group, except by SIGKILL.
    with tempfile.TemporaryDirectory(prefix="signals-", dir=_parent(), ignore_cleanup_errors=True) as folder:
        project = make_project(Path(folder))
        ended = interrupt(name, project, getattr(signal, sent), moment_s, group=group)
        left = [*ended_badly(ended, getattr(signal, sent)), *leftovers(project)]
        trial = {"command": name, "signal": sent, "group": group, "moment_s": round(moment_s, 3)}
        started, kept = started_processes(project), kept_processes(project)
        lost = max(0, started - 1 - kept) if ended.reached and name in ("time", "sweep") else 0
        if lost:
            left.append(f"{lost} processes lost beyond the last")
        return {
            **trial,
            "status": ended.status,
            "reached": ended.reached,
            "after_s": round(ended.after_s, 2),
            "timed": started,
            "left": left,
            "printed": ended.printed[-300:] if left else "",
        }


def _parent() -> str:
    """On a disk in memory, if there is one: thousands of commits and pages need not reach a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def make_project(folder: Path) -> Path:
    """A repository of two commits with a model, an older output, and beside it the folders that the environment
    names."""
    project = folder / "project"
    project.mkdir()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME"):
        (folder / name).mkdir(mode=0o700)
    git(project, "init", "-q")
    for text in (MODEL, f"{MODEL}\n"):
        (project / "net.py").write_text(text, encoding="utf-8")
        git(project, "add", ".")
        git(project, "commit", "-q", "-m", "a model")
    (project / "out.json").write_text('"old"', encoding="utf-8")
    return project


def _started(name: str, project: Path) -> subprocess.Popen[str]:
    folders = {variable: str(project.parent / variable) for variable in ("TMPDIR", "XDG_CACHE_HOME", "HOME")}
    inherited = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "PYTHONPATH")}
    runtime = {"XDG_RUNTIME_DIR": str(project.parent / "XDG_RUNTIME_DIR")}
    return subprocess.Popen(
        [sys.executable, "-m", "analyzer", *COMMANDS[name]],
        cwd=project,
        env={**inherited, **folders, **runtime, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def interrupt(name: str, project: Path, number: signal.Signals, moment_s: float, *, group: bool) -> Ended:
    """Sends a signal to a command that has run for `moment_s`, and waits for its end."""
    with _started(name, project) as running:
        reached, sent_s = False, time.monotonic() + moment_s
        try:
            printed = running.communicate(timeout=moment_s)[0]
        except subprocess.TimeoutExpired:
            reached, sent_s = True, time.monotonic()
            with suppress(ProcessLookupError):
                os.killpg(running.pid, number) if group else running.send_signal(number)
            try:
                printed = running.communicate(timeout=END_S)[0]
            except subprocess.TimeoutExpired:
                running.kill()
                return Ended(None, running.communicate()[0], reached, END_S)
    return Ended(running.returncode, printed, reached, time.monotonic() - sent_s)


def table(trials: list[dict[str, Any]]) -> str:
    """A line per command: trials, how many signals found it running, and by signal those that left something."""
    lines = [f"{'':13}{'trials':>7}{'running':>8}" + "".join(f"{name[3:]:>6}" for name in SIGNALS)]
    for name in [*COMMANDS, ""]:
        chosen = [trial for trial in trials if name in ("", trial["command"])]
        if chosen:
            left = [sum(bool(trial["left"]) for trial in chosen if trial["signal"] == sent) for sent in SIGNALS]
            reached = sum(trial["reached"] for trial in chosen)
            lines.append(f"{name or 'all':13}{len(chosen):7}{reached:8}" + "".join(f"{count:6}" for count in left))
    return "\n".join(lines)


if __name__ == "__main__":
    shutil.which("git") or sys.exit("git is needed")
    sys.exit(main())
