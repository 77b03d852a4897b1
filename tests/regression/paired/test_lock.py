"""One time check at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.regression.paired import lock

HOLDER = """
import sys
from pathlib import Path
from analyzer.regression.paired.lock import exclusive
with exclusive(Path(sys.argv[1]), print):
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
def test_a_second_check_waits_and_notifies_once(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "locked\n"
        messages: list[str] = []
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                holder.stdin.write("\n")
                holder.stdin.close()
                holder.wait()

        monkeypatch.setattr("time.sleep", sleep)
        with lock.exclusive(path, messages.append):
            assert len(messages) == 1
            assert len(waits) == 3


@pytest.mark.slow
def test_a_killed_holder_frees_the_lock(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    messages: list[str] = []
    with lock.exclusive(path, messages.append):
        assert messages == []


def test_a_read_only_file_of_another_user_suffices(tmp_path):
    path = tmp_path / "lock"
    path.touch(mode=0o444)
    messages: list[str] = []
    with lock.exclusive(path, messages.append):
        assert messages == []


def test_a_symbolic_link_is_not_followed(tmp_path: Path):
    path = tmp_path / "lock"
    path.symlink_to(tmp_path / "precious")
    messages: list[str] = []
    with lock.exclusive(path, messages.append):
        assert len(messages) == 1
        assert "cannot use the lock" in messages[0]
    assert not os.path.lexists(tmp_path / "precious")
