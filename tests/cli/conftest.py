"""The folder that commands of the history and the report run in."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.database.store import VARIABLE


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an empty project whose store is the default one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path
