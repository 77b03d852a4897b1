"""The folder `.analyze` of a project."""

from __future__ import annotations

from analyzer.core.files import make_data_folder


def test_git_ignores_the_folder_unless_the_user_decided_otherwise(tmp_path):
    records = tmp_path / ".analyze" / "records"
    make_data_folder(records)
    assert records.is_dir()
    ignore = tmp_path / ".analyze" / ".gitignore"
    assert ignore.read_text(encoding="utf-8") == "*\n"
    ignore.write_text("history.sqlite\n", encoding="utf-8")
    make_data_folder(records)
    make_data_folder(records.parent)
    assert ignore.read_text(encoding="utf-8") == "history.sqlite\n"
