"""Imports the files of timed runs, which are the truth, into the default database: only new and changed ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sql

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.database.insert import insert_rows
from analyzer.database.result_rows import encode
from analyzer.database.schema import results, run_files
from analyzer.records.load_records import load_all
from analyzer.records.record import Record
from analyzer.records.record_json import compact
from analyzer.records.run_files import FOLDER
from analyzer.records.sweep_result import Case, Measure, Result
from analyzer.records.timings import Configuration

Work: TypeAlias = Callable[[sql.Connection], Any]

KEY_DIGITS = 32


def import_run_files(root: Path, read: Callable[[Work], Any], write: Callable[[Work], Any]) -> tuple[str, ...]:
    """Brings the results of run files up to date and returns a note per file that could not be read.

    The results of a deleted file are deleted. `read` and `write` run a function with a connection.
    """
    files = {path.name: path for path in sorted((root / FOLDER).glob("*.json"))}
    stored: dict[str, str] = dict(
        read(lambda connection: [tuple(row) for row in connection.execute(sql.select(run_files))])
    )
    for name in stored.keys() - files.keys():
        write(partial(_replace, name, None, []))
    notes = []
    for name, path in files.items():
        try:
            status = path.stat()
            stamp = f"{status.st_size} {status.st_mtime_ns}"
            if stored.get(name) == stamp:
                continue
            rows = [encode(result) for result in results_of(load_all(path), path.stem)]
        except FileNotFoundError:
            continue  # Deleted since the folder was listed.
        except AnalyzerError as error:
            notes.append(f"left out: {one_line(error)}")
            continue
        except OSError as error:
            notes.append(f"left out: {one_line(path.name)}: {one_line(error.strerror or error)}")
            continue
        write(partial(_replace, name, stamp, rows))
    return tuple(notes)


def results_of(records: tuple[Record, ...], run: str) -> list[Result]:
    """Records of a file as results. The key is a hash of the file's name and the content."""
    return [_result(record, run) for record in records]


def _result(record: Record, run: str) -> Result:
    measurement = record.measurement
    batch = record.input[0][0] if record.input and record.input[0] else 1
    configuration = Configuration(dtype=record.dtype, batch=batch, mode=record.mode)
    if measurement:
        configuration = measurement.configuration
    timing = measurement.pass_timing if measurement else None
    measure: tuple[Measure, ...] = ("counts",)
    measure += ("memory",) if record.memory else ()
    measure += ("time",) if measurement else ()
    failed = measurement is not None and measurement.status in ("failed", "lost")
    case = Case(
        model=record.model,
        overrides=record.overrides,
        configuration=configuration,
        measure=measure,
        processes=len(timing.processes) if timing and timing.processes else 1,
    )
    return Result(
        key=hashlib.sha256(f"{run}\n{compact(record)}".encode()).hexdigest()[:KEY_DIGITS],
        case=case,
        status="failed" if failed else "ok",
        reason=measurement.reason if measurement and failed else "",
        record=record,
        run=run,
        ended=record.created or "",
    )


def _replace(name: str, stamp: str | None, rows: Sequence[Mapping[str, Any]], connection: sql.Connection) -> None:
    """Puts the rows in place of those of the same file; without a stamp the file is forgotten."""
    connection.execute(sql.delete(results).where(results.c.run == Path(name).stem))
    connection.execute(sql.delete(run_files).where(run_files.c.name == name))
    if stamp is not None:
        insert_rows(connection, rows)
        connection.execute(sql.insert(run_files).values(name=name, stamp=stamp))
