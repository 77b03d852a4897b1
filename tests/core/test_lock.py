"""One time check at a time. Concurrent updates of a baseline are tested with the baseline."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from contextlib import nullcontext
from pathlib import Path

import pytest

from analyzer.core import lock
from analyzer.core.errors import CannotMeasure

HOLDER = """
import sys
from pathlib import Path
from analyzer.core.lock import exclusive
with exclusive(Path(sys.argv[1]), print):
    print("locked", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it reads a line."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_a_second_check_notifies_once_and_waits(tmp_path, holder):
    messages: list[str] = []

    def notify(message: str) -> None:
        messages.append(message)
        threading.Timer(0.5, holder.communicate, ["\n"]).start()

    with lock.exclusive(tmp_path / "lock", notify):
        assert holder.wait(60) == 0
    assert len(messages) == 1


@pytest.mark.slow
def test_a_killed_holder_frees_the_lock(tmp_path, holder):
    holder.kill()
    holder.wait()
    with lock.exclusive(tmp_path / "lock", pytest.fail):
        pass


def test_a_read_only_file_of_another_user_suffices(tmp_path):
    path = tmp_path / "lock"
    path.touch(mode=0o444)
    with lock.exclusive(path, pytest.fail):
        pass


def test_a_symbolic_link_is_not_followed(tmp_path: Path):
    path = tmp_path / "lock"
    path.symlink_to(tmp_path / "precious")
    messages: list[str] = []
    with lock.exclusive(path, messages.append):
        assert len(messages) == 1
        assert "cannot use the lock" in messages[0]
    assert not os.path.lexists(tmp_path / "precious")


def test_a_fifo_in_its_place_does_not_block(tmp_path: Path):
    os.mkfifo(tmp_path / "lock")
    messages: list[str] = []
    with lock.exclusive(tmp_path / "lock", messages.append):
        assert "cannot use the lock" in messages[0]


@pytest.mark.slow
def test_waiting_has_a_limit(tmp_path, holder):
    messages: list[str] = []
    with pytest.raises(CannotMeasure, match="held the lock"), lock.exclusive(tmp_path / "lock", messages.append, 0.3):
        pytest.fail("the lock is held by another process")
    assert len(messages) == 1


def test_the_lock_of_a_check_is_in_a_folder_of_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert lock.lock_path() == tmp_path / "analyze-check.lock"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with lock.exclusive(lock.lock_path(), pytest.fail):
        (file,) = (tmp_path / "cache").iterdir()
        assert re.fullmatch(r"analyze-check-[0-9a-f]{8}\.lock", file.name)  # Of this machine, if others share the home.


@pytest.mark.parametrize(
    ("first", "second", "wait"),
    [
        ("cpu", "cpu", True),
        ("cuda", "cuda:0", True),
        ("cuda:0", "cuda:1", False),
        ("cuda:1", "cpu", True),
        ("cpu", "cuda:1", True),
    ],
)
def test_timings_on_processors_or_on_one_gpu_exclude_each_other(tmp_path, monkeypatch, first, second, wait):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    refused = pytest.raises(CannotMeasure) if wait else nullcontext()
    with lock.timing_lock(first), refused, lock.timing_lock(second, max_wait=0):
        pass
    names = {file.name for file in tmp_path.iterdir()}
    assert ("analyze-gpu-5.lock" in names) == any(device in ("cuda", "cuda:0") for device in (first, second))


def test_a_process_with_one_timing_after_another_lets_others_in_between(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    order: list[str] = []
    waiting = threading.Event()

    def time_once() -> None:
        with lock.timing_lock(notify=lambda message: waiting.set()):
            order.append("other")

    other = threading.Thread(target=time_once)
    with lock.timing_lock():
        other.start()
        assert waiting.wait(60)
    for _ in range(3):
        with lock.timing_lock():
            order.append("same")
    other.join()
    assert order == ["other", "same", "same", "same"]
