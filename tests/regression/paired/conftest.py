"""A project in a git repository, with a small model whose number of layers a commit can change."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.core import lock

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Linear(64, 64) for _ in range({layers})))

    def forward(self, x):
        return self.layers(x)


def Net_inputs():
    return torch.zeros(8, 64),
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    process = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return process.stdout.strip()


@pytest.fixture
def commit(project, tmp_path: Path) -> Callable[..., str]:
    """`commit(layers=4)` commits a model with that many layers, and returns the commit."""
    project('models = ["net.py:Net"]')
    git(tmp_path, "init", "--quiet", "--initial-branch=main")

    def write(layers: int | None = 4, **files: str) -> str:
        if layers is not None:
            files["net.py"] = NET.format(layers=layers)
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        git(tmp_path, "add", "--all")
        git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "change")
        return git(tmp_path, "rev-parse", "HEAD")

    return write


@pytest.fixture(autouse=True)
def separate_lock(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test waits for another check on this machine."""
    folder = tmp_path_factory.mktemp("lock")
    monkeypatch.setattr(lock, "lock_path", lambda name="check": folder / name)
    return folder / "check"


@pytest.fixture(autouse=True)
def temporary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for worktrees, so that a test can see whether one is left."""
    folder = tmp_path_factory.mktemp("trees")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder
