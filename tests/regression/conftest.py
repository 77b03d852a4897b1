"""A project of its own for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, {width})
        self.last = nn.Linear({width}, 2)

    def forward(self, x):
        return self.last(self.first(x).relu())


def Net_inputs():
    return torch.zeros(1, {features}),
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """`project('models = ["nin"]')` writes the settings, and the test runs in that folder; outside of any CI."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def write(settings: str = 'models = ["nin"]') -> Path:
        (tmp_path / "pyproject.toml").write_text(f"[tool.analyzer.check]\n{settings}\n", encoding="utf-8")
        return tmp_path

    return write


@pytest.fixture
def net() -> Callable[..., None]:
    """Writes `net.py`, a model of two linear layers whose hidden width is asked for, into the current folder."""

    def write(width: int = 8, features: int = 4) -> None:
        Path("net.py").write_text(NET.format(width=width, features=features), encoding="utf-8")

    return write
