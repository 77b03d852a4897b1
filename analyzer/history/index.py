"""`.analyze/history.sqlite`: an index of the files of all runs, and nothing but that.

Every run is a file before it is here, and the files are looked through each time the index is read: whatever becomes of
the database, or of a process that writes to it, no run is lost. Where it cannot be used the files are read instead.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.history import pytest_benchmark as imported
from analyzer.history.point import Point, of_record
from analyzer.records.envelope import load
from analyzer.records.store import FOLDER as RECORDS

FILE = Path(".analyze") / "history.sqlite"
VERSION = 1
BUSY_S = 5.0  # An insert takes milliseconds; whoever holds the lock for longer is stopped or hangs.
TABLES = """
CREATE TABLE IF NOT EXISTS runs (path TEXT PRIMARY KEY, stamp TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (
    run TEXT NOT NULL REFERENCES runs (path) ON DELETE CASCADE, created TEXT NOT NULL, "commit" TEXT,
    model TEXT NOT NULL, metric TEXT NOT NULL, configuration TEXT NOT NULL, environment TEXT NOT NULL,
    value REAL NOT NULL, quality TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_run ON points (run);
"""


class Unusable(AnalyzerError):
    """The index cannot be read or written; the files can."""


class Found(Frozen):
    """Every point of every file that could be read, oldest first; what could not be, a line each."""

    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()


def index(path: Path, root: Path) -> None:
    """Takes one new file into the index. Raises Unusable; the file is then found when the index is next read."""
    with _opened(root / FILE) as database:
        _put(database, [(_name(path, root), _stamp(path), _points(path, root))])


def read(root: Path) -> Found:
    """All points. The index is brought up to date with the files first; without an index the files are read."""
    if _nothing(root):
        return Found(())
    try:
        with _opened(root / FILE) as database:
            return _read(database, root)
    except Unusable as error:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            _make(database)
            found = _read(database, root)
        return found.replace(notes=(f"{error}; read the files instead", *found.notes))


def rebuild(root: Path) -> Found:
    """Makes the index again from the files; a damaged one is put out of the way first. Raises Unusable."""
    if _nothing(root):
        return Found(())
    path = root / FILE
    for last in (False, True):
        try:
            with _opened(path) as database:
                with _transaction(database):
                    database.execute("DELETE FROM points")
                    database.execute("DELETE FROM runs")
                return _read(database, root)
        except Unusable as error:
            if last or not isinstance(error.__cause__, sqlite3.DatabaseError) or _held(error.__cause__):
                raise
        for part in (path, *(path.with_name(path.name + end) for end in ("-journal", "-wal", "-shm"))):
            with suppress(OSError):
                part.unlink(missing_ok=True)
    raise AssertionError("unreachable")


def _held(error: BaseException) -> bool:
    """Whether it is in use or cannot be written, rather than damaged or another's: what is whole is not thrown away."""
    held = ("locked", "busy", "full", "readonly", "read-only", "unable to open", "I/O")
    return any(word in str(error) for word in held)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, made if need be. Whatever sqlite says against it is Unusable, in a line."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(_connect(path)) as database:
            _make(database)
            yield database
    except sqlite3.Error as error:
        raise Unusable(f"cannot use the index {FILE}: {_why(error)}") from error
    except OSError as error:
        raise Unusable(f"cannot use the index {FILE}: {error.strerror or error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    # With SQLite's own journal: a write-ahead log is set up and cleared away under a lock that others do not wait for.
    return sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)


def _make(database: sqlite3.Connection) -> None:
    """The tables; those of another version are dropped, since the files hold all that was in them."""
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version == VERSION:
        return
    with _transaction(database):
        if database.execute("PRAGMA user_version").fetchone()[0] not in (0, VERSION):
            database.execute("DROP TABLE IF EXISTS points")
            database.execute("DROP TABLE IF EXISTS runs")
        for statement in TABLES.split(";\n"):
            database.execute(statement)
        database.execute(f"PRAGMA user_version = {VERSION}")


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    # The write lock is taken at once: two that read first and write later would have to fail each other.
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _read(database: sqlite3.Connection, root: Path) -> Found:
    """Files that are new or changed go in, those that are gone go out, then everything is handed out."""
    known = dict(database.execute("SELECT path, stamp FROM runs").fetchall())
    files = _files(root)  # After what is known: a run that another process takes in between is not one that is gone.
    notes: list[str] = []
    names = {_name(path, root) for path in files}
    _put(database, _new(files, known, root, notes), gone=[name for name in known if name not in names])
    rows = database.execute(
        'SELECT run, created, "commit", model, metric, configuration, environment, value, quality FROM points '
        "ORDER BY created, run, rowid"
    ).fetchall()
    return Found(tuple(Point(*row) for row in rows), tuple(notes))


def _new(
    files: Sequence[Path], known: dict[str, str], root: Path, notes: list[str]
) -> Iterator[tuple[str, str, list[Point]]]:
    for path in files:
        name = _name(path, root)
        try:
            stamp = _stamp(path)
            if known.get(name) != stamp:
                yield name, stamp, _points(path, root)
        except FileNotFoundError:
            continue  # Gone in the meantime.
        except (AnalyzerError, OSError) as error:
            notes.append(f"left out: {one_line(error)}")


def _put(database: sqlite3.Connection, runs: Iterable[tuple[str, str, list[Point]]], gone: Sequence[str] = ()) -> None:
    """Replaces what is there of each run. Files are read before the lock is taken: readers of many hold up nobody."""
    ready = list(runs)
    if not ready and not gone:
        return
    with _transaction(database):
        for name in [*gone, *(name for name, _, _ in ready)]:
            database.execute("DELETE FROM points WHERE run = ?", (name,))
            database.execute("DELETE FROM runs WHERE path = ?", (name,))
        for name, stamp, points in ready:
            database.execute("INSERT INTO runs VALUES (?, ?)", (name, stamp))
            database.executemany(
                "INSERT INTO points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [tuple(_bound(getattr(one, field)) for field in Point.fields) for one in points],
            )


def _bound(value: str | float | None) -> str | float | None:
    """As SQLite can hold it: a name may have half a character in it, a count may be beyond 64 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return None if value is None else float(value)


def _nothing(root: Path) -> bool:
    """Whether there are neither runs nor an index: nobody who only looks is left a file."""
    return not _files(root) and not (root / FILE).exists()


def _files(root: Path) -> list[Path]:
    return [path for folder in (RECORDS, imported.FOLDER) for path in sorted((root / folder).glob("*.json"))]


def _points(path: Path, root: Path) -> list[Point]:
    """Raises AnalyzerError for a file that is damaged or of another version, OSError where it cannot be read."""
    name = _name(path, root)
    if path.parent == root / imported.FOLDER:
        return imported.kept(path).points(name)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AnalyzerError(f"{path.name} is damaged (not UTF-8)") from None
    return [point for record in load(text, name=path.name) for point in of_record(record, name)]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _stamp(path: Path) -> str:
    """What changes when a file does."""
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _why(error: sqlite3.Error) -> str:
    text = str(error)
    if "locked" in text or "busy" in text:
        return f"another process has held it for {BUSY_S:g} s"
    if "full" in text:
        return "the disk is full"
    if "I/O" in text:
        return "the disk is full or does not work"
    if "readonly" in text or "read-only" in text or "unable to open" in text:
        return "it is read-only or not a file"
    if any(word in text for word in ("malformed", "not a database", "no such", "no column")):
        return "it is damaged; analyze history --rebuild makes it again"
    return f"{one_line(text)}; analyze history --rebuild makes it again"
