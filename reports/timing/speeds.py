"""Is it faster? The speed of each configuration relative to the first, with an interval and a verdict."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.units import times
from analyzer.records.record import Record
from analyzer.timing.driver.speed_ratio import Speed, relative_speed
from reports.table import MISSING, Cell, Row, Table, columns

TONES = {"faster": "good", "slower": "bad", "void": "warn", "failed": "warn"}
NOTE = (
    "Speed: samples per second relative to the first, with a 95 % interval (Fieller). The verdict is unclear if the "
    "interval includes 1."
)


def speed_table(records: Sequence[Record], labels: Sequence[str], shared: str) -> Table:
    """Two or more records, relative to the first that was timed.

    `labels` are the settings in which they differ, `shared` the others.
    """
    models = len({record.label for record in records}) > 1
    names = [
        ", ".join(filter(None, (record.label if models else "", label if label != MISSING else "")))
        for record, label in zip(records, labels, strict=True)
    ]
    first = next(place for place, record in enumerate(records) if record.measurement and record.measurement.pass_timing)
    rows: list[Row] = []
    for place, (record, name) in enumerate(zip(records, names, strict=True)):
        if place == first:
            continue
        timed = record.measurement and record.measurement.pass_timing
        speed = speed_of(record, records[first])
        verdict = speed.verdict if speed else "void" if timed else "failed"
        cells = (times(speed.ratio), interval(speed)) if speed else (MISSING, MISSING)
        rows.append((Cell(name), *cells, Cell(verdict, tone=TONES.get(verdict, ""))))
    at = ", ".join(filter(None, ("" if models else records[first].label, shared)))
    heads = columns("model" if models else "configuration", "speed", "interval", "verdict", left=("verdict",))
    return Table(f"Speed against {names[first]} ({at})", heads, tuple(rows), notes=(NOTE,))


def speed_of(record: Record, first: Record) -> Speed | None:
    if record.measurement is None or first.measurement is None:
        return None
    return relative_speed(first.measurement, record.measurement)


def interval(speed: Speed) -> str:
    return f"{times(speed.low)} to {times(speed.high)}"
