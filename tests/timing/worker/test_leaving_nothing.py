"""No process is left behind, whatever a model starts and however the program that asked ends; no file stands in the
way of Python's own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analyzer.core.signals import uninterrupted
from analyzer.records.timings import Configuration
from analyzer.timing.driver import processes
from analyzer.timing.driver.processes import ask
from analyzer.timing.request import Request

NET = """
import os, time
from torch import nn

def tell():
    with open("pids", "a") as file:
        print(os.getpid(), file=file)

class Forks(nn.Module):
    forked = False
    def forward(self, x):
        if not Forks.forked and not x.is_meta:
            Forks.forked = True
            if os.fork() == 0:
                tell()
                time.sleep(600)
                os._exit(0)
        return x.relu()

class Twins(nn.Module):  # Forks in each of six passes, and lets both run on.
    forked = 0
    def forward(self, x):
        if not x.is_meta and Twins.forked < 6:
            Twins.forked += 1
            if os.fork() == 0:
                tell()
        return x.relu()

class Hangs(nn.Module):
    def forward(self, x):
        if not x.is_meta:
            tell()
            time.sleep(600)
        return x
"""
pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc")


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    return lambda name: Request(Configuration(), reference=f"net.py:{name}", inputs=("4",), budget_s=1.0, floor=2)


def running(file=Path("pids")) -> list[int]:
    """Those of the noted processes that still run."""
    found = []
    for pid in map(int, file.read_text().split()):
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            found.append(pid)
    return found


def ended(within_s=20.0) -> bool:
    end = time.monotonic() + within_s
    while running() and time.monotonic() < end:
        time.sleep(0.05)
    return not running()


def test_a_process_that_a_model_forked_is_ended_and_nobody_waits_for_it(net):
    started = time.monotonic()
    answer = ask(net("Forks"))
    assert answer.end == "done", answer.reason
    assert time.monotonic() - started < 60  # It holds the pipe open for 600 s.
    assert ended()


def test_a_twin_that_a_model_lets_run_on_takes_no_samples_and_ends(net):
    """Else each would fork anew in every pass, and write its own samples between those of the first."""
    answer = ask(net("Twins"))
    assert answer.end == "done", answer.reason
    assert sum(line["event"] == "ready" for line in answer.lines) == 1
    assert sum(line["event"] == "done" for line in answer.lines) == 1
    assert ended()


def test_what_hangs_is_ended_with_all_that_it_started(net, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_S", 7.0)
    assert ask(net("Hangs")).end == "hung"
    assert ended()


def test_a_second_interrupt_waits_until_what_the_first_keeps_is_safe():
    interrupted = []
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 – the first counts, whatever comes in its cleaning up
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            with uninterrupted():
                signal.raise_signal(signal.SIGINT)
                interrupted.append(False)
    assert interrupted == [False]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=lambda: uninterrupted().__enter__())
    thread.start()
    thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_nothing_goes_on_measuring_when_the_program_is_killed(net):
    command = [sys.executable, "-m", "analyzer", "time", "--model", "net.py:Hangs", "--input", "4", "--no-keep"]
    program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not Path("pids").exists() and time.monotonic() < end:
        time.sleep(0.05)
    assert len(running()) == 1
    os.kill(program.pid, signal.SIGKILL)
    program.wait()
    assert ended()


@pytest.mark.skipif(os.name != "posix", reason="signals of a Unix")
def test_a_cancelled_run_ends_as_an_interrupted_one_does(net):
    command = [sys.executable, "-m", "analyzer", "time", "--model", "net.py:Hangs", "--input", "4", "--no-keep"]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not Path("pids").exists() and time.monotonic() < end:
        time.sleep(0.05)
    program.terminate()
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert ended()


@pytest.mark.parametrize("name", ["random", "torch", "analyzer"])
def test_a_file_of_the_users_does_not_stand_for_a_module_of_that_name(net, name):
    Path(f"{name}.py").write_text("raise SystemExit('shadowed')")
    answer = ask(Request(Configuration(), variant="nin", inputs=("3x64x64",), budget_s=0.1, floor=2))
    assert answer.end == "done", answer.reason


def test_a_package_beside_the_user_may_import_of_itself_when_it_runs(net):
    Path("pack").mkdir()
    Path("pack/__init__.py").touch()
    Path("pack/late.py").write_text("scale = 2\n")
    Path("pack/net.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def forward(self, x):\n"
        "        from pack.late import scale\n"
        "        return x * scale\n"
    )
    answer = ask(Request(Configuration(), reference="pack.net:Net", inputs=("4",), budget_s=0.1, floor=2))
    assert answer.end == "done", answer.reason
