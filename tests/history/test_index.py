"""The index: rebuilt from files, unusable without loss, written by many at once."""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import sys
from contextlib import closing

import pytest

from analyzer.history import index as database
from analyzer.history import pytest_benchmark as imported
from analyzer.history.index import FILE, Unusable, index, read, rebuild
from analyzer.records.envelope import dump
from analyzer.records.store import FOLDER, save
from tests.history.made import bench
from tests.timed_records import timed


@pytest.fixture(scope="module")
def nin():
    return timed("nin", kernels=False)


@pytest.fixture
def root(tmp_path, nin):
    """A project with three runs, none of them in the index."""
    for second in range(3):
        save([nin.replace(created=f"2026-01-02T03:04:0{second}Z")], tmp_path)
    return tmp_path


def runs(found) -> list[str]:
    return sorted({point.run for point in found.points})


def test_an_empty_project_has_no_runs_and_gets_no_file(tmp_path):
    assert read(tmp_path).points == rebuild(tmp_path).points == ()
    assert not (tmp_path / ".analyze").exists()


def test_files_are_found_whether_or_not_they_were_put_in(root, nin):
    first = runs(read(root))
    assert len(first) == 3
    later = save([nin.replace(created="2026-01-03T00:00:00Z")], root)
    index(later, root)
    assert runs(read(root)) == [*first, f"{FOLDER.as_posix()}/{later.name}"]


def test_a_known_file_is_not_read_again(root, monkeypatch):
    before = read(root)
    monkeypatch.setattr(database, "load", lambda *_, **__: pytest.fail("it was read again"))
    assert read(root) == before


