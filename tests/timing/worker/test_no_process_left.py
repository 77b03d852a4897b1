"""No process outlives a measurement, whatever the model starts and however the program ends; no file of the user's
shadows a module of Python, torch or ours."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.driver import processes
from analyzer.timing.driver.processes import run_worker
from analyzer.timing.request import Request

NET = """
import os, time
from torch import nn

def note_process():
    with open("pids", "a") as file:
        print(os.getpid(), file=file)

class Forks(nn.Module):
    forked = False
    def forward(self, x):
        if not Forks.forked and not x.is_meta:
            Forks.forked = True
            if os.fork() == 0:
                note_process()
                time.sleep(600)
                os._exit(0)
        return x.relu()

class ForksAndReturns(nn.Module):  # Forks in each of six passes; both processes return from the pass.
    forked = 0
    def forward(self, x):
        if not x.is_meta and ForksAndReturns.forked < 6:
            ForksAndReturns.forked += 1
            if os.fork() == 0:
                note_process()
        return x.relu()

class Daemon(nn.Module):  # Starts a process in a new session, whose parent ends.
    started = False
    def forward(self, x):
        if not Daemon.started and not x.is_meta:
            Daemon.started = True
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    note_process()
                    time.sleep(600)
                os._exit(0)
            time.sleep(0.2)
        return x.relu()

class Hangs(nn.Module):
    def forward(self, x):
        if not x.is_meta:
            note_process()
            time.sleep(600)
        return x
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked up in /proc"),
]
COMMAND = [sys.executable, "-m", "analyzer", "time", "--model", "net.py:Hangs", "--input", "4", "--no-keep"]


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)


def run(reference, **request):
    return run_worker(Request(Configuration(), reference=reference, inputs=("4",), min_samples=2, **request))


def running() -> list[int]:
    """The noted processes that still run."""
    pids = []
    for pid in map(int, Path("pids").read_text().split()):
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
            pids.append(pid)
    return pids


def all_ended(within_s=20.0) -> bool:
    end = time.monotonic() + within_s
    while running() and time.monotonic() < end:
        time.sleep(0.05)
    return not running()


def start_hanging() -> subprocess.Popen[str]:
    program = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not Path("pids").exists() and program.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert program.poll() is None, program.communicate()
    return program


def test_a_process_that_a_model_forked_is_ended(net):
    started = time.monotonic()
    reply = run("net.py:Forks", budget_s=1.0)
    assert reply.end == "done", reply.reason
    assert time.monotonic() - started < 60  # It holds the pipe open for 600 s.
    assert all_ended()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a process without a parent to the keeper")
def test_a_process_in_a_new_session_is_ended(net):
    assert run("net.py:Daemon", budget_s=1.0).end == "done"
    assert len(Path("pids").read_text().split()) == 1
    assert all_ended()


def test_a_forked_copy_of_the_worker_takes_no_samples(net):
    """Each copy would fork again in every pass, and mix its own samples with those of the worker."""
    reply = run("net.py:ForksAndReturns", budget_s=1.0)
    assert reply.end == "done", reply.reason
    events = [line["event"] for line in reply.lines]
    assert (events.count("ready"), events.count("done")) == (1, 1)
    assert all_ended()


def test_a_worker_that_hangs_is_ended(net, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 7.0)
    assert run("net.py:Hangs", budget_s=1.0).end == "hung"
    assert all_ended()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent")
def test_a_worker_ends_when_the_program_is_killed(net):
    program = start_hanging()
    assert len(running()) == 1
    program.kill()
    program.communicate()
    assert all_ended()


def test_a_cancelled_run_ends_like_an_interrupted_one(net):
    program = start_hanging()
    program.send_signal(signal.SIGTERM)
    _, err = program.communicate(timeout=60)
    assert program.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert all_ended()


@pytest.mark.parametrize("name", ["random", "torch", "analyzer"])
def test_a_users_file_shadows_no_module(net, name):
    Path(f"{name}.py").write_text("raise SystemExit('shadowed')")
    reply = run_worker(Request(Configuration(), variant="nin", inputs=("3x64x64",), budget_s=0.1, min_samples=2))
    assert reply.end == "done", reply.reason


def test_a_users_package_may_import_itself_while_it_runs(net):
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
    reply = run("pack.net:Net", budget_s=0.1)
    assert reply.end == "done", reply.reason
