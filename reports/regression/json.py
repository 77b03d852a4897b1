"""A check as JSON: the one envelope, with a list of verdicts and a line a model and mode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.records.envelope import SCHEMA_VERSION, pretty, record_to_json
from analyzer.regression.counts.gate import Held
from analyzer.regression.counts.result import Result
from analyzer.regression.counts.snapshot import Key
from analyzer.regression.verdict import Verdict


def dump(result: Result) -> str:
    """The envelope as text, with a final newline."""
    envelope = {
        "schema_version": SCHEMA_VERSION,
        "status": result.status,
        "baseline": {"path": result.baseline, "exists": result.exists, "updated": result.updated},
        "tolerance": result.tolerance,
        "verdicts": [to_json(verdict) for verdict in result.verdicts],
        "models": [_held(one, result) for one in result.held],
        "records": [record_to_json(record) for one in result.candidates for record in one.records.values()],
    }
    return pretty(envelope) + "\n"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """DESIGN's fields first; the ratio is computed here, since a reader of JSON cannot ask for it."""
    first = ("model", "path", "metric", "before", "after", "ratio", "low", "high", "outcome")
    return {key: getattr(verdict, key) for key in (*first, "mode", "op", "call", "budget")}


def _held(one: Held, result: Result) -> dict[str, Any]:
    error = next((c.error for c in result.candidates if c.model == one.model), None)
    return {
        "model": one.model,
        "mode": one.mode,
        "outcome": one.outcome,
        "reason": one.reason or None,
        "error": str(error) if error else None,
        "added": _keys(one.added),
        "removed": _keys(one.removed),
        "moved": [{"from": _key(old), "to": _key(new)} for old, new in one.moved],
        "unknown_ops": dict(one.unknown_ops),
    }


def _keys(keys: Sequence[Key]) -> list[dict[str, Any]]:
    return [_key(key) for key in keys]


def _key(key: Key) -> dict[str, Any]:
    return dict(zip(("path", "op", "call"), key, strict=True))
