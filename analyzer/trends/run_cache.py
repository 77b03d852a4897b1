"""Reads all runs of a project. `.analyze/cache.sqlite` caches their points, so that unchanged files are not parsed.

The files are the truth: they are listed at every read, and a row of the cache counts only while its file's size and
modification time are unchanged. No run is lost if the cache, or a process that writes to it, fails. If it cannot be
used, all files are parsed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import DATA, make_data_folder, read_text
from analyzer.core.frozen import Frozen
from analyzer.records import run_files
from analyzer.records.record_json import load
from analyzer.records.validate import use_record
from analyzer.trends import pytest_benchmark
from analyzer.trends.point import Point, record_points

FILE = Path(DATA) / "cache.sqlite"
VERSION = 4  # Version of the table below and of the points in it.
TABLE = "CREATE TABLE cached_runs (path TEXT PRIMARY KEY, stamp TEXT NOT NULL, points TEXT NOT NULL)"
TIMEOUT_S = 5.0  # A write takes milliseconds; a process that holds the lock for longer is suspended or hangs.
# The file is in use or cannot be written, as opposed to damaged. SQLite's primary result codes.
NOT_DAMAGED = {sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
               sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}  # fmt: skip

Entry: TypeAlias = tuple[str, str]  # A file's stamp, and its points as JSON.


class RunPoints(Frozen):
    """All points of all readable files, oldest first, and a note per file that could not be read."""

    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()


def read_points(root: Path) -> RunPoints:
    """All points of the project's runs. The cache is brought up to date; a note says why if that is impossible."""
    files = _run_files(root)
    if not files and not (root / FILE).exists():
        return RunPoints(())  # Reading alone creates no file in a project without runs.
    notes: list[str] = []
    cached = _read_cache(root, notes)
    entries: dict[str, Entry] = {}
    points: list[Point] = []
    files = _run_files(root)  # After the cache: a run that was cached in between must not look like a deleted file.
    for path in files:
        try:
            stat = path.stat()
            name, stamp = _name(path, root), f"{stat.st_size} {stat.st_mtime_ns}"
            entry = (cached or {}).get(name)
            if entry is None or entry[0] != stamp:
                parsed = [[getattr(point, field) for field in Point.fields] for point in _parse(path, root)]
                entry = stamp, json.dumps(parsed)
            points += [Point(*values) for values in json.loads(entry[1])]
            entries[name] = entry
        except FileNotFoundError:
            continue  # Deleted since the folder was listed.
        except AnalyzerError as error:
            notes.append(f"left out: {one_line(error)}")
        except OSError as error:
            notes.append(f"left out: {one_line(path.name)}: {one_line(error.strerror or error)}")
    if cached is not None and cached != entries:
        changed = {name: entry for name, entry in entries.items() if cached.get(name) != entry}
        _write_cache(root, notes, changed, cached.keys() - entries.keys())
    return RunPoints(tuple(sorted(points, key=lambda point: (point.created, point.run))), tuple(notes))


def rebuild_cache(root: Path) -> RunPoints:
    """Discards the cache and parses every file. Raises AnalyzerError while the cache is locked or cannot be written."""
    path = root / FILE
    if path.exists():
        try:
            with closing(_connect(path)) as connection:
                connection.execute("PRAGMA user_version = 0")  # A cache of another version is dropped when read.
        except sqlite3.Error as error:
            if not _is_damage(error):
                raise AnalyzerError(f"cannot rebuild the cache {FILE}: {error}") from None
            for suffix in ("", "-journal", "-wal", "-shm"):
                with suppress(OSError):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
    return read_points(root)


def _read_cache(root: Path, notes: list[str]) -> dict[str, Entry] | None:
    """The cache's rows by path. None, and a note with the reason, if it cannot be used."""
    try:
        make_data_folder((root / FILE).parent)
        with closing(_connect(root / FILE)) as connection:
            _create_table(connection)
            rows = connection.execute("SELECT path, stamp, points FROM cached_runs").fetchall()
            return {name: (stamp, points) for name, stamp, points in rows}
    except (sqlite3.Error, OSError) as error:
        notes.append(_unusable(error))
        return None


def _write_cache(root: Path, notes: list[str], changed: Mapping[str, Entry], removed: Collection[str]) -> None:
    """Writes and deletes only the given rows, so that rows that another process has cached meanwhile are kept."""
    try:
        with closing(_connect(root / FILE)) as connection, connection:  # One transaction: all rows or none.
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM cached_runs WHERE path = ?", [(name,) for name in removed])
            connection.executemany(
                "INSERT OR REPLACE INTO cached_runs VALUES (?, ?, ?)", [(name, *row) for name, row in changed.items()]
            )
    except sqlite3.Error as error:
        notes.append(_unusable(error))


def _create_table(connection: sqlite3.Connection) -> None:
    """Replaces the tables of another version, since the files hold everything that was in them."""
    if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if connection.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            for table in ("points", "runs", "cached_runs"):  # The tables of versions 1 and 2.
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            connection.execute(TABLE)
            connection.execute(f"PRAGMA user_version = {VERSION}")


def _unusable(error: Exception) -> str:
    advice = "; analyze history --rebuild creates it again" if _is_damage(error) else ""
    return f"the cache {FILE} is not used: {one_line(error)}{advice}"


def _is_damage(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF not in NOT_DAMAGED


def _connect(path: Path) -> sqlite3.Connection:
    # Rollback journal, SQLite's default: a write-ahead log is set up and removed under a lock that others do not await.
    return sqlite3.connect(path, timeout=TIMEOUT_S, isolation_level=None)


def _run_files(root: Path) -> list[Path]:
    folders = run_files.FOLDER, pytest_benchmark.FOLDER
    return [path for folder in folders for path in sorted((root / folder).glob("*.json"))]


def _parse(path: Path, root: Path) -> list[Point]:
    """Raises AnalyzerError for a damaged file or an unknown version, OSError if it cannot be read."""
    name = _name(path, root)
    if path.parent == root / pytest_benchmark.FOLDER:
        return pytest_benchmark.load_stored_run(path).points(name)
    try:
        text = read_text(path)
    except UnicodeDecodeError:
        raise AnalyzerError(f"{path.name} is damaged (not UTF-8)") from None
    records = load(text, name=path.name)
    return [point for record in records for point in use_record(record, path.name, partial(record_points, run=name))]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()
