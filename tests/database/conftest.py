"""A server of PostgreSQL for the session, and an empty database in each dialect for a test."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.database import servers

NUMBERS = count()
DIALECTS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


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
