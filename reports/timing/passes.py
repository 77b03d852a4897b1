"""Measurement records as tables: whole passes, operators, modules, kernels and replays, with counts beside times.

Every figure has a quality in the caption or in its row; a part too short for the clock has no share.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, isinf

from analyzer.core.units import percent, plain, scaled, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Measurement
from analyzer.timing.statistics import interval
from reports.counting.network import MISSING
from reports.table import Cell, Column, Name, Table
from reports.timing.parts import (
    TOTAL,
    Limits,
    by_kind,
    cell_of,
    module_parts,
    modules,
    operators,
    share_of_macs,
    time_of,
    work,
)
from reports.timing.profile import kernels, replays

NOTES = (
    "Time: median of un-instrumented passes in fresh processes; ±: half its 95 % bootstrap interval. Speed: samples of "
    "a batch per second against the first. Parts: mean over the middle half of passes cut into operators, so that they "
    "add up to a pass, with half its interval; shares of MACs, then of time. FLOP/s: FLOPs (2 x MACs and all else; "
    "backward: 2 x its MACs) per second of time.",
)
AGAIN = "To be surer: run it again with nothing else running, or with a larger --budget and more --processes."
FIXED = "Fixed work: the same product and sum in every process. Where its times scatter too, it is the machine."
TRAINING = (
    "Training: a pass is a step of SGD with momentum. What computes the loss (cross entropy of a named network, else "
    "the sum of all outputs) is among the operators of the top level."
)
DEVICE = (
    "Device: the un-instrumented pass on a device that waits until all of it is issued; busy: of the pass as the host "
    "issues it. Parts are the device's own time too, less what the marks between them were measured to take."
)
KINDS = 5
ACROSS, MOST_ACROSS = 3, 6  # Settings side by side, and of how many modules are still shown.
SHORT = {
    "max_pool2d": "max pool",
    "avg_pool2d": "avg pool",
    "adaptive_avg_pool2d": "avg pool",
    "local_response_norm": "LRN",
    "batch_norm": "norm",
}


def tables(records: Sequence[Record], depth: int, limits: Limits = lambda record: None) -> list[Table]:
    """All cells side by side and what can be held against them; then what one cell is made of, or several, by kind."""
    timed = [record for record in records if record.measurement and record.measurement.whole]
    cut = [record for record in timed if sum(cell_of(record).parts.values()) > 0]
    found = [wholes(records), checks(timed)] if cut else [wholes(records)]
    if len(cut) == 1:
        found += [modules(cut[0], depth, limits(cut[0])), operators(cut[0], limits(cut[0]))]
    elif cut:
        found.append(kinds(cut))
        if len({record.label for record in cut}) == 1 and len(cut) <= MOST_ACROSS:
            found += beside(cut, depth)
    for record in timed:
        found += [*kernels(record, depth), *replays(record)]
    return found


def wholes(records: Sequence[Record]) -> Table:
    """A row a cell: time, interval, throughput, achieved rate, quality."""
    first = next((_per_s(one.measurement) for one in records if one.measurement and one.measurement.whole), None)
    shared, own = _labels(records)
    rows: list[tuple[Cell, ...]] = []
    for record, label in zip(records, own, strict=True):
        cell = cell_of(record)
        whole = cell.whole
        if whole is None or first is None:
            rows.append((Name(record.label), label, *[MISSING] * 3, cell.status, *[MISSING] * 3))
            continue
        low, high = interval(whole)
        time = whole.median_s
        rows.append(
            (
                Name(record.label),
                label,
                scaled(record.totals.macs, digits=3),
                seconds(time),
                MISSING if isinf(high) else percent(min((high - low) / 2 / time, 1.0)),
                cell.quality,
                f"{_per_s(cell) / first:.2f}x",
                scaled(_per_s(cell), digits=3),
                plain(work(record.rows) / time / 1e9),
            )
        )
    titles = (Column("model", "left"), Column("configuration", "left"))
    # A terminal too narrow leaves out columns from the right, and a time without its quality is none.
    figures = (Column("MACs"), Column("time"), Column("±"), Column("quality", "left"))
    said = [
        f"{_which(record, label)}: {text}"
        for record, label in zip(records, own, strict=True)
        for text in (cell_of(record).reason, *_of_parts(cell_of(record)), *cell_of(record).warnings, *record.notes)
        if text
    ]
    unsure = [cell for cell in map(cell_of, records) if cell.whole and {cell.quality, cell.trust[0]} != {"trusted"}]
    fixed = any("fixed work" in cell.reason for cell in unsure)
    again = [AGAIN + (f" {FIXED}" if fixed else "")] if unsure else []
    steps = [TRAINING] if any(cell_of(one).configuration.training for one in records) else []
    title = f"Time of a pass: {shared}"
    return Table(
        title,
        (*titles, *figures, Column("speed"), Column("per s"), Column("GFLOP/s")),
        tuple(rows),
        notes=(*said, *again, *steps, *NOTES),
    )


def _of_parts(cell: Measurement) -> list[str]:
    """Why its parts are not trusted, where that is another matter than why the pass is not."""
    why = cell.trust[1]
    return [f"the device alone: {why}"] if why and why != cell.reason else []


def _per_s(cell: Measurement) -> float:
    """Samples of a batch per second."""
    assert cell.whole is not None
    return cell.configuration.batch / cell.whole.median_s


def _which(record: Record, own: str) -> str:
    """A cell among others, by what sets it apart."""
    return f"{record.label}, {own if own != MISSING else cell_of(record).configuration.label}"


def _labels(records: Sequence[Record]) -> tuple[str, list[str]]:
    """What all settings have in common, and what each has of its own."""
    settings = [cell_of(record).configuration for record in records]
    columns = list(zip(*(configuration.words for configuration in settings), strict=True))
    differ = [len(set(column)) > 1 for column in columns]
    shared = [
        word for word in settings[0].label.split(", ") if all(word in configuration.words for configuration in settings)
    ]
    own = [
        ", ".join(word for word, tells in zip(configuration.words, differ, strict=True) if tells)
        for configuration in settings
    ]
    return ", ".join(shared), [label or MISSING for label in own]


def checks(records: Sequence[Record]) -> Table:
    """How well the parts of each cell add up, and what its figures rest on."""
    _, own = _labels(records)
    devices = any(cell_of(record).of("device") for record in records)
    rows: list[tuple[Cell, ...]] = []
    for record, label in zip(records, own, strict=True):
        cell, parts, whole = cell_of(record), cell_of(record).parts, cell_of(record).uncut
        assert whole is not None
        total = sum(parts.values())
        gap = sum(time for one, time in parts.items() if one.kind == "gap")
        sums = (f"{100 * total / whole.middle_s:.1f} %", percent(gap / total)) if total else (MISSING, MISSING)
        alone = _alone(cell) if devices else ()
        counts = (f"{len(whole.samples_s)}", f"{len(whole.processes)}", cell.trust[0])
        rows.append((Name(record.label), label, *alone, *sums, *counts))
    alone_columns = (Column("device"), Column("busy")) if devices else ()
    columns = (Column("model", "left"), Column("configuration", "left"), *alone_columns, Column("parts"), Column("gap"))
    counted = (Column("passes"), Column("processes"), Column("quality", "left"))
    note = (
        "Parts: their sum against the un-instrumented pass, both as means over the middle half; more than 3 % from "
        "100, the machine changed between the two, or cutting changes what runs. Gap: what lies between operators, in "
        "the sum. Passes, processes: with clean samples."
    )
    notes = (note, DEVICE) if devices else (note,)
    return Table("Do the parts add up?", (*columns, *counted), tuple(rows), notes=notes)


def _alone(cell: Measurement) -> tuple[str, str]:
    """What a device needs by itself, and its part of the pass."""
    found = next(iter(cell.of("device")), None)
    if found is None or cell.whole is None:
        return MISSING, MISSING
    return seconds(found.median_s), percent(found.median_s / cell.whole.median_s)


def beside(records: Sequence[Record], depth: int) -> list[Table]:
    """Of one model at several settings: what each module takes at each, three of them a table at the most."""
    _, own = _labels(records)
    found = [module_parts(record, depth) for record in records]
    names = {
        key: (name, share_of_macs(part, parts[TOTAL][1]))
        for parts in reversed(found)
        for key, (name, part) in parts.items()
    }
    keys = [key for key in dict.fromkeys(key for parts in found for key in parts) if key != TOTAL]
    tables = []
    across = ceil(len(records) / ceil(len(records) / ACROSS))
    for start in range(0, len(records), across):
        shown = range(start, min(start + across, len(records)))
        lines: list[tuple[Cell, ...]] = [
            (*names[key], *(time_of(found[at][key][1].seconds) if key in found[at] else MISSING for at in shown))
            for key in [*keys, TOTAL]
        ]
        titles = [
            own[at] + ("" if (quality := cell_of(records[at]).trust[0]) == "trusted" else f", {quality}")
            for at in shown
        ]
        columns = (Column("module", "left", "start"), Column("share of MACs"), *map(Column, titles))
        tables.append(Table(f"{records[0].label}: time by module", columns, tuple(lines), total=True))
    return tables


def kinds(records: Sequence[Record]) -> Table:
    """Of several cells: what part of the time each kind of operator takes, the kinds that take most anywhere first."""
    found = [by_kind(record) for record in records]
    wholes = [sum(part.seconds for part in one.values()) for one in found]
    shares = [
        {name: part.seconds / whole for name, part in one.items()} for one, whole in zip(found, wholes, strict=True)
    ]
    names = sorted({name for one in shares for name in one}, key=lambda name: -max(one.get(name, 0) for one in shares))
    shown = names[:KINDS]
    _, own = _labels(records)
    rows: list[tuple[Cell, ...]] = []
    for record, label, one in zip(records, own, shares, strict=True):
        rest = sum(share for name, share in one.items() if name not in shown)
        cells = [percent(one[name]) if name in one else MISSING for name in shown]
        rows.append((Name(record.label), label, *cells, percent(rest)))
    columns = (
        Column("model", "left"),
        Column("configuration", "left"),
        *(Column(SHORT.get(name, name)) for name in shown),
    )
    return Table("Share of the time, by kind of operator", (*columns, Column("rest")), tuple(rows))
