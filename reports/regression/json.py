"""A check as JSON: the envelope of every command, with a list of changes."""

from __future__ import annotations

from typing import Any

from analyzer.records.envelope import SCHEMA_VERSION, pretty
from analyzer.regression.outcome import Change, CheckResult

KEYS = ("model", "path", "metric", "before", "after", "ratio", "low", "high", "outcome", "mode", "op", "call", "budget")


def dump(result: CheckResult) -> str:
    """The envelope as text, with a final newline."""
    fields = result.json_fields()
    records = fields.pop("records", [])
    changes = [change_to_json(change) for change in result.changes]
    envelope = {"schema_version": SCHEMA_VERSION, "status": result.status, **fields, "changes": changes}
    return pretty({**envelope, "records": records}) + "\n"


def change_to_json(change: Change) -> dict[str, Any]:
    return {key: getattr(change, key) for key in KEYS}
