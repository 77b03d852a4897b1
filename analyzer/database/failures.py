"""Errors of databases and their drivers as one line: which database, what is wrong, what to do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import SQLAlchemyError

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.database.connection import CONNECT_TIMEOUT_S, Target

DISK_FULL = "the disk is full; make room and repeat the command: results that are stored already stay"
LOCKED = "another process holds its lock; end that process and repeat the command"
DAMAGED = "it is damaged or no database; move it away, and a new one is filled from the run files under .analyze"
DENIED = "the user may not do this; see docs/history.md for the rights that each command needs"
# SQLite's primary result codes, and PostgreSQL's SQLSTATE: the advice, and whether the user's input is wrong.
SQLITE_ADVICE = {
    sqlite3.SQLITE_BUSY: (LOCKED, False),
    sqlite3.SQLITE_LOCKED: (LOCKED, False),
    sqlite3.SQLITE_FULL: (DISK_FULL, False),
    sqlite3.SQLITE_IOERR: ("the disk reports an error, or it is full", False),
    sqlite3.SQLITE_READONLY: ("it is read-only; name another with --store", True),
    sqlite3.SQLITE_PERM: ("it may not be opened; name another with --store", True),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened; name another with --store", True),
    sqlite3.SQLITE_NOTADB: (DAMAGED, True),
    sqlite3.SQLITE_CORRUPT: (DAMAGED, True),
}
POSTGRESQL_ADVICE = {
    "53100": (DISK_FULL, False),
    "53300": ("it has too many connections; repeat the command later", False),
    "55P03": (LOCKED, False),
    "42501": (DENIED, True),
    "25006": ("it is read-only; name another server with --store", True),
}
# Parts of libpq's messages when no connection was made, which has no SQLSTATE.
CONNECTION_ADVICE = (
    ("password authentication failed", ("the password is wrong; set it in PGPASSWORD, ~/.pgpass or the URL", True)),
    ("no password supplied", ("it wants a password; set it in PGPASSWORD, ~/.pgpass or the URL", True)),
    ("no pg_hba.conf entry", ("the server does not admit this user from this host; ask its administrator", True)),
    ("role", ("there is no such user; name another in the URL", True)),
    ("database", ("there is no such database; create it with createdb, or name another in the URL", True)),
    ("resolve host", ("there is no such host", True)),
    ("timeout expired", (f"no answer within {CONNECT_TIMEOUT_S} s; is the server reachable?", False)),
    ("connection refused", ("no server listens there; is it running?", False)),
    ("starting up", ("the server is starting; repeat the command", False)),
    ("too many", ("it has too many connections; repeat the command later", False)),
)


@contextmanager
def explained(target: Target) -> Iterator[None]:
    """Raises AnalyzerError or, where the input is valid, CannotMeasure in place of an error of the database."""
    try:
        yield
    except SQLAlchemyError as error:
        raise explain(error, target) from None
    except sqlite3.Error as error:
        raise explain(error, target) from None


def explain(error: Exception, target: Target) -> AnalyzerError:
    cause = getattr(error, "orig", None) or error
    text = target.hide(" ".join(str(cause).split()))
    advice, is_input = _advice(cause, text)
    kind = AnalyzerError if is_input else CannotMeasure
    return kind(f"cannot use the database {target.name}: {one_line(advice or text)[:300]}")


def is_locked(error: Exception) -> bool:
    code = getattr(getattr(error, "orig", None), "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _advice(cause: BaseException, text: str) -> tuple[str, bool]:
    if isinstance(cause, sqlite3.Error):
        return SQLITE_ADVICE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, ("", True))
    state = getattr(cause, "sqlstate", None)
    if state:
        return POSTGRESQL_ADVICE.get(state, ("", True))
    return next((advice for part, advice in CONNECTION_ADVICE if part in text.lower()), ("", False))
