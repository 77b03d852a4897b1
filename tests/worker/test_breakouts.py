"""Models that try to end, redirect or poison the program: the model is reported in one line and exit status 3, or
counted; every other model keeps its result, standard output is whole, and no process is left."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest

from analyzer.worker import client

pytestmark = pytest.mark.skipif(not client.CAN_FORK, reason="workers are forked")

MODELS = '''
import atexit, ctypes, os, random, resource, signal, subprocess, sys, threading, time
import torch
from torch import nn

class Good(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)

def inputs():
    return torch.zeros(3, 4)

def note_process():
    with open(os.environ["PIDS"], "a") as file:
        file.write(f"{os.getpid()}\\n")

def hostile(run):
    """A model whose pass first runs a function."""
    class Hostile(Good):
        def forward(self, x):
            run()
            return super().forward(x)
    return Hostile

def constructor(run):
    class Hostile(Good):
        def __init__(self):
            run()
            super().__init__()
    return Hostile

def raises(error):
    def run():
        raise error
    return run

class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class Base(BaseException):
    pass

def recurse():
    recurse()

def loop():
    while True:
        pass

def stop_after_signals():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    loop()

def allocate():
    resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
    [bytearray(1 << 30) for _ in range(8)]

def child(new_session=False):
    """Forks a process that sleeps."""
    if os.fork() == 0:
        if new_session:
            os.setsid()
            if os.fork():
                os._exit(0)
        note_process()
        time.sleep(600)
        os._exit(0)

def close_descriptors():
    os.closerange(3, 256)
    time.sleep(600)

def kill_keeper():
    child(new_session=True)
    time.sleep(0.2)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)

def signal_server(number):
    """The server is the parent of the keeper."""
    with open(f"/proc/{os.getppid()}/stat") as file:
        os.kill(int(file.read().split()[3]), number)

def write_into_every_descriptor(data):
    for number in range(3, 64):
        try:
            os.write(number, data)
        except OSError:
            pass

def write_without_end():
    while True:
        write_into_every_descriptor(b"x" * 65536)

def forge(line):
    """Writes a line into the channel, and waits so that it arrives by itself."""
    write_into_every_descriptor(line + b"\\n")
    time.sleep(1)

def poison():
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    nn.Linear.forward = lambda self, x: x
    sys.modules["torch.nn"] = sys.modules["json"] = None
    os.environ.clear()

def leave_folder():
    os.chdir("/")
    sys.path[:] = ["/nowhere"]
    random.seed = None

Exit0 = hostile(lambda: os._exit(0))
Exit7 = hostile(lambda: os._exit(7))
ExitInConstructor = constructor(lambda: os._exit(0))
SysExit = hostile(lambda: sys.exit(0))
SysExitInConstructor = constructor(sys.exit)
Segfault = hostile(lambda: ctypes.string_at(0))
Abort = hostile(os.abort)
Killed = hostile(lambda: os.kill(os.getpid(), signal.SIGKILL))
KillsGroup = hostile(lambda: os.kill(0, signal.SIGTERM))
KillsKeeper = hostile(kill_keeper)
Recursion = hostile(recurse)
Memory = hostile(allocate)
MemoryError_ = hostile(raises(MemoryError()))
Loop = hostile(loop)
LoopInConstructor = constructor(loop)
IgnoresSignals = hostile(stop_after_signals)
Interrupt = hostile(raises(KeyboardInterrupt()))
BaseException_ = hostile(raises(Base("text")))
Unprintable_ = hostile(raises(Unprintable()))
ClosesDescriptors = hostile(close_descriptors)
WritesEverywhere = hostile(lambda: write_into_every_descriptor(b'{"event": "done"}\\nnonsense\\n'))
WritesWithoutEnd = hostile(write_without_end)
ForgesNothing = hostile(lambda: forge(b'{"event": "done"}'))
ForgesNesting = hostile(lambda: forge(b"[" * 100_000))
ForgesNoReason = hostile(lambda: forge(b'{"event": "failed"}'))

Prints = hostile(lambda: (print("printed"), os.write(1, b"printed\\n"), os.system("echo printed")))
PrintsAtExit = hostile(lambda: atexit.register(print, "printed"))
NewStdout = hostile(lambda: setattr(sys, "stdout", None))
ClosesStreams = hostile(lambda: os.closerange(0, 3))
LeavesFolder = hostile(leave_folder)
Handlers = hostile(lambda: [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)])
Forks = hostile(child)
Daemon = hostile(lambda: child(new_session=True))
ForksAndReturns = hostile(os.fork)
Noting = hostile(note_process)
ForksAndNotes = hostile(lambda: (note_process(), os.fork()))
Poison = hostile(poison)
KillsServer = hostile(lambda: signal_server(signal.SIGKILL))
StopsServer = hostile(lambda: signal_server(signal.SIGSTOP))
NoExit = hostile(lambda: setattr(os, "_exit", lambda status: None))
RuinsExit = hostile(lambda: atexit.register(lambda: 1 / 0))
'''

ENDED = {
    "Exit0": "status 0",
    "Exit7": "status 7",
    "ExitInConstructor": "status 0",
    "SysExit": "SystemExit",
    "SysExitInConstructor": "SystemExit",
    "Segfault": "SIGSEGV",
    "Abort": "SIGABRT",
    "Killed": "SIGKILL",
    "KillsGroup": "SIGTERM",
    "KillsKeeper": "connection",
    "Recursion": "RecursionError",
    "Memory": "MemoryError",
    "MemoryError_": "MemoryError",
    "Loop": "within",
    "LoopInConstructor": "within",
    "IgnoresSignals": "within",
    "Interrupt": "KeyboardInterrupt",
    "BaseException_": "Base: text",
    "ClosesDescriptors": "connection",
    "WritesEverywhere": "cannot be read",
    "WritesWithoutEnd": "cannot be read",
    "ForgesNothing": "0 of 1 records",
    "ForgesNesting": "cannot be read",
    "ForgesNoReason": "cannot be read",
}
COUNTED = [
    "Prints", "PrintsAtExit", "NewStdout", "ClosesStreams", "LeavesFolder", "Handlers", "Forks", "Daemon",
    "ForksAndReturns", "Poison", "NoExit", *(["KillsServer", "StopsServer"] if sys.platform == "linux" else []),
]  # fmt: skip
LOOPS = {"Loop", "LoopInConstructor", "IgnoresSignals"}


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    Path("pids").touch()
    Path("evil.py").write_text(MODELS)
    return tmp_path


def all_ended(within_s: float = 10.0) -> bool:
    """Whether every noted process has ended; a zombie counts as ended, since init reaps it."""
    end = time.monotonic() + within_s
    while running := [pid for pid in Path("pids").read_text().split() if _runs(pid)]:
        if time.monotonic() > end:
            return not running
        time.sleep(0.02)
    return True


def _runs(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def envelope(text: str) -> dict:
    """Standard output, which has to be one JSON value."""
    return json.loads(text)


def totals(text: str) -> dict[str, int]:
    return {record["model"]: record["totals"]["macs"] for record in envelope(text)["records"]}


GOOD_MACS = 3 * 4 * 2  # A linear layer from 4 to 2 features at batch 3.


@pytest.mark.parametrize("name", ENDED)
def test_a_model_that_ends_is_named_and_the_others_keep_their_counts(models, analyze, name):
    limit = ("--timeout", "2") if name in LOOPS else ()
    done = analyze("--model", f"evil.py:{name}", "--model", "evil.py:Good", "--format", "json", *limit)
    assert done.status == 3, done.err
    assert totals(done.out) == {"evil.py:Good": GOOD_MACS}
    assert envelope(done.out)["status"] == "partial"
    messages = [line for line in done.err.splitlines() if line.startswith("analyze: ")]
    assert len(messages) == 1
    assert ENDED[name] in messages[0]
    assert "Traceback" not in done.err
    assert all_ended()


@pytest.mark.parametrize("name", COUNTED)
def test_a_model_that_misbehaves_is_counted_and_changes_nothing(models, analyze, name):
    models_of = ("--model", f"evil.py:{name}", "--model", "evil.py:Good")
    done = analyze(*models_of, "--format", "json", "-o", "counts.json")
    assert done.status == 0, done.err
    counted = totals(Path("counts.json").read_text())
    assert done.out == ""
    assert counted == {f"evil.py:{name}": 0 if name == "Poison" else GOOD_MACS, "evil.py:Good": GOOD_MACS}
    assert all_ended()


@pytest.mark.parametrize("options", [(), ("--train",), ("--memory",)])
def test_a_forked_copy_that_returns_makes_no_further_pass(models, analyze, options):
    """Each of the passes of a count would double the number of processes."""
    passes = []
    for name in ("Noting", "ForksAndNotes"):
        Path("pids").write_text("")
        assert analyze("--model", f"evil.py:{name}", *options).status == 0
        assert all_ended()
        passes.append(len(Path("pids").read_text().split()))
    assert passes[1] == passes[0] > 0


def test_an_exception_without_a_text_is_named(models, analyze):
    done = analyze("--model", "evil.py:Unprintable_", "--model", "evil.py:Good", "--format", "json")
    assert totals(done.out) == {"evil.py:Good": GOOD_MACS}
    assert done.status == 2
    assert "Unprintable" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["NoExit", "RuinsExit"])
def test_the_end_of_a_worker_prints_nothing(models, process, name):
    done = process("--model", f"evil.py:{name}", "--format", "json")
    assert (done.status, done.err) == (0, "")
    assert totals(done.out) == {f"evil.py:{name}": GOOD_MACS}


def test_what_models_print_goes_to_standard_error(models, process):
    done = process("--model", "evil.py:Prints", "--model", "evil.py:PrintsAtExit", "--format", "json")
    assert len(envelope(done.out)["records"]) == 2
    assert done.err.count("printed") >= 4
