"""Reads records of earlier schema versions: files that users keep stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

KINDS = {"whole": "pass", "tile": "operator", "gap": "overhead", "reference": "reference_workload"}


def upgrade_from_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 2 renamed keys of timed records (setting, trust, verdict), four timing kinds, and the memory keys of
    modules."""
    data = dict(record)
    if "memory" in data:
        data["memory"] = {**data["memory"], "modules": list(map(_module_memory, data["memory"]["modules"]))}
    if "timings" not in data:
        return data
    quality = dict(data.pop("trust"))
    data["measurement"] = {
        "configuration": data.pop("setting"),
        "quality": quality["verdict"],
        "reason": quality["reason"],
        "status": quality["status"],
        "warnings": data.pop("warnings"),
    }
    data["timings"] = list(map(_timing, data["timings"]))
    return data


def _module_memory(module: Mapping[str, Any]) -> dict[str, Any]:
    return {"path": module["path"], "allocated": module["made"], "peak": module["highest"]}


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    data = {**timing, "quality": timing["verdict"], "kind": KINDS.get(timing["kind"], timing["kind"])}
    del data["verdict"]
    if timing["op"] == timing["kind"]:  # Overhead and the reference workload are their own operator.
        data["op"] = data["kind"]
    return data
