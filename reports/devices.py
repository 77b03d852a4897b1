"""The table and JSON of `analyze list devices`: published specifications, and how well each is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.errors import one_line
from reports.table import MISSING, Cell, Table, columns

RATES = (("fp32_tflops", "float32"), ("tf32_tflops", "TF32"), ("fp16_tflops", "float16"), ("bf16_tflops", "bfloat16"))


def table(devices: Sequence[Mapping[str, Any]]) -> Table:
    """TFLOP/s by type, memory bandwidth and memory."""
    rows = tuple(
        (
            one_line(device["name"]),
            *(_number(device.get(key)) for key, _ in RATES),
            _number(device.get("dram_gb_per_s")),
            _number(device.get("memory_gb")),
            one_line(device["confidence"]),
        )
        for device in devices
    )
    titles = [*(title for _, title in RATES), "GB/s", "GB", "known"]
    notes = (
        "TFLOP/s of dense products, a multiply-add as 2. --format json has the sources and notes of each.",
        "--against and --device take a name, a part of only one name, or a file NAME.toml; see docs/machine.md.",
    )
    return Table(
        "Devices: TFLOP/s by type, memory bandwidth and memory",
        columns("name", *titles, left={"known"}),
        rows,
        notes=notes,
    )


def _number(value: float | None) -> Cell | str:
    return MISSING if value is None else Cell(f"{value:,.6g}", value)


def dump(devices: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"devices": list(devices)}, indent=1, ensure_ascii=False) + "\n"
