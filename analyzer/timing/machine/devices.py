"""Published specifications of devices, each with how well it is known. No torch."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, one_line


@cache
def devices() -> dict[str, dict[str, Any]]:
    """All devices by name. TFLOP/s count a multiply-add as 2; GB/s are decimal."""
    text = resources.files("analyzer.data").joinpath("devices.json").read_text(encoding="utf-8")
    return {device["name"]: device for device in json.loads(text)["devices"]}


def device(name: str) -> dict[str, Any]:
    """Finds a device by its name or a part of only one name. Otherwise raises AnalyzerError with the nearest names."""
    known = devices()
    if name in known:
        return known[name]
    matches = [candidate for candidate in known if name and name.lower() in candidate.lower()]
    if len(matches) == 1:
        return known[matches[0]]
    if matches:
        raise AnalyzerError(f"{one_line(name)!r} matches {', '.join(matches)}; give a longer name")
    raise AnalyzerError(f"no device {one_line(name)!r}; {nearest(name, known, max_shown=len(known))}")
