"""The first schema: results, their documents, and the run files that were imported."""

from __future__ import annotations

import sqlalchemy as sql
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

TEXTS = (
    "run status reason model overrides device dtype layout mode input measure quality host machine processor gpu torch "
    "commit created started ended"
).split()
INTEGERS = "batch threads params macs flops activations traffic peak_memory attempts".split()


def upgrade() -> None:
    text = sql.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")
    integer = sql.BigInteger().with_variant(sql.Numeric(40, 0), "postgresql")
    op.create_table(
        "macscope_results",
        sql.Column("key", text, primary_key=True),
        *(sql.Column(name, text, nullable=False) for name in TEXTS),
        *(sql.Column(name, integer) for name in INTEGERS),
        *(sql.Column(name, sql.Double()) for name in ("time_s", "time_low_s", "time_high_s")),
        *(sql.Column(name, sql.Boolean(), nullable=False) for name in ("compiled", "flushed")),
    )
    for name in ("run", "model", "created", "machine"):
        op.create_index(f"macscope_results_{name}", "macscope_results", [name])
    op.create_table(
        "macscope_documents",
        sql.Column("key", text, sql.ForeignKey("macscope_results.key", ondelete="CASCADE"), primary_key=True),
        sql.Column("record", sql.JSON()),
        sql.Column("case", sql.JSON(), nullable=False),
    )
    op.create_table(
        "macscope_run_files",
        sql.Column("name", text, primary_key=True),
        sql.Column("stamp", text, nullable=False),
    )
