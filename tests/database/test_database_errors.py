"""What can go wrong with a database: one line that names it and what to do, and never a password."""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from contextlib import closing
from urllib.parse import quote

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.database import connection, database_errors
from analyzer.database.connection import parse_target
from analyzer.database.result_rows import encode
from analyzer.database.store import migrate_store, open_store
from tests.database.results import result
from tests.database.servers import PASSWORD


@pytest.fixture
def file(tmp_path):
    """A store in a file with one result."""
    path = tmp_path / "results.sqlite"
    with open_store(str(path)) as store:
        store.insert([encode(result("a"))])
    return path


def failure(use) -> AnalyzerError:
    with pytest.raises(AnalyzerError) as error:
        use()
    message = str(error.value)
    assert message.isprintable()
    for secret in (PASSWORD, quote(PASSWORD), quote(PASSWORD, safe="")):
        assert secret not in message
    return error.value


def use(url, *results):
    with open_store(str(url)) as store:
        store.insert(map(encode, results))
        return store.count()


# --- names of stores -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("url", "name", "secrets"),
    [
        ("postgresql://me:s3cret@db:5433/lab", "postgresql://me@db:5433/lab", ["s3cret"]),
        ("postgres://me:s3cr%65t%2F@db/lab?sslmode=require", "postgresql://me@db/lab", ["s3cret/", "s3cr%65t%2F"]),
        ("postgresql+psycopg:///lab?host=/run&password=s3cret", "postgresql:///lab", ["s3cret"]),
        ("POSTGRESQL://db/lab", "postgresql://db/lab", []),
        ("sqlite:////tmp/a.sqlite", "/tmp/a.sqlite", []),
        ("a b.sqlite", "a b.sqlite", []),
    ],
)
def test_a_name_has_no_password(url, name, secrets):
    target = parse_target(url)
    assert target.name == name
    assert target.hide(" ".join(["text", *secrets])) == " ".join(["text", *["***"] * len(secrets)])


@pytest.mark.parametrize(
    "url",
    ["mysql://me:s3cret@db/lab", "https://me:s3cret@db", "postgresql://me:s3cret@db:port/lab", "sqlite://",
     "sqlite:///file:a?mode=ro&uri=true", "sqlite:///:memory:", "://", "postgresql://me:s3cret@[::1/lab"],
)  # fmt: skip
def test_another_url_is_refused(url):
    error = failure(lambda: parse_target(url))
    assert "s3cret" not in str(error)
    assert "wanted postgresql://USER@HOST/DATABASE" in str(error)


@pytest.mark.parametrize(("module", "extra", "url"), [("psycopg", "postgresql", "postgresql://db/lab")])
def test_a_missing_driver_names_the_extra(module, extra, url, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    assert f"macscope[{extra}]" in str(failure(lambda: use(url)))


# --- SQLite ----------------------------------------------------------------------------------------------------------
def test_a_damaged_file(file, tmp_path):
    other = tmp_path / "text.sqlite"
    other.write_bytes(b"this is no database, and long enough to be read as one" * 100)
    assert "damaged or no database" in str(failure(lambda: use(other)))
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))
    assert "damaged" in str(failure(lambda: use(file)))


def test_reading_an_empty_file_does_not_fill_it(tmp_path):
    path = tmp_path / "empty.sqlite"
    path.touch()
    with pytest.raises(AnalyzerError, match="is empty"):
        analyzer.history(path).frame()
    assert not path.stat().st_size


@pytest.mark.parametrize(
    ("column", "value"),
    [("attempts", "2.13.0"), ("time_s", "{}"), ("params", b"1"), ("model", b"nin"), ("created", b"")],
)
def test_a_value_of_another_type(file, column, value):
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"UPDATE macscope_results SET {column} = ?", (value,))
    problem = f"the result 'a' is damaged: the column {column} is "
    for search in (
        lambda store: list(store.select()),
        lambda store: list(store.results()),
        lambda store: store.frame(),
    ):
        with open_store(str(file)) as store:
            assert not len(search(store))
            (note,) = store.notes
            assert note.startswith(f"left out: {problem}")
    with open_store(str(file)) as store:
        assert problem in str(failure(lambda: store.get("a")))
        assert store.delete('key == "a"') == 1


