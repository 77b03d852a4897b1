"""Results travel between stores as JSON lines and Parquet, whole; what cannot be read is named with its line."""

from __future__ import annotations

import json
import sys

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.database.export_and_import import json_lines, read_rows, write_parquet
from analyzer.database.result_rows import encode
from analyzer.database.store import open_store
from analyzer.records.run_files import save
from tests.database.results import NIN, result
from tests.timed_records import timed

STORED = [
    result("time", timed("nin", batch=8), batch=8),
    result("failed", None),
    result("names", NIN.replace(model="é\x00\n"), model="é\x00\n"),
]


def write_lines(path):
    path.write_bytes(b"".join(json_lines(map(encode, STORED))))


def write_columns(path):
    with path.open("wb") as file:
        write_parquet(map(encode, STORED), file)


@pytest.mark.parametrize("write", [write_lines, write_columns])
def test_results_arrive_whole_and_once(write, tmp_path):
    pytest.importorskip("pyarrow", exc_type=ImportError)
    write(tmp_path / "results")
    with open_store(str(tmp_path / "a.sqlite")) as store:
        assert store.insert(read_rows(tmp_path / "results")) == 3
        assert store.insert(read_rows(tmp_path / "results")) == 0
        assert sorted(store.results(), key=lambda each: each.key) == sorted(STORED, key=lambda each: each.key)


def test_json_lines_have_the_record_as_json(tmp_path):
    write_lines(tmp_path / "results")
    first, failed, _ = map(json.loads, (tmp_path / "results").read_text().splitlines())
    assert first["record"]["rows"][0]["path"] == "conv1"
    assert (first["macs"], first["case"]["configuration"]["batch"]) == (NIN.totals.macs * 8, 8)
    assert (failed["record"], failed["macs"], failed["reason"]) == (None, None, "out of memory")


def test_parquet_has_typed_columns(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    with (tmp_path / "results").open("wb") as file:
        write_parquet([encode(STORED[0]), {**encode(STORED[1]), "macs": 10**20}], file)
    table = parquet.read_table(tmp_path / "results")
    assert {str(table.schema.field(name).type) for name in ("macs", "batch")} == {"int64"}
    assert table["macs"].to_pylist() == [NIN.totals.macs * 8, None]
    assert table["compiled"].to_pylist() == [False, False]


def test_files_of_timed_runs_are_imported(tmp_path):
    path = save([timed("nin"), timed("nin", batch=8)], tmp_path)
    assert [row["batch"] for row in read_rows(path)] == [1, 8]
    (tmp_path / "counts.json").write_text(NIN.to_json())
    (row,) = read_rows(tmp_path / "counts.json")
    assert (row["measure"], row["run"], row["macs"]) == ("counts", "counts", NIN.totals.macs)


def test_columns_are_computed_from_the_record(tmp_path):
    line = json.loads(next(json_lines([encode(STORED[0])])))
    (tmp_path / "a.jsonl").write_text(json.dumps({**line, "macs": 1, "batch": 3}))
    (row,) = read_rows(tmp_path / "a.jsonl")
    assert row == encode(STORED[0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "line 1 is no JSON"),
        ("\n\n[]", "line 3 is no result"),
        ('{"key": "a"}', "no result"),
        ("\x00", "no JSON"),
        ("[" * 100_000, "no JSON"),
        (("key", "::error::x"), "wanted letters and digits"),
        (("key", 3), "wanted letters and digits"),
        (("status", "maybe"), "damaged"),
        (("record", {"model": "nin"}), "damaged"),
        (("case", None), "damaged"),
        ("PAR1 and no Parquet", "cannot read"),
    ],
    ids=str,
)
def test_what_cannot_be_read_is_named(text, words, tmp_path):
    if isinstance(text, tuple):
        name, value = text
        text = json.dumps({**json.loads(next(json_lines([encode(STORED[0])]))), name: value})
    if text.startswith("PAR1"):
        pytest.importorskip("pyarrow", exc_type=ImportError)
    path = tmp_path / "results.jsonl"
    path.write_text(text)
    with pytest.raises(AnalyzerError) as error:
        list(read_rows(path))
    assert words in str(error.value)
    assert "results.jsonl" in str(error.value)
    assert str(error.value).isprintable()


def test_parquet_without_pyarrow_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(AnalyzerError, match=r"macscope\[parquet\]"):
        write_columns(tmp_path / "results")


def test_a_file_of_parquet_without_the_columns(tmp_path):
    arrow, parquet = (
        pytest.importorskip("pyarrow", exc_type=ImportError),
        pytest.importorskip("pyarrow.parquet", exc_type=ImportError),
    )
    parquet.write_table(arrow.table({"key": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(AnalyzerError, match="no column case, record"):
        list(read_rows(tmp_path / "a.parquet"))
