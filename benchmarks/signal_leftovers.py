"""What a command leaves that a signal has ended: processes, files, worktrees, locks, and how many samples it kept."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ABOUT_TO_END_S = 3.0
END_S = 60.0  # For the command, and after it for its processes.
OUR_FRAME = re.compile(r'File ".*/analyzer/\w+/')  # A traceback without is from Python's own start.
CACHES = ("torchinductor_", ".torchinductor_")  # torch's own, for later processes.
# torch up to 2.8 makes a folder `tmpabcd1234` when it is imported, and deletes it only if the process ends by itself.
OF_TORCH = (*CACHES, "tmp") if version("torch").startswith(("2.7.", "2.8.")) else CACHES


class Ended(NamedTuple):
    """A finished command: its exit status, what it printed, whether the signal found it running, and how long it ran
    afterwards."""

    status: int | None
    printed: str
    reached: bool
    after_s: float


def ended_badly(ended: Ended, number: signal.Signals) -> Iterator[str]:
    if ended.status is None:
        yield f"it ran for {END_S:.0f} s more"
    elif ended.status not in (0, 1, 3, 130, -number):  # 0, 1 and 3: it was about to end.
        yield f"status {ended.status}"
    elif ended.reached and ended.status in (0, 1, 3) and ended.after_s > ABOUT_TO_END_S:
        yield f"the signal was ignored for {ended.after_s:.1f} s"
    if ("Traceback" in ended.printed and OUR_FRAME.search(ended.printed)) or "defect in macscope" in ended.printed:
        yield "a traceback"


def leftovers(project: Path) -> Iterator[str]:
    """What should not be there once the command and all its processes had time to end."""
    end = time.monotonic() + END_S / 4
    while (left := list(processes_of(project.parent))) and time.monotonic() < end:
        time.sleep(0.05)
    yield from (f"process {command[:200]}" for command in left)
    temporary = project.parent / "TMPDIR"
    yield from (f"temporary {path.name}" for path in temporary.iterdir() if not path.name.startswith(OF_TORCH))
    if git(project, "worktree", "list").count("\n") != 1:
        yield "a worktree"
    for file in project.parent.rglob("*"):
        if not file.is_file() or ".git" in file.parts:
            continue
        if file.name.endswith((".part", ".tmp")):
            yield f"part {file.relative_to(project.parent)}"
        elif not is_whole(file):
            yield f"half-written {file.relative_to(project.parent)}"
        if file.suffix == ".lock" and not is_free(file):
            yield f"held {file.name}"


def processes_of(folder: Path) -> Iterator[str]:
    """The command lines of processes with the folder in their environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                if str(folder).encode() in (entry / "environ").read_bytes():
                    yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def is_whole(file: Path) -> bool:
    """Whether JSON, pages and databases can be read to their end."""
    if file.suffix == ".json":
        try:
            json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            return False
    if file.suffix == ".html":
        return file.read_text(encoding="utf-8").rstrip().endswith("</html>")
    if file.suffix == ".sqlite":
        import sqlite3

        with closing(sqlite3.connect(file)) as connection:
            return bool(connection.execute("PRAGMA integrity_check").fetchone() == ("ok",))
    return True


def is_free(lock: Path) -> bool:
    import fcntl

    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def started_processes(project: Path) -> int:
    """How many processes have timed the model."""
    file = project / "started.txt"
    return len(set(file.read_text(encoding="utf-8").split())) if file.exists() else 0


def kept_processes(project: Path) -> int:
    """How many processes' samples are in the files of runs and in the history database."""
    from analyzer.database.api import history
    from analyzer.records.load_records import load_all

    files = (project / ".analyze" / "records").glob("*.json")
    records = [record for file in files for record in load_all(file)]
    database = project / ".analyze" / "history.sqlite"
    records += history(database).records() if database.exists() else ()
    processes: dict[str, int] = {}  # By configuration: a run and its unfinished one may both be there.
    for measurement in filter(None, (record.measurement for record in records)):
        counts = [len(timing.processes) for timing in measurement.timings if timing.kind == "pass"]
        label = measurement.configuration.label
        processes[label] = max(processes.get(label, 0), *counts, 0)
    return sum(processes.values())


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout
