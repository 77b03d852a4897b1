"""Errors of databases and their drivers as one line: which database, what is wrong, what to do."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.database.connection import CONNECT_TIMEOUT_S, LOCK_TIMEOUT_S, Target

Value = TypeVar("Value")

# A pragma of a new connection raises the driver's error as it is.
ERRORS = (SQLAlchemyError, sqlite3.Error)

DISK_FULL = "the disk is full; make room and repeat the command: results that are stored already stay"
LOCKED = "another process holds its lock; end that process and repeat the command"
DAMAGED = "it is damaged or no database of SQLite; name another with --store, or move it away to begin a new one"
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
    except ERRORS as error:
        raise explain(error, target) from None


def retry(work: Callable[[], Value], target: Target) -> Value:
    """Repeats idempotent work while the database is locked, and once if the connection was lost.

    SQLite does not wait for a lock while another process sets up or removes the write-ahead log.
    """
    deadline, lost = time.monotonic() + LOCK_TIMEOUT_S, False
    while True:
        try:
            return work()
        except ERRORS as error:
            again = _is_locked(error) and time.monotonic() < deadline
            disconnected = isinstance(error, DBAPIError) and error.connection_invalidated
            if not again and (lost or not disconnected):
                raise explain(error, target) from None
            lost = lost or disconnected
        time.sleep(random.uniform(0.005, 0.05))


def explain(error: Exception, target: Target) -> AnalyzerError:
    cause = getattr(error, "orig", None) or error
    # Without the server's details, which repeat data.
    text = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    text = target.hide(" ".join(text.split()))
    advice, is_input = _advice(cause, text)
    kind = AnalyzerError if is_input else CannotMeasure
    return kind(f"cannot use the database {target.name}: {one_line(advice or text)[:300]}")


def _is_locked(error: Exception) -> bool:
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _advice(cause: BaseException, text: str) -> tuple[str, bool]:
    if isinstance(cause, sqlite3.Error):
        return SQLITE_ADVICE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF, ("", True))
    state = getattr(cause, "sqlstate", None)
    if state:
        return POSTGRESQL_ADVICE.get(state, ("", True))
    return next((advice for part, advice in CONNECTION_ADVICE if part in text.lower()), ("", False))
