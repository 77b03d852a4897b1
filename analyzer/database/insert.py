"""Inserts that are idempotent by key, in the dialects of SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql, sqlite

from analyzer.database.columns import DOCUMENTS, NAMES
from analyzer.database.schema import documents, results


def insert_rows(connection: sql.Connection, rows: Sequence[Mapping[str, Any]]) -> int:
    """Inserts the rows whose keys are new, with their documents, and returns their number."""
    # Sorted, so that two processes with the same keys do not wait for each other. A key is unique within a statement.
    by_key = {row["key"]: row for row in sorted(rows, key=lambda row: str(row["key"]), reverse=True)}
    if not by_key:
        return 0
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(results).on_conflict_do_nothing(index_elements=["key"]).returning(results.c.key)
    ordered = [by_key[key] for key in sorted(by_key)]
    new = set(connection.scalars(statement, [{name: row[name] for name in NAMES} for row in ordered]))
    if new:
        added = [{name: row[name] for name in ("key", *DOCUMENTS)} for row in ordered if row["key"] in new]
        connection.execute(documents.insert(), added)
    return len(new)
