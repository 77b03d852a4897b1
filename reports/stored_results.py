"""Stored results as tables (one line per configuration, one per run), as JSON, and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from analyzer.core.parse_inputs import model_label
from analyzer.database.columns import COLUMNS, NAMES
from analyzer.records.record_json import SCHEMA_VERSION, pretty
from analyzer.records.timings import Configuration
from reports import cells
from reports.formats.text import csv_text
from reports.table import MISSING, Cell, Row, Table, columns

KEY_LENGTH = 8
TITLES = ("key", "date", "model", "configuration", "MACs", "peak memory", "time", "± 95 %", "host", "run")
ALWAYS = ("key", "model", "configuration")
TONES = {"noisy": "warn", "void": "bad"}


def listing(rows: Sequence[Mapping[str, Any]], total: int) -> Table:
    """One line per result. Columns without any value are left out, and host and run where they are all the same."""
    lines = [_line(row) for row in rows]
    constant = {name for name in ("host", "run") if len({row[name] for row in rows}) < 2}
    shown = [
        title
        for title in TITLES
        if title not in constant and (title in ALWAYS or any(line[title] != MISSING for line in lines))
    ]
    head = columns(
        *shown,
        left=("date", "model", "configuration", "host", "run"),
        drop=("run", "host", "peak memory", "date"),
        shrink={"model", "run", "host"},
    )
    notes = (f"The first {len(rows):,} of {total:,} results; --limit N shows more.",) if total > len(rows) else ()
    return Table("Results", head, tuple(tuple(line[title] for title in shown) for line in lines), notes=notes)


def _line(row: Mapping[str, Any]) -> dict[str, Cell | str]:
    failed = row["status"] == "failed"
    time: Cell | str = Cell("failed", tone="bad") if failed else cells.duration(row["time_s"])
    if isinstance(time, Cell) and row["quality"] in TONES:
        time = time.replace(text=f"{time.text} {row['quality']}", tone=TONES[row["quality"]])
    values: tuple[Cell | str, ...] = (
        Cell(row["key"][:KEY_LENGTH]),
        row["created"][:10] or MISSING,
        label(row),
        _configuration_label(row),
        cells.count("macs", row["macs"]),
        cells.count("peak_memory", row["peak_memory"]),
        time,
        _half_width(row),
        row["host"] or MISSING,
        row["run"] or MISSING,
    )
    return dict(zip(TITLES, values, strict=True))


def label(row: Mapping[str, Any]) -> str:
    """The model with its overrides, as in a record."""
    return model_label(str(row["model"]), row["overrides"])


def configuration(row: Mapping[str, Any]) -> Configuration:
    return Configuration(**{name: row[name] for name in Configuration.fields})


def _configuration_label(row: Mapping[str, Any]) -> str:
    """Without the threads, if nothing was timed: counts do not depend on them."""
    label = configuration(row).label
    return label if "time" in row["measure"] else ", ".join(w for w in label.split(", ") if "thread" not in w)


def _half_width(row: Mapping[str, Any]) -> str:
    low, high, time = row["time_low_s"], row["time_high_s"], row["time_s"]
    return MISSING if None in (low, high, time) or not time else f"{50 * (high - low) / time:.1f} %"


def details(row: Mapping[str, Any]) -> Table:
    """The columns of one result that have a value."""
    lines = []
    for column in COLUMNS:
        value = row[column.name]
        if value is None or value == "" or value is False:
            continue
        text = f"{value:,}" if column.kind == "integer" and isinstance(value, int) else str(value)
        lines.append((column.name, text))
    return Table("Result", columns("column", "value", left=("value",)), tuple(lines))


def runs(every_run: Sequence[Mapping[str, Any]]) -> Table:
    """One line per sweep or timed run, newest first."""
    lines: list[Row] = [
        (
            Cell(str(run["run"]) or MISSING),
            Cell(f"{run['results']:,}", run["results"]),
            Cell(f"{run['failed']:,}", run["failed"], tone="bad") if run["failed"] else MISSING,
            str(run["started"])[:16].replace("T", " ") or MISSING,
            str(run["ended"])[:16].replace("T", " ") or MISSING,
        )
        for run in every_run
    ]
    return Table("Runs", columns("run", "results", "failed", "from", "to", left=("from", "to")), tuple(lines))


def dump(rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """The columns of each result as JSON."""
    return pretty({"schema_version": SCHEMA_VERSION, "results": [dict(row) for row in rows], "total": total}) + "\n"


def csv_lines(rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A heading and one line per result, with every column."""
    yield csv_text([NAMES]).encode()
    for row in rows:
        yield csv_text([[_csv_value(row[name]) for name in NAMES]]).encode()


def _csv_value(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
