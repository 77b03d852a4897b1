"""Files of timed runs are in the default database as soon as it is read, and stay the truth."""

from __future__ import annotations

import sqlite3

import pytest

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.database import import_run_files
from analyzer.database.columns import NAMES
from analyzer.database.connection import FILE
from analyzer.database.store import open_store
from analyzer.records.record_json import dump
from analyzer.records.run_files import FOLDER, save
from tests.timed_records import timed


@pytest.fixture(scope="module")
def nin():
    return timed("nin", batch=8, kernels=False)


@pytest.fixture
def root(tmp_path, nin):
    for second in range(3):
        save([nin.replace(created=f"2026-01-02T03:04:0{second}Z")], tmp_path)
    return tmp_path


def listed(root):
    with open_store(root=root, create=False) as store:
        return [(row["created"][-2], row["model"]) for row in store.select()], store.notes


def test_timed_runs_are_imported_once(root, nin, monkeypatch):
    assert listed(root) == ([("2", "nin"), ("1", "nin"), ("0", "nin")], ())
    monkeypatch.setattr(import_run_files, "load_all", lambda path: pytest.fail("parsed again"))
    assert len(listed(root)[0]) == 3
    with open_store(root=root) as store:
        stored = next(store.results())
    assert stored.record == nin.replace(created="2026-01-02T03:04:02Z")
    assert stored.case.configuration == nin.measurement.configuration
    assert stored.case.measure == ("counts", "memory", "time")
    assert stored.run.startswith("20260102T030402Z-")


def test_python_reads_frames_and_records(root, nin, monkeypatch):
    monkeypatch.chdir(root)
    (root / "pyproject.toml").touch()
    frame = analyzer.history().frame(where='model ~ "n*" and batch == 8')
    assert frame["macs"].tolist() == [nin.totals.macs] * 3
    assert frame["time_s"].tolist() == [nin.measurement.pass_timing.median_s] * 3
    assert list(frame) == list(NAMES)
    newest, *_ = analyzer.history(root / FILE).records("batch == 8")
    assert newest == nin.replace(created="2026-01-02T03:04:02Z")
    with pytest.raises(AnalyzerError, match="no column 'btch'"):
        analyzer.history().frame("btch == 8")


def test_new_changed_and_deleted_files_are_noticed(root, nin):
    listed(root)
    first, second, _ = sorted((root / FOLDER).iterdir())
    first.unlink()
    second.write_text(dump([nin.replace(model="other", created="2026-01-02T03:04:01Z")]))
    save([nin.replace(created="2026-01-02T03:04:09Z")], root)
    assert listed(root)[0] == [("9", "nin"), ("2", "nin"), ("1", "other")]


def test_deleted_results_do_not_come_back_while_their_file_is_unchanged(root):
    with open_store(root=root) as store:
        assert store.delete('created ~ "*:01Z"') == 1
    assert [second for second, _ in listed(root)[0]] == ["2", "0"]


@pytest.mark.parametrize("data", [b"", b"{", b'{"schema_version": 99, "records": []}', b"[" * 10**5, b"\xff", None])
def test_a_damaged_file_is_named_and_the_others_are_read(root, data):
    file = root / FOLDER / "bad.json"
    file.mkdir() if data is None else file.write_bytes(data)
    rows, (note,) = listed(root)
    assert len(rows) == 3
    assert "bad.json" in note
    assert note.isprintable()


def test_a_renamed_file_keeps_its_result_and_a_copy_is_another_run(root):
    listed(root)
    first, second, _ = sorted((root / FOLDER).iterdir())
    first.rename(first.with_name("baseline.json"))
    (root / FOLDER / "copy.json").write_bytes(second.read_bytes())
    second.unlink()
    assert [second for second, _ in listed(root)[0]] == ["2", "1", "0"]
    with open_store(root=root) as store:
        assert {run["run"][:8] for run in store.runs()} == {"baseline", "copy", "20260102"}


def test_a_database_that_cannot_be_written_is_searched_as_it_is(root, nin, monkeypatch):
    listed(root)
    for second in (7, 8):
        save([nin.replace(created=f"2026-01-02T03:04:0{second}Z")], root)
    make = sqlite3.connect
    monkeypatch.setattr(
        sqlite3.dbapi2, "connect", lambda path, **options: make(f"file:{path}?mode=ro", uri=True, **options)
    )
    rows, (note,) = listed(root)
    assert len(rows) == 3
    assert "run files are not imported" in note
    assert "read-only" in note


def test_another_store_gets_no_run_files(root, tmp_path):
    with open_store(str(tmp_path / "other.sqlite"), root) as store:
        assert store.count() == 0
