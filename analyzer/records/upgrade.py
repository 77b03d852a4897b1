"""Records of earlier schema versions, with today's keys: files that users keep stay readable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def upgrade_from_1(record: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 2 renamed the keys of timed records: setting, trust and verdict."""
    data = dict(record)
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
    data["timings"] = [_renamed(timing, {"verdict": "quality"}) for timing in data["timings"]]
    return data


def _renamed(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in data.items()}
