"""What a run teaches about its settings: a layout, type or thread count that was measured to be slower than another."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import factor
from analyzer.records.record import Record
from analyzer.records.timings import Setting
from analyzer.timing.statistics import interval

SLOWER = 1.05  # Below that the difference may be this machine's mood; and their intervals must lie apart.
KNOBS = {"layout": "layout", "dtype": "type", "threads": "thread count"}
# Instructions of which one must be there, or a type is computed by converting it: up to a hundred times slower.
NATIVE = {
    "bfloat16": {"avx512_bf16", "amx_bf16", "bf16"},
    "float16": {"avx512_fp16", "amx_fp16", "asimdhp"},
}


def advice(record: Record, records: Sequence[Record]) -> list[str]:
    """A type that this processor emulates, more threads than processors; for each knob, the best cell that differs in
    that knob alone, if it is faster."""
    cell = record.cell
    if cell is None:
        return []
    said = []
    flags, wanted = record.environment.get("processor", {}).get("flags"), NATIVE.get(cell.setting.dtype)
    if cell.setting.device == "cpu" and flags and wanted and not wanted.intersection(flags):
        said.append(f"this processor has no instructions for {cell.setting.dtype} and emulates it")
    processor = record.environment.get("processor", {})
    usable = len(processor.get("affinity") or []) or processor.get("count") or cell.setting.threads
    if cell.setting.device == "cpu" and cell.setting.threads > usable:
        said.append(f"more threads than the {usable} processors take turns on them")
    if cell.whole is None or cell.verdict == "void":
        return said
    for knob, title in KNOBS.items():
        others = [
            other
            for other in records
            if other.label == record.label and other.cell and other.cell.whole and other.cell.verdict != "void"
            and _differ_in(cell.setting, other.cell.setting) == {knob}
        ]  # fmt: skip
        best = min(others, key=lambda other: other.cell.whole.median_s, default=None)  # type: ignore[union-attr]
        if best and best.cell and best.cell.whole:
            gain = cell.whole.median_s / best.cell.whole.median_s
            if gain >= SLOWER and interval(cell.whole)[0] > interval(best.cell.whole)[1]:
                mine, theirs = getattr(cell.setting, knob), getattr(best.cell.setting, knob)
                noisy = [cell.verdict, best.cell.verdict].count("noisy")
                doubt = ("", ", but one of the two is noisy", ", but both are noisy")[noisy]
                said.append(f"{title} {theirs} was measured {factor(gain)} faster than {mine}{doubt}")
    return said


def _differ_in(one: Setting, other: Setting) -> set[str]:
    return {name for name in Setting.fields if getattr(one, name) != getattr(other, name)}
