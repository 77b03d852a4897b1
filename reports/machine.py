"""A machine's fingerprint and its measured ceilings as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.timing.roofline import emulated
from analyzer.units import percent, rate, scaled
from reports.table import Cell, Column, Name, Table
from reports.views import MISSING


def tables(found: Mapping[str, Any], peaks: Sequence[Mapping[str, Any]]) -> list[Table]:
    """What it is, and what it reaches."""
    return [_fingerprint(found), *([_peaks(peaks)] if peaks else [])]


def _fingerprint(found: Mapping[str, Any]) -> Table:
    processor, torch, system = found["processor"], found["torch"], found["system"]
    caches = ", ".join(f"L{one['level']} {one['kind']} {one['bytes'] // 1024} KiB" for one in processor["caches"])
    lines: dict[str, Any] = {
        "processor": processor["model"],
        "family": " ".join(processor["family"]),
        "instructions": " ".join(processor["flags"]),
        "caches": caches,
        "processors": f"{processor['count']}, {len(processor['affinity'] or []) or 'all'} of them for this process",
        "quota": processor["quota"],
        "governor": processor["governor"],
        "clock": f"{processor['mhz']:.0f} MHz as reported" if processor["mhz"] else None,
        "memory": f"{found['memory_bytes'] / 2**30:.1f} GiB" if found["memory_bytes"] else None,
        "allocator": found["allocator"],
        "variables": ", ".join(f"{key}={value}" for key, value in found["environment"].items()) or "none set",
        "system": f"{system['os']} {system['kernel']} {system['architecture']}",
        "python": found["python"],
        "torch": f"{torch['version']}, {torch['capability']}, {torch['blas'] or 'unknown BLAS'}",
        "contention seen by": ", ".join(found.get("signals", [])[3:]) or "processor time only",
    }
    if gpu := found.get("gpu"):
        lines["GPU"] = ", ".join(f"{key} {value}" for key, value in gpu.items() if value is not None)
    lines |= {f"library {number}": text for number, text in enumerate(torch["libraries"], start=1)}
    rows = tuple((Name(key), str(value) if value else "unknown") for key, value in lines.items())
    return Table("This machine", (Column("what", "left"), Column("it is", "left")), rows)


def _peaks(peaks: Sequence[Mapping[str, Any]]) -> Table:
    threads = sorted({peak["threads"] for peak in peaks})
    names = list(dict.fromkeys(peak["name"] for peak in peaks))
    by = {(peak["name"], peak["threads"]): peak for peak in peaks}
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (
            Name(f"matrix product {name}" if by_unit(by, name) == "FLOP" else name),
            *(cell for count in threads for cell in _cells(by.get((name, count)))),
        )
        for name in names
    )
    heads = [column for n in threads for column in (Column(f"{n} thread{'s' if n > 1 else ''}"), Column("spread"))]
    columns = (Column("peak", "left"), *heads)
    slow = [
        f"{name} is emulated here: its products are {times:.0f} times slower than float32's"
        for name, times in emulated(peaks).items()
    ]
    notes = (
        *slow,
        "FLOP/s count a multiply-add as 2. Bandwidth counts bytes read and written: copy 2 a byte, triad (a = b + 3c) "
        "3; the cost of a call is taken off, and a level too small to be seen beside it is left out.",
    )
    return Table("What it reaches, measured now", columns, rows, notes=notes)


def by_unit(by: Mapping[tuple[str, int], Mapping[str, Any]], name: str) -> str:
    return next(str(peak["unit"]) for (one, _), peak in by.items() if one == name)


def _cells(peak: Mapping[str, Any] | None) -> tuple[str, str]:
    if peak is None or not peak["value"]:
        return MISSING, MISSING
    unit = peak["unit"]
    text = rate(peak["value"], "FLOP") if unit == "FLOP" else f"{scaled(peak['value'], digits=3)}B/s"
    return text, percent(peak["spread"])
