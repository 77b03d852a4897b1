"""Pipes as input, and the folder `.analyze` of a project."""

from __future__ import annotations

import os
import threading
import time

import pytest

from analyzer.core import files
from analyzer.core.files import make_data_folder, read_text


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


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_pipe_without_a_writer_is_an_error_instead_of_a_wait_for_ever(pipe, monkeypatch):
    monkeypatch.setattr(files, "PIPE_WAIT_S", 0.1)
    with pytest.raises(OSError, match="no program writes"):
        read_text(pipe)


@pytest.mark.parametrize("text", ["", "short", "x" * 300_000], ids=len)
@pytest.mark.parametrize("delay_s", [0, 0.1], ids=["opened first", "opened late"])
def test_a_pipe_is_read_until_its_writer_closes_it(pipe, text, delay_s):
    def write() -> None:
        time.sleep(delay_s)
        with pipe.open("w") as file:
            time.sleep(0.1 - delay_s)
            file.write(text)

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    assert read_text(pipe) == text
    writer.join(10)
