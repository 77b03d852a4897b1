"""Commands without the larger dependencies, and on a system without what only POSIX has, such as Windows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
HIDE = """
from importlib.machinery import PathFinder
import sys

find = PathFinder.find_spec
PathFinder.find_spec = classmethod(
    lambda cls, name, path=None, target=None: None if name.partition(".")[0] in HIDDEN else find(name, path, target)
)
for name in HIDDEN:
    sys.modules.pop(name, None)
"""
WITHOUT_PACKAGES = 'HIDDEN = ("torch", "fvcore", "pandas", "plotly", "numpy", "scipy", "sqlalchemy", "alembic")' + HIDE
WITHOUT_POSIX = f"""HIDDEN = ("fcntl", "resource", "pwd", "grp", "termios"){HIDE}
import os, signal, socket, subprocess

subprocess.Popen.kill = lambda process: process.send_signal(9)
for module, names in (
    (signal, "SIGKILL SIGALRM SIGHUP SIGCHLD SIGPIPE pthread_sigmask setitimer"),
    (os, "fork killpg setsid getpgid sched_setaffinity sched_getaffinity getloadavg O_NONBLOCK O_NOFOLLOW O_CLOEXEC"),
    (socket, "send_fds recv_fds"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
"""
NET = "from torch import nn\n\n\nclass Net(nn.Linear):\n    def __init__(self):\n        super().__init__(4, 2)\n"


def run(system: str, command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(system)
    (folder / "net.py").write_text(NET)
    environment = {**os.environ, "PYTHONPATH": f"{folder / 'site'}{os.pathsep}{ROOT}", "XDG_CACHE_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-P", "-m", "analyzer", *command.split()],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("system", "command"),
    [
        (WITHOUT_PACKAGES, "googlenet alexnet --train"),
        (WITHOUT_PACKAGES, "googlenet --memory"),
        (WITHOUT_PACKAGES, "claims"),
        (WITHOUT_PACKAGES, "check --variant nin"),
        (WITHOUT_PACKAGES, "report googlenet alexnet --charts none"),
        (WITHOUT_POSIX, "net.py --input 4"),
        (WITHOUT_POSIX, "report googlenet alexnet"),
        (WITHOUT_POSIX, "check --variant nin"),
        (WITHOUT_POSIX, "machine --no-peaks"),
    ],
)
def test_a_command_works(system, command, tmp_path):
    done = run(system, command, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("system", "command", "noun"),
    [
        (WITHOUT_PACKAGES, "net.py --input 4", "pip install torch"),
        (WITHOUT_PACKAGES, "googlenet --verify", "pip install torch"),
        (WITHOUT_PACKAGES, "time nin", "pip install numpy"),
        (WITHOUT_PACKAGES, "history list", "pip install sqlalchemy"),
        (WITHOUT_PACKAGES, "report googlenet alexnet", "pip install plotly"),
        (WITHOUT_PACKAGES, "check --self-test --variant nin", "scipy"),
        (WITHOUT_POSIX, "check --self-test --variant nin", "Linux"),
    ],
)
def test_a_command_that_cannot_run_says_in_one_line_what_is_missing(system, command, noun, tmp_path):
    done = run(system, command, tmp_path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert noun in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
