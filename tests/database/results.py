"""Results for the tests of the database."""

from __future__ import annotations

from typing import Any

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from analyzer.records.record import Record
from analyzer.records.sweep_result import Case, Result
from analyzer.records.timings import Configuration

NIN = count_variant(variant("nin"))


def result(key: str, record: Record | None = NIN, *, batch: int = 1, model: str = "nin", **changes: Any) -> Result:
    """A result of the run "sweep"; without a record a failed one."""
    fields: dict[str, Any] = {
        "key": key,
        "case": Case(model=model, configuration=Configuration(batch=batch, threads=2)),
        "status": "ok" if record else "failed",
        "reason": "" if record else "out of memory",
        "record": record,
        "run": "sweep",
        "host": "alpha",
        "started": "2026-01-02T03:04:05.000Z",
        "ended": "2026-01-02T03:04:06.500Z",
    }
    return Result(**{**fields, **changes})
