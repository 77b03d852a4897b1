"""The tables of the history database, the same in SQLite and PostgreSQL; see `migrations` for how they are created."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sql
from sqlalchemy.dialects import postgresql

from analyzer.database.columns import COLUMNS, Kind

VERSION = "0001"  # The newest revision in `migrations`.
VERSION_TABLE = "macscope_version"

metadata = sql.MetaData()
# The order of texts is that of their bytes on both: PostgreSQL's default depends on the server's language.
TEXT = sql.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
# The text is kept as it is: JSONB would sort keys and refuse a model's name with "\u0000".
DOCUMENT = sql.JSON(none_as_null=True)


class Integer(sql.TypeDecorator[int]):
    """A whole number of any size. SQLite keeps more than 63 bits as a float: the record has the exact number."""

    impl = sql.BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: sql.Dialect) -> sql.types.TypeEngine[Any]:
        kind = sql.Numeric(40, 0) if dialect.name == "postgresql" else sql.BigInteger()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: int | None, dialect: sql.Dialect) -> Any:
        return float(value) if dialect.name == "sqlite" and value and abs(value) >= 1 << 63 else value

    def result_processor(self, dialect: sql.Dialect, coltype: object) -> Any:
        return _whole if dialect.name == "postgresql" else None


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)


TYPES: dict[Kind, Any] = {"text": TEXT, "integer": Integer(), "number": sql.Double(), "boolean": sql.Boolean()}

results = sql.Table(
    "macscope_results",
    metadata,
    *(
        sql.Column(
            column.name,
            TYPES[column.kind],
            primary_key=column.name == "key",
            nullable=column.kind in ("integer", "number"),
        )
        for column in COLUMNS
    ),
)
for name in ("run", "model", "created", "machine"):
    sql.Index(f"macscope_results_{name}", results.c[name])

# Apart from the columns, so that a search reads no documents, which are a hundred times larger.
documents = sql.Table(
    "macscope_documents",
    metadata,
    sql.Column("key", TEXT, sql.ForeignKey(results.c.key, ondelete="CASCADE"), primary_key=True),
    sql.Column("record", DOCUMENT),
    sql.Column("case", DOCUMENT, nullable=False),
)

# Files of timed runs that were imported, with size and time of modification.
run_files = sql.Table(
    "macscope_run_files",
    metadata,
    sql.Column("name", TEXT, primary_key=True),
    sql.Column("stamp", TEXT, nullable=False),
)
version = sql.Table(VERSION_TABLE, sql.MetaData(), sql.Column("version_num", sql.String(32), primary_key=True))
