"""Timed records of a few operators, and the texts of their tables."""

from __future__ import annotations

import analyzer
from analyzer.records.record import Record
from analyzer.records.rows import Count
from analyzer.records.timings import Configuration, Measurement, Timing
from reports.table import cell_text


def row(path, op, macs, call=1):
    """An operator with 2 FLOPs per MAC."""
    return analyzer.count("nin").rows[0].replace(path=path, role=path, op=op, call=call, macs=macs, flops=2 * macs)


def timing(path, op, seconds, kind="operator", phase="forward"):
    return Timing(path, op, 1, kind, phase, (seconds,) * 4, "trusted", "", (4,))


def overhead(seconds, phase="forward"):
    return timing("", "overhead", seconds, "overhead", phase)


def record(rows, *timings, mode="inference"):
    """A pass as long as its operators and overhead together."""
    total_s = sum(part.median_s for part in timings if part.kind in ("operator", "overhead"))
    measurement = Measurement(Configuration(mode=mode), (timing("", "", total_s, "pass", "pass"), *timings))
    return Record("a model", ((1, 4),), mode, Count("dispatch", tuple(rows)), measurement=measurement)


def texts(table):
    """The texts of every row, by the name in its first cell."""
    return {cell_text(cells[0]): tuple(map(cell_text, cells[1:])) for cells in table.rows}


def names(table):
    return [cell_text(cells[0]) for cells in table.rows]