def test_damaged_results_are_left_out_and_named(tmp_path, analyze):
    """One damaged result stops no search: of twelve, two are intact."""
    path = tmp_path / "some.sqlite"
    with open_store(str(path)) as store:
        store.insert(encode(result(f"key{number:02}")) for number in range(12))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE macscope_results SET attempts = 'x' WHERE key BETWEEN 'key02' AND 'key10'")
        database.execute("UPDATE macscope_documents SET \"case\" = '{' WHERE key = 'key11'")
    with open_store(str(path)) as store:
        assert {kept.key for kept in store.results()} == {"key00", "key01"}
        assert len(store.notes) == 10
    listed = analyze("history", "list", "--store", str(path), "--format", "json")
    assert (listed.status, len(json.loads(listed.out)["results"])) == (0, 3)  # The columns of key11 are intact.
    assert listed.err.count("left out: the result 'key") == 9
    exported = analyze("history", "export", "--store", str(path))
    assert (exported.status, exported.out.count("\n")) == (0, 3)
    assert exported.err.count("left out: the result 'key") == 9
    with pytest.warns(UserWarning, match="left out: the result 'key") as warned:
        assert len(analyzer.history(path).records()) == 2
    assert len(warned) == 10


@pytest.mark.parametrize("revision", ["", "-1", "../x", "0000\n"])
def test_an_unknown_schema(file, revision):
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE macscope_version SET version_num = ?", (revision,))
    assert "run analyze history migrate" in str(failure(lambda: use(file)))
    assert "unknown" in str(failure(lambda: migrate_store(str(file))))


def test_a_locked_file_is_awaited(file, monkeypatch):
    for module in (connection, database_errors):
        monkeypatch.setattr(module, "LOCK_TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(file, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        error = failure(lambda: use(file, result("b")))
        assert isinstance(error, CannotMeasure)
        assert "lock" in str(error)
    assert use(file, result("b")) == 2


def test_a_full_disk_keeps_what_is_stored(file):
    def fill():
        with open_store(str(file)) as store:
            with store._engine.connect() as held:  # The pragma holds for a connection, which the pool gives again.
                held.exec_driver_sql("PRAGMA max_page_count = 60")
            for number in range(100):
                store.insert([encode(result(f"k{number}"))])

    error = failure(fill)
    assert isinstance(error, CannotMeasure)
    assert "disk is full" in str(error)
    stored = use(file)
    assert 1 < stored < 100
    with open_store(str(file)) as store:
        assert len(list(store.results())) == stored, "each one whole"


@pytest.mark.parametrize("path", [".", "no folder/results.sqlite", "nul\0.sqlite"])
def test_a_place_where_no_file_can_be(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert failure(lambda: use(path)).exit_status == 2


def test_a_file_that_cannot_be_written_can_be_read(file, monkeypatch):
    make = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda path, **options: make(f"file:{path}?mode=ro", uri=True, **options)
    )
    assert use(file) == 1
    assert "read-only" in str(failure(lambda: use(file, result("b"))))


# --- PostgreSQL ------------------------------------------------------------------------------------------------------
@pytest.mark.slow
@pytest.mark.parametrize(
    ("user", "password", "database", "words"),
    [
        ("admin", "wrong/of the:tests", "postgres", "password is wrong"),
        ("nobody", PASSWORD, "postgres", "password is wrong"),  # The server does not tell whether the user exists.
        ("admin", PASSWORD, "absent", "no such database"),
    ],
)
def test_a_refused_connection(server, user, password, database, words):
    error = failure(lambda: use(server.url(database, user, password)))
    assert (words in str(error), error.exit_status) == (True, 2)
    assert f"postgresql://{user}@127.0.0.1:{server.port}/{database}" in str(error)
    assert "wrong/of" not in str(error)


@pytest.mark.slow
def test_no_server(server, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = server._replace(port=unused.getsockname()[1]).url("postgres")
        error = failure(lambda: use(url))
        assert ("no server listens" in str(error), error.exit_status) == (True, 3)
        monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 2)  # The least that libpq takes.
        unused.listen()
        error = failure(lambda: use(url))
        assert ("no answer" in str(error), error.exit_status) == (True, 3)


@pytest.mark.slow
def test_a_lost_connection_is_made_again_once(server, database):
    with open_store(database) as store:
        store.insert([encode(result("a"))])
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'macscope'")
        assert store.insert([encode(result("a")), encode(result("b"))]) == 1
        assert store.count() == 2


@pytest.mark.slow
def test_an_unknown_error_of_the_server_shows_no_parameter(database):
    with open_store(database) as store:
        row = {**encode(result("a")), "record": "{secret"}
        message = str(failure(lambda: store.insert([row])))
        assert "json" in message
        assert "secret" not in message
        assert store.count() == 0
