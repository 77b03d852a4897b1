"""A fleet per module, whose machine lock is not that of other timings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sweeps.cluster.fleets import Fleet


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    """A scheduler; a test starts its workers."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with Fleet(tmp_path) as fleet:
        fleet.start_scheduler()
        yield fleet
