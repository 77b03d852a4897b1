"""A sweep whose driver, scheduler and child are killed has each result once."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.database.store import open_store
from tests.sweeps.cluster.chaos import sweep_under_fire

pytest.importorskip("distributed")


@pytest.mark.slow
def test_each_result_is_stored_once_whatever_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`benchmarks/cluster.py` kills ten processes of a sweep of 60."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = tmp_path / "results.sqlite"
    messages = sweep_under_fire(tmp_path, 16, ["driver", "scheduler", "child"], 0, path)
    assert len(messages) >= 2
    with open_store(str(path)) as store:
        rows = list(store.select())
    assert sorted(row["batch"] for row in rows) == list(range(1, 17))
    assert len({row["run"] for row in rows}) == 1
    assert {row["status"] for row in rows} == {"ok"}
