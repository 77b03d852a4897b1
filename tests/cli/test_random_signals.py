"""Signals at random moments: the command ends in a line, and leaves no process, worktree, temporary file or lock."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads the environment of processes"),
]

MODEL = """
import torch
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(64, 64)
    def forward(self, x):
        return self.layer(x)
def Net_inputs():
    return torch.zeros(1, 64)
"""
COMMANDS = {
    "count": ("net.py:Net", "--format", "json", "-o", "out.json"),
    "time": ("time", "net.py:Net", "--budget", "2", "--format", "json", "-o", "out.json"),
    "check": ("check", "net.py:Net", "--base", "HEAD~1", "--time-budget", "2"),
    "reconcile": ("reconcile", "net.py:Net"),
}
ASK = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]  # Signals that ask a program to end.
SECONDS = {"count": 2.0, "time": 4.0, "check": 4.0, "reconcile": 3.0}  # Until the last signal.


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, encoding="utf-8").stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    for text in (MODEL, f"{MODEL}\n"):
        (folder / "net.py").write_text(text, encoding="utf-8")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "a model")
    return folder


def processes_of(folder: Path) -> Iterator[str]:
    """The command lines of processes with the folder in their environment."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if str(folder).encode() in (entry / "environ").read_bytes():
                    yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", COMMANDS)
def test_a_signal_leaves_nothing(project, environment, tmp_path, name, seed):
    chance = random.Random(f"{name} {seed}")
    number = signal.SIGKILL if seed == 2 else chance.choice(ASK)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    (project / "out.json").write_text('"old"', encoding="utf-8")
    folders = {variable: str(tmp_path / variable) for variable in ("XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HOME")}
    for folder in folders.values():
        Path(folder).mkdir(mode=0o700)
    running = subprocess.Popen(
        [sys.executable, "-m", "analyzer", *COMMANDS[name]],
        cwd=project,
        env={**environment, **folders, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    time.sleep(0.3 + chance.random() * SECONDS[name])  # Python itself takes up to 0.3 s to start.
    running.send_signal(number)
    out, err = running.communicate(timeout=60)

    end = time.monotonic() + 15
    while (left := list(processes_of(tmp_path))) and time.monotonic() < end:
        time.sleep(0.05)
    assert left == []
    assert "Traceback" not in out + err
    assert json.loads((project / "out.json").read_text(encoding="utf-8"))  # Old or whole.
    if number != signal.SIGKILL:
        assert running.returncode in (0, 1, 3, 130, -number)  # 0, 1 and 3: it ended before.
        assert git(project, "worktree", "list").count("\n") == 1
        kept = [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor_")]
        assert kept == [], "only torch's own cache"
        assert [path for path in project.rglob("*.part*") if path.is_file()] == []
