"""Records saved to files and loaded again."""

from __future__ import annotations

import json

import pytest

import analyzer


def test_a_saved_record_is_loaded_as_it_was(tmp_path):
    record = analyzer.count("googlenet", train=True, memory=True, input=(3, 64, 64))
    record.save(tmp_path / "record.json")
    assert analyzer.load(tmp_path / "record.json") == record
    assert json.loads(record.to_json())["records"][0]["totals"]["macs"] == record.totals.macs


def test_a_file_of_the_command_line_is_loaded(analyze, tmp_path):
    path = str(tmp_path / "two.json")
    assert analyze("--variant", "nin,alexnet", "--format", "json", "-o", path).status == 0
    assert [record.model for record in analyzer.load_all(path)] == ["nin", "alexnet"]
    with pytest.raises(analyzer.AnalyzerError, match=r"has 2 records; analyzer\.load_all"):
        analyzer.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"no", r"bad\.json is not JSON .* or Record\.save"),
        (b"\xff", r"cannot read '.*bad\.json': it is not text"),
        (b"[]", r"bad\.json is not a record"),
        (b'{"schema_version": 2, "records": []}', "has 0 records"),
    ],
)
def test_files_that_are_no_records_are_refused(tmp_path, content, message):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(analyzer.AnalyzerError, match=message):
        analyzer.load(path)


def test_a_record_is_not_saved_in_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(analyzer.AnalyzerError, match="give another path") as error:
        analyzer.count("nin").save(tmp_path / "none" / "record.json")
    assert "-o " not in str(error.value)
