"""A machine's fingerprint and its measured peaks as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Any

from analyzer.core.units import counted, percent, rate, scaled, times
from analyzer.timing.machine.roofline import device_of, emulated_types
from reports.table import MISSING, Cell, Column, Row, Table, columns

LINE = 62  # Width of the second column, in 80.
UNITS = {"_w": " W", "_mhz": " MHz"}
UNKNOWN = "unknown"
TF32 = (
    "tf32: float32 products with a 10-bit mantissa. PyTorch's convolutions use it while "
    "torch.backends.cudnn.allow_tf32 is set (the default); its matrix products do not. Times are GPU time, without "
    "launch overhead."
)
SIGNALS = {
    "others": "runnable threads of other processes",
    "waited_s": "run-queue wait of macscope's threads",
    "queued_s": "CPU pressure",
    "own_s": "CPU time of macscope",
    "busy_s": "CPU time of others",
    "stolen_s": "steal time",
    "throttled": "quota throttling",
}


def tables(environment: Mapping[str, Any], peaks: Sequence[Mapping[str, Any]], *, wrapped: bool = True) -> list[Table]:
    """The fingerprint, and one table of peaks per device. `wrapped` breaks long values into lines, for a terminal."""
    devices = dict.fromkeys(device_of(peak) for peak in peaks)
    return [
        _fingerprint(environment, wrapped),
        *(_peaks(device, [peak for peak in peaks if device_of(peak) == device]) for device in devices),
    ]


def _fingerprint(environment: Mapping[str, Any], wrapped: bool) -> Table:
    processor, torch, system = environment["processor"], environment["torch"], environment["system"]
    usable = len(processor["affinity"] or []) or "all"
    memory_bytes, mhz, quota = environment["memory_bytes"], processor["mhz"], processor["quota"]
    values: dict[str, Any] = {
        "processor": processor["model"],
        "family": " ".join(processor["family"]),
        "instructions": " ".join(processor["flags"]),
        "caches": "; ".join(map(_cache, processor["caches"])),
        "processors": f"{processor['count']}, {usable} of them for this process",
        "cores": _cores(processor),
        "quota": f"{quota:g} processors" if quota else "none found",
        "governor": processor["governor"],
        "clock": f"{mhz:.0f} MHz as reported" if mhz else None,
        "memory": f"{memory_bytes / 2**30:.1f} GiB" if memory_bytes else None,
        "huge pages": environment.get("huge_pages"),
        "allocator": environment["allocator"],
        "variables": ", ".join(f"{key}={value}" for key, value in environment["environment"].items()) or "none set",
        "system": f"{system['os']} {system['kernel']} {system['architecture']}",
        "python": environment["python"],
        "torch": f"{torch['version']}, {torch['capability']}, {torch['blas'] or 'unknown BLAS'}",
        "libraries": "; ".join(torch["libraries"]),
        "contention": ", ".join(SIGNALS[name] for name in environment.get("signals", ()) if name in SIGNALS),
    }
    values |= {f"GPU {number}": _gpu(gpu) for number, gpu in enumerate(environment.get("gpus", ()))}
    rows: list[Row] = []
    for key, value in values.items():
        text = str(value) if value else UNKNOWN
        lines = wrap(text, LINE, break_on_hyphens=False) if wrapped else [text]
        rows += [(Cell("" if number else key), line) for number, line in enumerate(lines)]
    return Table("This machine", columns("property", "value", left=("value",)), tuple(rows))


def _cache(cache: Mapping[str, Any]) -> str:
    shared = f" of processors {cache['shared']}" if cache["shared"] else ""
    return f"L{cache['level']} {cache['kind']} {cache['bytes'] // 1024} KiB{shared}"


def _gpu(gpu: Mapping[str, Any]) -> str:
    """Name and memory, then every other known property."""
    properties = []
    for key, value in gpu.items():
        if value is not None and key not in ("name", "memory_bytes", "l2_bytes"):
            unit = next((text for suffix, text in UNITS.items() if key.endswith(suffix)), "")
            title = key.removesuffix(f"_{unit.strip().lower()}").replace("_", " ")
            properties.append(f"{title} {value:.0f}{unit}" if unit else f"{title} {value}")
    return ", ".join([gpu["name"], f"{gpu['memory_bytes'] / 2**30:.1f} GiB", *properties])


def _cores(processor: Mapping[str, Any]) -> str | None:
    if not processor.get("cores"):
        return None
    sockets, virtual = processor.get("sockets") or 1, ", in a virtual machine" if processor.get("virtual") else ""
    return f"{processor['cores']} in {counted(sockets, 'socket')}{virtual}"


def _peaks(device: str, peaks: Sequence[Mapping[str, Any]]) -> Table:
    """A column per thread count of a CPU; a GPU has a single column."""
    threads = sorted({peak["threads"] for peak in peaks})
    by_key = {(peak["name"], peak["threads"]): peak for peak in peaks}
    titles = {
        peak["name"]: f"matrix product {peak['name']}" if peak["unit"] == "FLOP" else peak["name"] for peak in peaks
    }
    rows: list[Row] = [
        (Cell(title), *(cell for count in threads for cell in _peak_cells(by_key.get((name, count)))))
        for name, title in titles.items()
    ]
    headings = [counted(count, "thread") for count in threads] if device == "cpu" else ["peak rate"]
    spread_columns = [column for heading in headings for column in (Column(heading), Column("spread"))]
    void = [peak for peak in peaks if peak.get("quality") == "void"]
    notes = [f"void: {void[0]['reason']} during the measurement, so the peaks are too low"] if void else []
    notes += [
        f"{name} is emulated: its products are {times(ratio)} slower than float32's"
        for name, ratio in emulated_types(peaks).items()
    ]
    notes.append(
        "FLOP/s count a MAC as 2. Bandwidth counts bytes read and written: copy 2 per byte, triad (a = b + 3c) 3. The "
        "cost of a call is subtracted; levels too small to be measured are left out."
    )
    if device != "cpu":
        notes.append(TF32)
    title = "Measured peaks" if device == "cpu" else f"Measured peaks of {device}"
    return Table(title, (Column("peak", "left"), *spread_columns), tuple(rows), notes=tuple(notes))


def _peak_cells(peak: Mapping[str, Any] | None) -> tuple[str, str]:
    if peak is None or not peak["value"]:
        return MISSING, MISSING
    text = rate(peak["value"], "FLOP") if peak["unit"] == "FLOP" else f"{scaled(peak['value'], digits=3)}B/s"
    return text, "void" if peak.get("quality") == "void" else percent(peak["spread"])
