"""Creates the tables, brings an older schema to the newest, and refuses to use one that this version does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sql

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.database.connection import Target
from analyzer.database.schema import VERSION, VERSION_TABLE, version

OLD_CACHE = {"cached_runs", "points", "runs"}
FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x6D616373636F7065  # For PostgreSQL's advisory lock: "macscope" in ASCII.


def stored_version(connection: sql.Connection) -> str | None:
    """The schema's revision; None if the database has no tables of ours."""
    if not sql.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(sql.select(version.c.version_num))


def require_newest(stored: str | None, target: Target) -> None:
    """Raises AnalyzerError for an older schema and for a newer one."""
    if stored is None or stored == VERSION:
        return
    known = f"its schema is {one_line(stored)[:40]}, and this macscope uses {VERSION}"
    if stored < VERSION:
        raise AnalyzerError(f"the database {target.name} is older: {known}; run analyze history migrate")
    raise AnalyzerError(f"the database {target.name} is newer: {known}; upgrade macscope")


def migrate(engine: sql.Engine, target: Target) -> tuple[str | None, str]:
    """Brings the schema to the newest revision, in one transaction; several processes may do it at once.

    Returns the revisions before and after. A newer schema stays as it is. Raises AnalyzerError for a file of SQLite
    that belongs to another program.
    """
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(str(FOLDER), version_locations=[str(FOLDER)])

    def steps(revision: Any, context: Any) -> Any:
        return script._upgrade_revs("head", revision)

    with engine.connect() as connection, connection.begin():
        _lock(connection)
        before = stored_version(connection)
        if before is not None and before > VERSION:
            return before, before
        if before is not None and before not in {revision.revision for revision in script.walk_revisions()}:
            raise AnalyzerError(f"the database {target.name} has the schema {one_line(before)[:40]}, which is unknown")
        if before is None and target.file:
            _drop_old_cache(connection, target)
        with EnvironmentContext(Config(), script, fn=steps, destination_rev="head") as environment:
            environment.configure(connection=connection, version_table=VERSION_TABLE, transactional_ddl=False)
            environment.run_migrations()
        return before, VERSION


def _drop_old_cache(connection: sql.Connection, target: Target) -> None:
    """The default database has the name that the cache of change points had, which is made again from the files."""
    tables = set(sql.inspect(connection).get_table_names())
    if tables - OLD_CACHE:
        raise AnalyzerError(f"{target.name} is a database of another program; name another file with --store")
    for table in sorted(tables):
        connection.exec_driver_sql(f"DROP TABLE {table}")
    connection.exec_driver_sql("PRAGMA user_version = 0")


def _lock(connection: sql.Connection) -> None:
    """Makes other processes that create or migrate wait until the transaction ends."""
    if connection.dialect.name == "postgresql":
        connection.execute(sql.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    else:
        connection.exec_driver_sql(
            "BEGIN IMMEDIATE"
        )  # Python begins a transaction only before the first change of data.
