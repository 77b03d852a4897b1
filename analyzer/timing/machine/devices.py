"""Published figures of devices, each with how well it is known. No torch."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, one_line


@cache
def devices() -> dict[str, dict[str, Any]]:
    """Every device by name. TFLOP/s count a multiply-add as 2; GB/s are decimal."""
    text = resources.files("analyzer.data").joinpath("devices.json").read_text(encoding="utf-8")
    return {device["name"]: device for device in json.loads(text)["devices"]}


def device(name: str) -> dict[str, Any]:
    """By name, or by a part of it that only one has. Raises AnalyzerError with the nearest for any other."""
    known = devices()
    found = [one for one in known if name and name.lower() in one.lower()]
    if name in known or len(found) == 1:
        return known[name] if name in known else known[found[0]]
    if found:
        raise AnalyzerError(f"{one_line(name)!r} may be any of {', '.join(found)}; give more of the name")
    raise AnalyzerError(f"no device {one_line(name)!r}; {nearest(name, known, shown=len(known))}")
