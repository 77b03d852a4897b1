"""One check at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from analyzer.regression.paired import lock

HOLDER = """
import sys
from pathlib import Path
from analyzer.regression.paired.lock import alone
with alone(Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_second_check_waits_and_says_so_once(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "held\n"
        said: list[str] = []
        waits: list[float] = []

        def sleep(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                holder.stdin.write("\n")
                holder.stdin.close()
                holder.wait()

        monkeypatch.setattr("time.sleep", sleep)
        with lock.alone(path, said.append):
            assert said == ["another time check runs on this machine; waiting for it to end"]
            assert len(waits) == 3


def test_a_holder_that_is_killed_frees_it(tmp_path):
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
    said: list[str] = []
    with lock.alone(path, said.append):
        assert said == []


def test_another_users_file_that_can_only_be_read_is_enough(tmp_path):
    path = tmp_path / "lock"
    path.touch(mode=0o444)
    said: list[str] = []
    with lock.alone(path, said.append):
        assert said == []


def test_a_link_is_not_followed(tmp_path: Path):
    path = tmp_path / "lock"
    path.symlink_to(tmp_path / "precious")
    said: list[str] = []
    with lock.alone(path, said.append):
        assert len(said) == 1
        assert "cannot use the lock" in said[0]
    assert not os.path.lexists(tmp_path / "precious")
