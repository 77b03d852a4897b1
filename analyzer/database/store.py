"""The store of results: inserts that are idempotent by key, and searches that read columns only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sql

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.core.files import project_root
from analyzer.core.units import counted
from analyzer.database.columns import BY_NAME, DOCUMENTS, NAMES
from analyzer.database.connection import (
    FILE,
    Target,
    file_target,
    make_engine,
    make_folder,
    memory_target,
    parse_target,
)
from analyzer.database.database_errors import explained, retry
from analyzer.database.import_run_files import import_run_files
from analyzer.database.insert import insert_rows
from analyzer.database.result_rows import batches, decode, row_of
from analyzer.database.schema import documents, results
from analyzer.database.schema_versions import migrate, require_newest, stored_version
from analyzer.database.sql_condition import condition
from analyzer.records.run_files import FOLDER
from analyzer.records.sweep_result import Result

if TYPE_CHECKING:
    import pandas

VARIABLE = "ANALYZE_STORE"
DOCUMENT_TEXTS = [sql.cast(documents.c[name], sql.Text()) for name in DOCUMENTS]  # Else a driver parses them.
LAST_CHARACTER = "\U0010ffff"
FETCHED = 1000  # Rows held at a time.
MAX_NAMED = 10  # Damaged results.

Value = TypeVar("Value")


class Store:
    """An open database; see `open_store`. Every method raises AnalyzerError or CannotMeasure if the database fails.

    A search leaves damaged results out; `notes` names them.
    """

    def __init__(self, engine: sql.Engine, target: Target, run_files: Path | None = None) -> None:
        self.name = target.name
        self._file_notes: tuple[str, ...] = ()
        self._damaged: dict[str, None] = {}  # An ordered set: a search may be repeated.
        self._engine, self._target, self._run_files = engine, target, run_files

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each run file that could not be imported, and for each damaged result that a search left out."""
        named = [f"left out: {problem}" for problem in islice(self._damaged, MAX_NAMED)]
        if (more := len(self._damaged) - len(named)) > 0:
            named.append(f"left out: {counted(more, 'further damaged result')}")
        return (*self._file_notes, *named)

    def read_or_note(self, read: Callable[[Any], Value], row: Any) -> Value | None:
        """What `read` makes of a row; None if it raises AnalyzerError for a damaged one, which `notes` then names."""
        try:
            return read(row)
        except AnalyzerError as error:
            self._damaged[str(error)] = None
            return None

    def insert(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Inserts rows of `encode` whose keys the store does not have, and returns their number.

        Rows are stored in transactions of 500: after an error those before it stay, and repeating the call is safe.
        """
        return sum(self._retry(partial(self._insert, batch)) for batch in batches(rows))

    def keys(self, run: str) -> set[str]:
        """The keys of the results of a run."""
        statement = sql.select(results.c.key).where(results.c.run == run)
        return set(self._retry(lambda: self._read(lambda connection: connection.scalars(statement).all())))

    def runs(self) -> list[dict[str, Any]]:
        """The runs, newest first: `run`, number of `results` and of those `failed`, `started` and `ended` in UTC."""
        self._import_run_files()
        columns = results.c
        ended = sql.func.max(columns.created)
        failed = sql.func.sum(sql.case((columns.status == "failed", 1), else_=0))
        started = sql.func.min(sql.func.coalesce(sql.func.nullif(columns.started, ""), columns.created))
        statement = (
            sql.select(columns.run, sql.func.count(), failed, started, ended)
            .group_by(columns.run)
            .order_by(ended.desc())
        )
        names = ("run", "results", "failed", "started", "ended")
        return [
            dict(zip(names, row, strict=True))
            for row in self._retry(lambda: self._read(lambda connection: connection.execute(statement).all()))
        ]

    def count(self, where: str | None = None) -> int:
        """The number of results that a filter selects."""
        self._import_run_files()
        statement = sql.select(sql.func.count()).select_from(results).where(condition(where, self._engine.dialect.name))
        return int(self._retry(lambda: self._read(lambda connection: connection.scalar(statement))) or 0)

    def select(
        self,
        where: str | None = None,
        *,
        columns: Sequence[str] = NAMES,
        order: str = "created",
        descending: bool = True,
        limit: int | None = None,
        whole: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """The rows that a filter selects, newest first; if `whole` also `record` and `case` as JSON text.

        `order` is a column; unknown numbers come last. Rows are read as they are consumed. Raises AnalyzerError for an
        unknown column or a filter with an error.
        """
        for name in (*columns, order):
            if name not in BY_NAME:
                raise AnalyzerError(f"no column {quoted(name)}; {nearest(name, NAMES)}")
        selected: list[Any] = [results.c[name] for name in columns]
        source: Any = results
        if whole:
            selected += DOCUMENT_TEXTS
            source = results.join(documents)
        statement = (
            sql.select(*selected)
            .select_from(source)
            .where(condition(where, self._engine.dialect.name))
            .order_by(*_sorting(order, descending))
            .limit(limit)
        )
        self._import_run_files()
        return self._stream(statement, (*columns, *(DOCUMENTS if whole else ())))

    def results(self, where: str | None = None) -> Iterator[Result]:
        """The results that a filter selects, whole, newest first."""
        for row in self.select(where, whole=True):
            if result := self.read_or_note(decode, row):
                yield result

    def frame(self, where: str | None = None) -> pandas.DataFrame:
        """The columns of the results that a filter selects as a frame, newest first."""
        from analyzer.database.frame import to_frame

        return to_frame(self.select(where))

    def find(self, prefix: str) -> list[str]:
        """The first keys that start with a text, at most ten."""
        self._import_run_files()
        keys = results.c.key
        statement = sql.select(keys).where(keys >= prefix, keys < prefix + LAST_CHARACTER).order_by(keys).limit(10)
        return list(self._retry(lambda: self._read(lambda connection: connection.scalars(statement).all())))

    def get(self, key: str) -> dict[str, Any]:
        """The whole row of a key. Raises AnalyzerError if there is none."""
        columns = [*(results.c[name] for name in NAMES), *DOCUMENT_TEXTS]
        statement = sql.select(*columns).select_from(results.join(documents)).where(results.c.key == key)
        row = self._retry(lambda: self._read(lambda connection: connection.execute(statement).first()))
        if row is None:
            raise AnalyzerError(f"no result {quoted(key)[:80]}; analyze history list shows the keys")
        return row_of((*NAMES, *DOCUMENTS), row)

    def delete(self, where: str | None) -> int:
        """Deletes the results that a filter selects, and returns their number."""
        self._import_run_files()
        statement = sql.delete(results).where(condition(where, self._engine.dialect.name))
        return self._retry(lambda: self._write(lambda connection: connection.execute(statement).rowcount))

    def _insert(self, rows: Sequence[Mapping[str, Any]]) -> int:
        return self._write(lambda connection: insert_rows(connection, rows))

    def _import_run_files(self) -> None:
        """Once per opened store, before the first search."""
        if self._run_files is not None:
            root, self._run_files = self._run_files, None
            try:
                self._file_notes = import_run_files(
                    root, self._read, lambda work: self._retry(lambda: self._write(work))
                )
            except AnalyzerError as error:  # Such as a database that is read-only: what it has can be searched.
                self._file_notes = (f"run files are not imported: {error}",)

    def _read(self, work: Callable[[sql.Connection], Value]) -> Value:
        with self._engine.connect() as connection:
            return work(connection)

    def _write(self, work: Callable[[sql.Connection], Value]) -> Value:
        with self._engine.begin() as connection:
            return work(connection)

    def _stream(self, statement: sql.Select[Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
        with explained(self._target), self._engine.connect() as connection:
            connection.execution_options(stream_results=True, yield_per=FETCHED)
            with connection.execute(statement) as rows:
                for values in rows:
                    if row := self.read_or_note(partial(row_of, names), values):
                        yield row

    def _retry(self, work: Callable[[], Value]) -> Value:
        return retry(work, self._target)


def _sorting(order: str, descending: bool) -> list[Any]:
    """By a column and then by key, so that the order is always the same."""
    column, key = ((each.desc() if descending else each.asc()) for each in (results.c[order], results.c.key))
    return [column.nulls_last() if results.c[order].nullable else column, key]


@contextmanager
def open_store(url: str | None = None, root: Path | None = None, *, create: bool = True) -> Iterator[Store]:
    """The store at a URL or path, else at the variable ANALYZE_STORE, else `.analyze/history.sqlite` of the project.

    A new database is created at the newest schema. Run files are imported into the default one before a search.
    Without `create` nothing is created: a missing default is empty, and another missing file is an error. Raises
    AnalyzerError if the database cannot be used: no such place, a wrong password, another schema, a missing driver.
    """
    root = root or project_root()
    target, is_default = find_target(url, root)
    if target.file and not target.file.exists():
        if create:
            make_folder(target)
        elif not is_default:
            raise AnalyzerError(f"there is no database {target.name}; analyze history import creates it")
        elif not (root / FOLDER).is_dir():
            target = memory_target(target.name)
        else:
            make_folder(target)
    elif target.file and not (create or is_default) and not target.file.stat().st_size:
        raise AnalyzerError(f"{target.name} is empty; name a database with --store")  # SQLite would fill it.
    engine = make_engine(target)
    try:
        retry(partial(_prepare, engine, target), target)
        yield Store(engine, target, root if is_default else None)
    finally:
        engine.dispose()


def _prepare(engine: sql.Engine, target: Target) -> None:
    with engine.connect() as connection:
        version = stored_version(connection)
    require_newest(version, target)
    if version is None:
        migrate(engine, target)


def find_target(url: str | None, root: Path) -> tuple[Target, bool]:
    """Where the store is, and whether that is the default database of the project."""
    text = url or os.environ.get(VARIABLE)
    return (parse_target(text), False) if text else (file_target(root / FILE), True)


def migrate_store(url: str | None = None, root: Path | None = None) -> tuple[str, str | None, str]:
    """Creates the tables or brings them to the newest schema: the store's name, and the versions before and after.

    Raises AnalyzerError for a schema of a newer macscope.
    """
    target, _ = find_target(url, root or project_root())
    make_folder(target)
    engine = make_engine(target)
    try:
        before, after = retry(partial(migrate, engine, target), target)
        require_newest(after, target)
        return target.name, before, after
    finally:
        engine.dispose()