def test_a_changed_file_is_read_again_and_a_gone_one_goes(root, nin):
    read(root)
    first, second, _ = sorted((root / FOLDER).iterdir())
    first.unlink()
    second.write_text(dump([nin.replace(model="other", created="2026-01-02T03:04:01Z")]))
    found = read(root)
    assert len(runs(found)) == 2
    assert {point.model for point in found.points} == {"nin", "other"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema_version": 99, "records": []}', "\x00", "[" * 100_000])
def test_a_damaged_file_is_named_and_the_others_stand(root, text):
    (root / FOLDER / "20260101T000000Z-bad.json").write_text(text)
    for found in (read(root), read(root), rebuild(root)):
        assert len(runs(found)) == 3
        (note,) = found.notes
        assert note.startswith("left out: ")
        assert "20260101T000000Z-bad.json" in note
        assert "\n" not in note


def test_bytes_that_are_no_text_are_a_damaged_file(root):
    (root / FOLDER / "bad.json").write_bytes(b"\xff\xfe\xff")
    assert read(root).notes == ("left out: bad.json is damaged (not UTF-8)",)


def test_a_corrupt_index_is_said_the_files_are_read_and_rebuild_makes_it_again(root):
    whole = read(root)
    (root / FILE).write_bytes(b"this is no database, and it is long enough to be looked at" * 100)
    found = read(root)
    assert found.points == whole.points
    (note,) = found.notes
    assert "it is damaged; analyze history --rebuild makes it again; read the files instead" in note
    assert rebuild(root).points == whole.points
    assert read(root) == whole


def test_an_index_that_was_cut_short_or_tampered_with_loses_nothing(root):
    whole = read(root)
    data = (root / FILE).read_bytes()
    (root / FILE).write_bytes(data[: len(data) // 2])
    assert read(root).points == whole.points
    assert rebuild(root).points == whole.points
    with sqlite3.connect(root / FILE) as connection:
        connection.execute("DROP TABLE points")
    connection.close()
    assert read(root).points == whole.points
    assert rebuild(root) == read(root) == whole


def test_an_index_of_another_version_is_made_again_by_itself(root):
    whole = read(root)
    with sqlite3.connect(root / FILE) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert read(root) == whole


def test_an_index_that_another_program_made_is_replaced_by_rebuild(root):
    whole = read(root)
    with sqlite3.connect(root / FILE) as connection:
        connection.execute("DROP TABLE points")
        connection.execute("CREATE VIEW points AS SELECT 1")
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    found = read(root)
    assert found.points == whole.points
    assert "analyze history --rebuild makes it again; read the files instead" in found.notes[0]
    assert rebuild(root) == read(root) == whole


def test_a_locked_index_is_waited_for_then_said(root, monkeypatch):
    whole = read(root)
    monkeypatch.setattr(database, "BUSY_S", 0.1)
    holder = sqlite3.connect(root / FILE, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    path = next((root / FOLDER).iterdir())
    with pytest.raises(Unusable, match=r"another process has held it for 0\.1 s"):
        index(path, root)
    with pytest.raises(Unusable, match="another process"):
        rebuild(root)
    path.write_text(path.read_text() + "\n")  # Changed, so that reading would have to write.
    found = read(root)
    assert found.points == whole.points
    assert len(found.notes) == 1
    holder.close()
    assert read(root) == whole


def test_a_full_disk_is_said_and_the_run_is_kept(root, monkeypatch):
    def full(path):
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    monkeypatch.setattr(database, "_connect", full)
    with pytest.raises(Unusable, match="the disk is full"):
        index(next((root / FOLDER).iterdir()), root)
    found = read(root)
    assert len(runs(found)) == 3
    assert "the disk is full; read the files instead" in found.notes[0]


def test_a_read_only_index_is_said(root, monkeypatch):
    read(root)
    monkeypatch.setattr(database, "_connect", lambda path: sqlite3.connect(f"file:{path}?mode=ro", uri=True))
    with pytest.raises(Unusable, match="read-only"):
        index(next((root / FOLDER).iterdir()), root)


def test_a_folder_in_its_place_is_said(root):
    (root / FILE).mkdir()
    found = read(root)
    assert len(runs(found)) == 3
    assert "it is read-only or not a file" in found.notes[0]
    with pytest.raises(Unusable):
        rebuild(root)


def test_names_are_data(tmp_path):
    hostile = ["'; DROP TABLE points; --", "a\nb\x1b[31m", "=cmd|' /C calc'!A0", "\ud800", "nul\x00", "x" * 5000, ""]
    imported.keep(imported.parse(bench(dict.fromkeys(hostile, 0.01))), tmp_path)
    found = read(tmp_path)
    assert {point.model for point in found.points} == {*hostile} - {"\ud800"} | {"\\ud800"}
    assert read(tmp_path) == found == rebuild(tmp_path)


def writer(root, number, gate):
    gate.wait()
    for turn in range(5):
        data = bench({"one": 0.01}, day=1 + turn + 5 * number)
        path, _ = imported.keep(imported.parse(data), root)
        index(path, root)


@pytest.mark.skipif(sys.platform == "win32", reason="forks")
def test_writers_at_once_lose_no_run(tmp_path):
    processes = multiprocessing.get_context("spawn")
    gate = processes.Barrier(6)
    workers = [processes.Process(target=writer, args=(tmp_path, number, gate)) for number in range(5)]
    for worker in workers:
        worker.start()
    gate.wait()
    while any(worker.is_alive() for worker in workers):
        read(tmp_path)  # A reader, which also writes, at the same time.
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 5
    with sqlite3.connect(tmp_path / FILE) as connection:
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (25,)
        assert connection.execute("SELECT COUNT(*) FROM points").fetchone() == (25,)
    connection.close()
    assert len(runs(read(tmp_path))) == 25


@pytest.mark.parametrize("look", [read, rebuild])
def test_a_run_taken_in_while_a_reader_waits_is_not_taken_out(root, monkeypatch, look):
    """A reader that listed the files before it waited for the lock took out whatever came in meanwhile."""
    connect, late = database._connect, [bench({"one": 0.01}, day=20)]

    def waits(path):
        if late:
            kept, _ = imported.keep(imported.parse(late.pop()), root)
            index(kept, root)
        return connect(path)

    monkeypatch.setattr(database, "_connect", waits)
    found = look(root)
    assert len(runs(found)) == 4
    with closing(sqlite3.connect(root / FILE)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM runs").fetchone() == (4,)


def test_an_import_has_no_host_and_is_the_same_file_again(tmp_path):
    run = imported.parse(bench({"one": [0.3, 0.1, 0.2]}))
    path, fresh = imported.keep(run, tmp_path)
    assert fresh
    assert imported.keep(run, tmp_path) == (path, False)
    assert "secret" not in path.read_text()
    kept = imported.kept(path)
    assert [one.median_s for one in kept.benchmarks] == [0.2]
    assert run.benchmarks[0].samples_s == (0.3, 0.1, 0.2)
    assert kept.environment == run.environment == {
        "processor": "Example CPU 3 GHz", "processors": "4", "architecture": "x86_64", "system": "Linux",
        "Python": "CPython 3.11.9",
    }  # fmt: skip
    assert (kept.created, kept.commit) == ("2026-01-01T12:00:00Z", f"{1:040x}")


@pytest.mark.parametrize(
    "change",
    [
        {"benchmarks": [{}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": "1"}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": -1}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": float("nan")}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": True}}]},
        {"benchmarks": [{"fullname": 1, "stats": {"median": 1}}]},
        {"benchmarks": [7]},
        {"benchmarks": {}},
        {"machine_info": 7, "benchmarks": []},
        {"machine_info": {"cpu": 7}, "benchmarks": []},
        {"commit_info": 7, "benchmarks": []},
        {"commit_info": {"id": 7}, "benchmarks": []},
        {"commit_info": {"id": {"a": 1}}, "benchmarks": []},
        {"datetime": 7, "benchmarks": []},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 1e300}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 10**400}}]},
        {"benchmarks": [{"fullname": "a", "stats": {"median": 1, "data": [1, None]}}]},
    ],
)
def test_another_file_is_refused_by_name(change):
    data = {**json.loads(bench({"one": 0.01})), **change}
    with pytest.raises(database.AnalyzerError, match=r"'b\.json' (is damaged|has no benchmarks)"):
        imported.parse(json.dumps(data), "b.json")


def test_a_mark_at_the_start_of_a_file_is_no_damage(tmp_path):
    (tmp_path / "bom.json").write_text("\ufeff" + bench({"one": 0.01}), encoding="utf-8")
    assert imported.read(tmp_path / "bom.json") == imported.parse(bench({"one": 0.01}))


def test_of_a_benchmark_that_ran_twice_the_last_counts():
    data = json.loads(bench({"one": 0.01, "two": 0.02}))
    data["benchmarks"].append({"fullname": "one", "stats": {"median": 0.03}})
    found = imported.parse(json.dumps(data)).benchmarks
    assert [(one.name, one.median_s) for one in found] == [("one", 0.03), ("two", 0.02)]


@pytest.mark.parametrize("change", [{"commit": 7}, {"benchmarks": [{"name": "a", "median_s": 10**400}]}])
def test_a_kept_file_that_was_tampered_with_is_left_out_by_name(tmp_path, change):
    path, _ = imported.keep(imported.parse(bench({"one": 0.01})), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    found = read(tmp_path)
    assert found.points == ()
    assert found.notes[0].startswith(f"left out: {path.name} is damaged")
