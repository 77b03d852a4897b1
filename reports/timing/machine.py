"""A machine's fingerprint and its measured ceilings as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from analyzer.core.units import percent, rate, scaled
from analyzer.timing.machine.roofline import emulated, on_device
from reports.counting.network import MISSING
from reports.table import Cell, Column, Name, Table

LINE = 62  # Beside the names, in 80 columns.
UNITS = {"_w": " W", "_mhz": " MHz"}
TF32 = (
    "tf32: products of float32 with 10 bits of fraction, which torch's convolutions take where "
    "torch.backends.cudnn.allow_tf32 is set, as it is by default; its matrix products do not. Times are the device's "
    "own: none waits for a launch."
)
SIGNALS = {
    "others": "what runs or wants to",
    "waited_s": "how long our threads waited",
    "queued_s": "how long anyone did",
    "own_s": "our own processor time",
    "busy_s": "what others used",
    "stolen_s": "what the hypervisor took",
    "throttled": "the quota's stops",
}


def tables(found: Mapping[str, Any], peaks: Sequence[Mapping[str, Any]], *, wrapped: bool = True) -> list[Table]:
    """What it is, and what it reaches. `wrapped` is for a terminal: a row a line of it, not a row a thing."""
    named = dict.fromkeys(on_device(peak) for peak in peaks)
    own = {name: [peak for peak in peaks if on_device(peak) == name] for name in named}
    return [_fingerprint(found, wrapped), *(_peaks(name, some) for name, some in own.items())]


def _fingerprint(found: Mapping[str, Any], wrapped: bool) -> Table:
    processor, torch, system = found["processor"], found["torch"], found["system"]
    usable = len(processor["affinity"] or []) or "all"
    lines: dict[str, Any] = {
        "processor": processor["model"],
        "family": " ".join(processor["family"]),
        "instructions": " ".join(processor["flags"]),
        "caches": "; ".join(map(_cache, processor["caches"])),
        "processors": f"{processor['count']}, {usable} of them for this process",
        "cores": _cores(processor),
        "quota": f"{processor['quota']:g} processors" if processor["quota"] else "no limit found",
        "governor": processor["governor"],
        "clock": f"{processor['mhz']:.0f} MHz as reported" if processor["mhz"] else None,
        "memory": f"{found['memory_bytes'] / 2**30:.1f} GiB" if found["memory_bytes"] else None,
        "huge pages": found.get("huge_pages"),
        "allocator": found["allocator"],
        "variables": ", ".join(f"{key}={value}" for key, value in found["environment"].items()) or "none set",
        "system": f"{system['os']} {system['kernel']} {system['architecture']}",
        "python": found["python"],
        "torch": f"{torch['version']}, {torch['capability']}, {torch['blas'] or 'unknown BLAS'}",
        "libraries": "; ".join(torch["libraries"]),
        "neighbours seen": ", ".join(SIGNALS[name] for name in found.get("signals", ()) if name in SIGNALS),
    }
    for number, gpu in enumerate(found.get("gpus", ())):
        lines[f"GPU {number}"] = _gpu(gpu)
    texts = {key: str(value) if value else "not told" for key, value in lines.items()}
    rows = tuple(row for key, text in texts.items() for row in (_rows(key, text) if wrapped else [(Name(key), text)]))
    return Table("This machine", (Column("what", "left"), Column("it is", "left")), rows)


def _rows(key: str, text: str) -> list[tuple[Cell, ...]]:
    """As many lines as a text takes: none of it may be cut off, since the end of it may be what differs."""
    lines = wrap(text, LINE, break_on_hyphens=False) or [""]
    return [(Name("" if index else key), line) for index, line in enumerate(lines)]


def _cache(one: Mapping[str, Any]) -> str:
    shared = f" of processors {one['shared']}" if one["shared"] else ""
    return f"L{one['level']} {one['kind']} {one['bytes'] // 1024} KiB{shared}"


def _gpu(one: Mapping[str, Any]) -> str:
    """Its name and memory first, then whatever else is told of it."""
    rest = []
    for key, value in one.items():
        if value is not None and key not in ("name", "memory_bytes", "l2_bytes"):
            unit = next((text for end, text in UNITS.items() if key.endswith(end)), "")
            title = key.removesuffix(f"_{unit.strip().lower()}").replace("_", " ")
            rest.append(f"{title} {value:.0f}{unit}" if unit else f"{title} {value}")
    return ", ".join([one["name"], f"{one['memory_bytes'] / 2**30:.1f} GiB", *rest])


def _cores(processor: Mapping[str, Any]) -> str | None:
    if not processor.get("cores"):
        return None
    sockets, virtual = processor.get("sockets") or 1, ", in a virtual machine" if processor.get("virtual") else ""
    return f"{processor['cores']} in {sockets} socket{'s' if sockets != 1 else ''}{virtual}"


def _peaks(device: str, peaks: Sequence[Mapping[str, Any]]) -> Table:
    """Of the processor a column a thread count; a GPU has one alone."""
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
    titles = [f"{n} thread{'s' if n > 1 else ''}" for n in threads] if device == "cpu" else ["at most"]
    heads = [column for title in titles for column in (Column(title), Column("spread"))]
    columns = (Column("peak", "left"), *heads)
    slow = [
        f"{name} is emulated here: its products are {times:.0f} times slower than float32's"
        for name, times in emulated(peaks).items()
    ]
    void = [peak for peak in peaks if peak.get("quality") == "void"]
    notes = (
        *([f"void: {void[0]['reason']} while they were measured, so they are too low"] if void else []),
        *slow,
        "FLOP/s count a multiply-add as 2. Bandwidth counts bytes read and written: copy 2 a byte, triad (a = b + 3c) "
        "3; the cost of a call is taken off, and a level too small to be seen beside it is left out.",
    )
    title = "What it reaches, measured now" if device == "cpu" else f"What {device} reaches, measured now"
    return Table(title, columns, rows, notes=notes if device == "cpu" else (*notes, TF32))


def by_unit(by: Mapping[tuple[str, int], Mapping[str, Any]], name: str) -> str:
    return next(str(peak["unit"]) for (one, _), peak in by.items() if one == name)


def _cells(peak: Mapping[str, Any] | None) -> tuple[str, str]:
    if peak is None or not peak["value"]:
        return MISSING, MISSING
    unit = peak["unit"]
    text = rate(peak["value"], "FLOP") if unit == "FLOP" else f"{scaled(peak['value'], digits=3)}B/s"
    return text, "void" if peak.get("quality") == "void" else percent(peak["spread"])
