"""What tests of the command share: what was measured, without measuring."""

from __future__ import annotations

import pytest

from analyzer.cli.jobs import time as job
from analyzer.timing.driver.measure import Measured


@pytest.fixture
def pretend(monkeypatch):
    """`pretend(records)` – what was measured, without measuring."""

    def pretend(*records, complete=True):
        monkeypatch.setattr(job, "measured", lambda wanted, **how: Measured(tuple(records), complete))

    return pretend


@pytest.fixture
def googlenet():
    import analyzer

    return analyzer.count("googlenet")
