"""A project in a repository of its own, with a small model of which a commit makes more."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from analyzer.regression.paired import lock

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
    named = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *named, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def commit(project, tmp_path: Path) -> Callable[..., str]:
    """`commit(layers=4)` writes the model with so many layers into the project's repository; returns the commit."""
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
def own_lock(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No test waits for a check that somebody runs on this machine."""
    path = tmp_path_factory.mktemp("lock") / "lock"
    monkeypatch.setattr(lock, "place", lambda: path)
    return path


@pytest.fixture(autouse=True)
def own_temporary(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where worktrees go, so that a test sees whether one was left."""
    folder = tmp_path_factory.mktemp("trees")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder
