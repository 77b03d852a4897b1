"""Where a store is, and how it is connected to. Names that are shown never have a password."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sql
from sqlalchemy.exc import ArgumentError

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.files import DATA, make_data_folder
from analyzer.core.frozen import Frozen

FILE = Path(DATA) / "history.sqlite"
WANTED = "wanted postgresql://USER@HOST/DATABASE or a file such as results.sqlite"
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 30.0  # A write takes milliseconds; whoever holds a lock for longer is suspended or hangs.
POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
SQLITE = ("sqlite", "sqlite+pysqlite")


class Target(Frozen):
    """The URL of a database, what messages call it, and its file if it is SQLite's. `secrets` are never shown."""

    url: sql.URL
    name: str
    file: Path | None = None
    secrets: tuple[str, ...] = ()

    def hide(self, text: str) -> str:
        """The text without passwords, which a driver's message may repeat."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def parse_target(text: str) -> Target:
    """The target of `--store`: a URL or the path of a SQLite file. Raises AnalyzerError for any other text."""
    if "://" not in text:
        return file_target(Path(text))
    scheme = text.partition("://")[0].lower()
    if scheme not in (*POSTGRESQL, *SQLITE):
        raise AnalyzerError(f"no database {one_line(scheme)[:40]!r}; {WANTED}")
    try:
        url = sql.make_url(text)
    except (ArgumentError, ValueError):  # Its message may repeat the URL.
        raise AnalyzerError(f"the URL of the store, {scheme}://…, cannot be read; {WANTED}") from None
    if scheme in SQLITE:
        if not url.database or url.database.startswith(("file:", ":")) or url.query:
            raise AnalyzerError(f"the URL of the store names no file; {WANTED}")
        return file_target(Path(url.database))
    place = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    name = f"postgresql://{f'{url.username}@' if url.username else ''}{place}/{url.database or ''}"
    secrets = [str(value) for key, value in url.query.items() if "password" in key.lower()]
    secrets += [str(url.password), _quoted_password(text)] if url.password else []
    url = url.set(drivername="postgresql+psycopg")
    return Target(url, one_line(name), secrets=tuple(filter(None, secrets)))


def _quoted_password(text: str) -> str:
    """The password as the URL spells it."""
    return text.partition("://")[2].rpartition("@")[0].partition(":")[2]


def file_target(path: Path) -> Target:
    if "\0" in str(path):
        raise AnalyzerError(f"{one_line(path)[:80]!r} is no name of a file; {WANTED}")
    return Target(sql.URL.create("sqlite", database=str(path)), one_line(path), path)


def memory_target(name: str) -> Target:
    """An empty database, for a project without results: reading creates no file."""
    return Target(sql.URL.create("sqlite", database=":memory:"), name)


def make_engine(target: Target) -> sql.Engine:
    """The engine, which connects when it is first used. Raises AnalyzerError without the driver."""
    settings: dict[str, Any] = {"json_serializer": str, "hide_parameters": True}  # Documents are texts already.
    if target.url.get_backend_name() == "sqlite":
        engine = sql.create_engine(target.url, connect_args={"timeout": LOCK_TIMEOUT_S}, **settings)
        sql.event.listen(engine, "connect", _set_pragmas)
        return engine
    try:
        import psycopg  # noqa: F401
    except ImportError:
        raise AnalyzerError(
            "PostgreSQL needs psycopg, which is not installed; install the extra postgresql: "
            "pip install 'macscope[postgresql]'"
        ) from None
    query: Mapping[str, Any] = target.url.query
    defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "macscope"}
    arguments = {key: value for key, value in defaults.items() if key not in query}
    return sql.create_engine(target.url, connect_args=arguments, pool_pre_ping=True, **settings)


def _set_pragmas(connection: sqlite3.Connection, record: object) -> None:
    """The write-ahead log lets one process write while others read. A killed process loses nothing it has committed."""
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def make_folder(target: Target) -> None:
    """Makes `.analyze` for the default file. Another file's folder must exist."""
    if target.file and target.file.parent.name == DATA:
        try:
            make_data_folder(target.file.parent)
        except OSError as error:
            raise AnalyzerError(
                f"cannot create {target.name}: {error.strerror or error}; name another database with --store"
            ) from None
