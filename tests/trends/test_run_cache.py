"""Reading all runs through the cache: it saves parsing, and whatever happens to it, no run is lost."""

from __future__ import annotations

import multiprocessing
import sqlite3
import sys
from contextlib import closing

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.record_json import dump
from analyzer.records.run_files import FOLDER, save
from analyzer.trends import run_cache
from analyzer.trends.pytest_benchmark import parse_run, store_run
from analyzer.trends.run_cache import FILE, read_points, rebuild_cache
from tests.timed_records import timed
from tests.trends.bench_files import bench


@pytest.fixture(scope="module")
def nin():
    return timed("nin", kernels=False)


@pytest.fixture
def root(tmp_path, nin):
    """A project with three runs and no cache."""
    for second in range(3):
        save([nin.replace(created=f"2026-01-02T03:04:0{second}Z")], tmp_path)
    return tmp_path


def runs(loaded) -> list[str]:
    return sorted({point.run for point in loaded.points})


def execute(root, statement: str) -> list[tuple]:
    with closing(sqlite3.connect(root / FILE)) as connection, connection:
        return connection.execute(statement).fetchall()


# --- runs and cache agree --------------------------------------------------------------------------------------------
def test_a_project_without_runs_gets_no_file(tmp_path):
    assert read_points(tmp_path).points == rebuild_cache(tmp_path).points == ()
    assert not (tmp_path / ".analyze").exists()


def test_an_unchanged_file_is_not_parsed_again(root, monkeypatch):
    before = read_points(root)
    assert len(runs(before)) == 3
    monkeypatch.setattr(run_cache, "load", lambda *_, **__: pytest.fail("parsed again"))
    assert read_points(root) == before


def test_new_changed_and_deleted_files_are_noticed(root, nin):
    read_points(root)
    first, second, _ = sorted((root / FOLDER).iterdir())
    first.unlink()
    second.write_text(dump([nin.replace(model="other", created="2026-01-02T03:04:01Z")]))
    save([nin.replace(created="2026-01-03T00:00:00Z")], root)
    loaded = read_points(root)
    assert len(runs(loaded)) == 3
    assert {point.model for point in loaded.points} == {"nin", "other"}
    assert execute(root, "SELECT COUNT(*) FROM cached_runs") == [(3,)]
    assert read_points(root) == loaded


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"schema_version": 99, "records": []}', b"[" * 10**5, b"\xff", None]
)
def test_a_damaged_file_is_named_and_the_others_are_read(root, data):
    file = root / FOLDER / "20260101T000000Z-bad.json"
    file.mkdir() if data is None else file.write_bytes(data)
    for loaded in (read_points(root), read_points(root), rebuild_cache(root)):
        assert len(runs(loaded)) == 3
        (note,) = loaded.notes
        assert note.startswith(("left out: 20260101T000000Z-bad.json", "left out: '20260101T000000Z-bad.json"))
        assert "\n" not in note


def test_names_are_stored_as_data(tmp_path):
    hostile = [
        "'; DROP TABLE cached_runs; --",
        "a\nb\x1b[31m",
        "=cmd|' /C calc'!A0",
        "\ud800",
        "nul\x00",
        "x" * 5000,
        "",
    ]
    store_run(parse_run(bench(dict.fromkeys(hostile, 0.01))), tmp_path)
    loaded = read_points(tmp_path)
    assert {point.model for point in loaded.points} == {*hostile}
    assert read_points(tmp_path) == loaded == rebuild_cache(tmp_path)


# --- an unusable cache -----------------------------------------------------------------------------------------------
def overwrite(root):
    (root / FILE).write_bytes(b"this is no database, and long enough to be read as one" * 100)


def truncate(root):
    data = (root / FILE).read_bytes()
    (root / FILE).write_bytes(data[: len(data) // 2])


def drop_table(root):
    execute(root, "DROP TABLE cached_runs")


@pytest.mark.parametrize("damage", [overwrite, truncate, drop_table])
def test_a_damaged_cache_loses_nothing_and_rebuild_replaces_it(root, damage):
    whole = read_points(root)
    damage(root)
    loaded = read_points(root)
    assert loaded.points == whole.points
    assert "--rebuild" in loaded.notes[0]
    assert rebuild_cache(root) == read_points(root) == whole


def test_a_cache_of_another_version_is_replaced(root):
    whole = read_points(root)
    execute(root, "PRAGMA user_version = 1")
    assert read_points(root) == read_points(root) == whole


def test_a_locked_cache_is_awaited_then_the_files_are_read(root, monkeypatch):
    whole = read_points(root)
    monkeypatch.setattr(run_cache, "TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(root / FILE, isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        with pytest.raises(AnalyzerError, match="locked"):
            rebuild_cache(root)
        loaded = read_points(root)
        assert loaded.points == whole.points
        assert "locked" in loaded.notes[0]
    assert read_points(root) == whole


def test_a_full_disk_loses_no_run(root, monkeypatch):
    def connect(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(run_cache, "_connect", connect)
    loaded = read_points(root)
    assert len(runs(loaded)) == 3
    assert "full" in loaded.notes[0]


def test_a_read_only_cache_loses_no_run(root, monkeypatch, nin):
    read_points(root)
    save([nin.replace(created="2026-01-03T00:00:00Z")], root)
    monkeypatch.setattr(run_cache, "_connect", lambda path: sqlite3.connect(f"file:{path}?mode=ro", uri=True))
    loaded = read_points(root)
    assert len(runs(loaded)) == 4
    assert "readonly" in loaded.notes[0]


def test_a_folder_in_place_of_the_cache(root):
    (root / FILE).mkdir()
    loaded = read_points(root)
    assert len(runs(loaded)) == 3
    assert "unable to open" in loaded.notes[0]
    with pytest.raises(AnalyzerError):
        rebuild_cache(root)


# --- concurrent processes --------------------------------------------------------------------------------------------
def write_runs(root, number, barrier):
    barrier.wait()
    for index in range(5):
        store_run(parse_run(bench({"b": 0.01}, day=1 + index + 5 * number)), root)
        read_points(root)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="starts processes by fork or spawn of POSIX")
def test_concurrent_writers_lose_no_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(6)
    workers = [context.Process(target=write_runs, args=(tmp_path, number, barrier)) for number in range(5)]
    for worker in workers:
        worker.start()
    barrier.wait()
    while any(worker.is_alive() for worker in workers):
        read_points(tmp_path)
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 5
    loaded = read_points(tmp_path)
    assert (len(runs(loaded)), loaded.notes) == (25, ())
    assert execute(tmp_path, "SELECT COUNT(*) FROM cached_runs") == [(25,)]


def test_a_run_that_another_process_caches_meanwhile_stays(root, monkeypatch):
    connect, late = run_cache._connect, [bench({"b": 0.01}, day=20)]

    def connect_late(path):
        if late:
            store_run(parse_run(late.pop()), root)
            read_points(root)
        return connect(path)

    monkeypatch.setattr(run_cache, "_connect", connect_late)
    assert len(runs(read_points(root))) == 4
    assert execute(root, "SELECT COUNT(*) FROM cached_runs") == [(4,)]
