"""A server of PostgreSQL for the session, and an empty database in each dialect for a test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import count
from threading import get_ident

import pytest

from tests.database import servers

NUMBERS = count()
DIALECTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(autouse=True)
def every_connection_is_closed(monkeypatch) -> Iterator[None]:
    """Python 3.13 warns of others, in whatever test runs when their memory is freed."""
    opened: list[tuple[int, sqlite3.Connection]] = []
    connect = sqlite3.dbapi2.connect

    def connect_and_keep(*args, **options):
        connection = connect(*args, **options)
        opened.append((get_ident(), connection))
        return connection

    monkeypatch.setattr(sqlite3.dbapi2, "connect", connect_and_keep)
    yield
    for thread, connection in opened:
        if thread == get_ident():
            with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
                connection.total_changes  # noqa: B018 – the read fails.


@pytest.fixture(scope="session")
def server() -> Iterator[servers.Server]:
    if reason := servers.unavailable():
        pytest.skip(reason)
    with servers.running() as started:
        yield started


@pytest.fixture
def database(server) -> str:
    """The URL of a new database in PostgreSQL."""
    return server.create(f"macscope_{next(NUMBERS)}")


@pytest.fixture(params=DIALECTS)
def url(request, tmp_path) -> str:
    """A store without tables: a file of SQLite, or a database in PostgreSQL."""
    if request.param == "sqlite":
        return str(tmp_path / "results.sqlite")
    return request.getfixturevalue("database")
