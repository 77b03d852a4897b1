"""The schema: migrations make exactly the tables that are used, and other schemas are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import sqlalchemy as sql

from analyzer.core.errors import AnalyzerError
from analyzer.database.connection import FILE, make_engine, parse_target
from analyzer.database.result_rows import encode
from analyzer.database.schema import VERSION, metadata
from analyzer.database.schema_versions import FOLDER
from analyzer.database.store import migrate_store, open_store
from analyzer.records.run_files import save
from analyzer.trends.run_cache import TABLE, read_points
from tests.database.results import result
from tests.timed_records import timed


def set_version(url: str, version: str) -> None:
    engine = make_engine(parse_target(url))
    with engine.begin() as connection:
        connection.execute(sql.text("UPDATE macscope_version SET version_num = :version"), {"version": version})
    engine.dispose()


def test_migrations_make_the_tables_that_are_used(url):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    assert migrate_store(url)[1:] == (None, VERSION)
    assert migrate_store(url)[1:] == (VERSION, VERSION)
    engine = make_engine(parse_target(url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": "macscope_version", "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_the_newest_revision_is_that_of_the_schema():
    revisions = sorted(path.name[1:5] for path in FOLDER.glob("v*.py"))
    assert revisions[-1] == VERSION
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]


@pytest.mark.parametrize(("version", "advice"), [("0000", "analyze history migrate"), ("9999", "upgrade macscope")])
def test_another_schema_is_refused_with_advice(url, version, advice):
    with open_store(url) as store:
        store.insert([encode(result("a"))])
    set_version(url, version)
    with pytest.raises(AnalyzerError, match=f"schema is {version}.*{advice}"), open_store(url):
        pass
    if version > VERSION:
        with pytest.raises(AnalyzerError, match=advice):
            migrate_store(url)
    set_version(url, VERSION)
    with open_store(url) as store:
        assert store.keys("sweep") == {"a"}


def test_the_old_cache_at_the_place_of_the_database_is_replaced(tmp_path):
    save([timed("nin")], tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute(TABLE)
        connection.execute("INSERT INTO cached_runs VALUES ('a', 'b', 'c')")
        connection.execute("PRAGMA user_version = 3")
    with open_store(root=tmp_path) as store:
        assert store.count() == 1
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert "cached_runs" not in tables
    assert {point.model for point in read_points(tmp_path).points} == {"nin"}, "which has another file now"


def test_a_database_of_another_program_is_left_alone(tmp_path):
    file = tmp_path / "places.sqlite"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(AnalyzerError, match="another program"), open_store(str(file)):
        pass
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("bookmarks",)]
