"""Stand-ins for measuring, for tests of the command."""

from __future__ import annotations

import pytest

from analyzer.cli.jobs import time as job
from analyzer.timing.driver.time_configurations import TimedRun


@pytest.fixture
def pretend(monkeypatch):
    """`pretend(*records)`: `analyze time` measures nothing and returns these records."""

    def pretend(*records, complete=True):
        monkeypatch.setattr(job, "time_requests", lambda requests, **options: TimedRun(tuple(records), complete))

    return pretend


@pytest.fixture
def googlenet():
    import analyzer

    return analyzer.count("googlenet")
