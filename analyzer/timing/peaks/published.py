"""Published peaks of devices, FLOP/s and bytes/s, each with how well it is known, and those of a file. No torch."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.files import read_text

FILES = ("devices.json", "accelerators.json")  # The first equals a reference of others, entry by entry.
SHORT = {  # Short names that several devices have: the board of a server, with the larger memory.
    "a100": "A100 SXM4 80GB",
    "h100": "H100 SXM5 80GB",
    "v100": "Tesla V100 SXM2",
}
NUMBERS = ("fp32_tflops", "tf32_tflops", "fp16_tflops", "bf16_tflops", "dram_gb_per_s", "memory_gb")
TEXTS = ("name", "kind", "note")


@cache
def devices() -> dict[str, dict[str, Any]]:
    """All devices by name. TFLOP/s count a multiply-add as 2; GB/s are decimal."""
    texts = (resources.files("analyzer.data").joinpath(file).read_text(encoding="utf-8") for file in FILES)
    return {device["name"]: device for text in texts for device in json.loads(text)["devices"]}


def device(name: str) -> dict[str, Any]:
    """Finds a device by its name or a part of only one name or a key of SHORT, or reads it from a file `NAME.toml`.

    Raises AnalyzerError with the nearest names if there is none, and for a file that does not describe a device.
    """
    if name.endswith(".toml"):
        return _from_file(Path(name))
    known = devices()
    name = SHORT.get(name.lower(), name)
    if name in known:
        return known[name]
    text = name.lower()
    matches = (
        [candidate for candidate in known if text == candidate.lower()]
        or [candidate for candidate in known if text in candidate.lower().split()]
        or [candidate for candidate in known if text and text in candidate.lower()]
    )
    if len(matches) == 1:
        return known[matches[0]]
    if matches:
        raise AnalyzerError(f"{one_line(name)!r} matches {', '.join(matches)}; give a longer name")
    raise AnalyzerError(f"no device {one_line(name)!r}; {nearest(name, known)}; see analyze list devices")


def _from_file(path: Path) -> dict[str, Any]:
    """`name = "…"` and some of NUMBERS, such as `bf16_tflops = 989` and `dram_gb_per_s = 3350`."""
    try:
        data = tomllib.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AnalyzerError(f"cannot read the device {quoted(str(path))}: {one_line(reason or error)}") from None
    for key, value in data.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e9
        if key in NUMBERS and not is_number:
            raise AnalyzerError(f"{quoted(str(path))}: {key} is {one_line(repr(value))}; wanted a positive number")
        if key in TEXTS and not (isinstance(value, str) and value.strip()):
            raise AnalyzerError(f"{quoted(str(path))}: {key} is {one_line(repr(value))}; wanted a text")
        if key not in (*NUMBERS, "name", "kind", "sources", "note"):
            raise AnalyzerError(f"{quoted(str(path))}: unknown key {quoted(key)}; known: name, {', '.join(NUMBERS)}")
    if "dram_gb_per_s" not in data or not any(key in data for key in NUMBERS[:4]):
        raise AnalyzerError(f"{quoted(str(path))}: wanted dram_gb_per_s and one of {', '.join(NUMBERS[:4])}")
    return {"kind": "device", "confidence": "given in a file", **data, "name": str(data.get("name", path.stem))}
