"""Closed, full or missing standard streams, Ctrl-C, and terminals; each test runs `analyze` in a new process."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

import analyzer
from analyzer.cli import app
from analyzer.worker import client

JOBS = {
    "table": ("--variant", "googlenet"),
    "json": ("--variant", "googlenet", "--format", "json"),
    "csv": ("--variant", "googlenet", "--format", "csv"),
    "list": ("list",),
    "help": ("--help",),
    "version": ("--version",),
    "bare": (),
}
each_job = pytest.mark.parametrize("job", JOBS)
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX signals, descriptors and devices")

# Runs analyze with the arguments after the first, and raises SIGINT when the module named by the first is imported.
# raise_signal, unlike os.kill, delivers it to the importing thread, so that the moment is always the same.
INTERRUPT = """
import signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            sys.meta_path.remove(self)
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""
INTERRUPTED = f"""{INTERRUPT}
from analyzer.cli import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def command(environment, tmp_path):
    """A function that runs analyze with given file objects or descriptors; `closed=1` closes standard output."""

    def run(*arguments, closed=None, program=("-m", "analyzer"), **options):
        shell = ["sh", "-c", f'exec "$0" "$@" {closed}>&-'] if closed else []
        return subprocess.run(
            [*shell, sys.executable, *program, *arguments],
            **{"stderr": subprocess.PIPE, **options},
            env=environment,
            cwd=tmp_path,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def closed_pipe():
    """The write end of a pipe whose reader is gone."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def assert_one_line(text: str) -> None:
    assert text.startswith("analyze: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text


# A closed pipe


@posix
@each_job
def test_a_closed_pipe(command, job, closed_pipe):
    done = command(*JOBS[job], stdout=closed_pipe)
    assert (done.returncode, done.stderr) == (0, "")


@posix
def test_a_pipe_closed_after_the_first_line(environment, tmp_path):
    """As `analyze … | head -1`, with more output than a pipe buffers."""
    arguments = [*JOBS["json"], "--variant", "googlenet-torchvision", "--variant", "vgg16"]
    running = subprocess.Popen(
        [sys.executable, "-m", "analyzer", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
    )
    assert running.stdout.readline() == b"{\n"
    running.stdout.close()
    with running.stderr:
        assert running.stderr.read() == b""
    assert running.wait(60) == 0


@posix
def test_bad_input_into_a_closed_pipe_is_still_bad_input(command, closed_pipe):
    done = command("--variant", "nope", stdout=closed_pipe)
    assert done.returncode == 2
    assert_one_line(done.stderr)


# A full disk, and no standard output or error at all


@posix
@each_job
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk(command, job):
    with Path("/dev/full").open("w") as full:
        done = command(*JOBS[job], stdout=full)
    assert done.returncode == 2
    assert_one_line(done.stderr)
    assert "No space left on device" in done.stderr


@posix
@each_job
def test_no_standard_output(command, job):
    done = command(*JOBS[job], closed=1)
    assert done.returncode == 2
    assert_one_line(done.stderr)


@posix
def test_no_standard_output_is_needed_for_a_file(command, tmp_path):
    done = command(*JOBS["csv"], "-o", "out", closed=1)
    assert (done.returncode, done.stderr) == (0, "analyze: wrote out\n")
    assert (tmp_path / "out").read_text().startswith("model,path,")


@posix
@pytest.mark.parametrize(("arguments", "status"), [((*JOBS["csv"], "-o", "out"), 0), (("--variant", "nope"), 2)])
def test_no_standard_error(command, arguments, status):
    done = command(*arguments, stdout=subprocess.PIPE, closed=2)
    assert (done.returncode, done.stdout) == (status, "")


@posix
def test_a_model_is_counted_without_standard_error(command):
    done = command("--model", "torch.nn:Identity", "--input", "3", stdout=subprocess.PIPE, closed=2)
    assert done.returncode == 0
    assert "Identity" in done.stdout


@posix
def test_a_broken_standard_error_changes_no_exit_status(command, closed_pipe):
    """Python itself exits with status 120 if it cannot flush a stream at exit."""
    assert command(*JOBS["help"], stdout=closed_pipe, closed=2).returncode == 0
    with Path("/dev/full").open("w") as full:
        assert command("--variant", "nope", stdout=subprocess.PIPE, stderr=full).returncode == 2


# Ctrl-C


@pytest.fixture
def interruptible():
    """Background shells ignore SIGINT, and child processes inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(
    ("moment", "job"),
    [
        ("analyzer.counting.api", ("--variant", "vgg16")),
        ("analyzer.networks.walk", ("--variant", "vgg16")),
        ("rich.table", ("--variant", "vgg16")),
        ("torch.nn", ("--variant", "vgg16", "--verify")),
        ("analyzer.counting.crosscheck.fvcore", ("--variant", "nin", "--input", "3x64x64", "--verify")),
    ],
)
def test_an_interrupt_at_any_moment(command, tmp_path, moment, job):
    assert find_spec(moment), "a renamed module would never be imported, and never interrupted"
    (tmp_path / "out").write_text("old")
    done = command(moment, *job, "-o", "out", program=("-c", INTERRUPTED), stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.strip() == "analyze: interrupted"
    assert (tmp_path / "out").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@posix
@pytest.mark.parametrize("job", [("history",), ("check", "nin"), ("sweep", "nin")])
def test_a_current_folder_that_was_deleted(analyze, tmp_path, monkeypatch, job):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    done = analyze(*job)
    assert (done.status, done.out) == (2, "")
    assert done.err == "analyze: the current folder does not exist any more; change to another one\n"


# Loads the module of the command, and sends Ctrl-C while it imports or after it has ended.
STARTED = """
import importlib.util, signal, sys
spec = importlib.util.spec_from_file_location("macscope", sys.argv.pop(1))
macscope = importlib.util.module_from_spec(spec)
spec.loader.exec_module(macscope)
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "pathlib":
            signal.raise_signal(signal.SIGINT)
if sys.argv.pop(1) == "while it imports":
    sys.modules.pop("pathlib", None)
    sys.meta_path.insert(0, Interrupt())
status = macscope.main()
signal.raise_signal(signal.SIGINT)
sys.exit(status)
"""


@posix
@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("moment", "status"), [("while it imports", 130), ("after its end", 0)])
def test_an_interrupt_outside_the_command(command, moment, status):
    package = Path(analyzer.__file__).parent
    folder = package / "plugin" if (package / "plugin").exists() else package.parent  # The latter in a wheel.
    file = folder / "macscope.py"
    done = command(str(file), moment, "list", program=("-c", STARTED), stdout=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (status, "")


# As `python -m analyzer`, with Ctrl-C when a module is imported.
AS_MODULE = f"""{INTERRUPT}
import runpy
runpy.run_module("analyzer", run_name="__main__", alter_sys=True)
"""


@posix
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_the_package_is_imported_as_a_program(command):
    done = command("analyzer.cli", "list", program=("-c", AS_MODULE), stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@posix
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_from_outside(environment, tmp_path):
    """A signal from another process, sent while torch is being imported."""
    running = subprocess.Popen(
        [sys.executable, "-m", "analyzer", "--variant", "vgg16", "--batch", "4", "--verify"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=tmp_path,
        encoding="utf-8",
    )
    maps = Path(f"/proc/{running.pid}/maps")
    if not maps.exists():
        running.kill()
        running.communicate()
        pytest.skip("needs /proc")
    while running.poll() is None and "libtorch" not in maps.read_text():
        time.sleep(0.002)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (130, "")
    assert err.strip() == "analyze: interrupted"


# A terminal


@pytest.fixture
def terminal(environment, tmp_path):
    """A function that runs analyze on a pseudo-terminal and returns what it printed there."""
    pty = pytest.importorskip("pty")
    termios = pytest.importorskip("termios")

    def run(*arguments, columns=100, **changes):
        leader, follower = pty.openpty()
        termios.tcsetwinsize(follower, (50, columns))
        running = subprocess.Popen(
            [sys.executable, "-m", "analyzer", *arguments],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            env={**environment, "TERM": "xterm-256color", **changes},
            cwd=tmp_path,
            close_fds=True,
        )
        os.close(follower)
        received = b""
        while True:
            try:
                part = os.read(leader, 65536)
            except OSError:  # Linux reports the end of a pseudo-terminal as EIO.
                break
            if not part:
                break
            received += part
        os.close(leader)
        assert running.wait(60) == 0
        return received.decode().replace("\r\n", "\n")

    return run


COLOR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|4\d|9\d|10\d)(?:;\d+)*m")
STYLE = re.compile(r"\x1b\[[\d;]*m")


@posix
def test_a_terminal_gets_color_and_its_width(terminal, process):
    for columns in (80, 100, 120):
        received = terminal("--variant", "googlenet", columns=columns)
        assert COLOR.search(received)
        assert STYLE.sub("", received) == process("--variant", "googlenet", COLUMNS=str(columns)).out


@posix
@pytest.mark.parametrize("changes", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_no_color_with_no_color_or_a_dumb_terminal(terminal, changes):
    received = terminal("--variant", "googlenet", **changes)
    assert not COLOR.search(received)
    assert "1,582,671,872 MACs" in received


@posix
def test_a_slow_reader_of_a_non_blocking_pipe_gets_all(environment, tmp_path):
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    arguments = [sys.executable, "-m", "analyzer", "--variant", "googlenet", "--format", "json"]
    for unbuffered in ("", "1"):
        process = subprocess.Popen(
            arguments, stdout=writer, env={**environment, "PYTHONUNBUFFERED": unbuffered}, cwd=tmp_path
        )
        received = b""
        time.sleep(0.5)  # The pipe is full by now.
        while not received.endswith(b"\n}\n"):
            received += os.read(reader, 4096)
        assert process.wait(60) == 0
        assert json.loads(received)["status"] == "ok"


@posix
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_that_fills_up_is_an_error(environment, tmp_path, unbuffered):
    # A limit on the size of files acts like a full disk: the write that crosses it is cut short without an error.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    arguments = [sys.executable, "-B", "-m", "analyzer", "--variant", "googlenet", "--format", "json"]
    with (tmp_path / "out.json").open("wb") as file:
        done = subprocess.run(
            arguments, stdout=file, stderr=subprocess.PIPE, preexec_fn=limit, cwd=tmp_path, check=False, text=True,
            env={**environment, "PYTHONUNBUFFERED": unbuffered},
        )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "cannot write the result" in done.stderr


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("of all things"), BrokenPipeError("not that of standard output"), SystemExit(0)]
)
def test_a_defect_is_one_line_with_a_file_for_the_report(monkeypatch, capsys, tmp_path, error):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(app.cli, "main", fail)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert app.main(["list"]) == 70
    (file,) = tmp_path.iterdir()
    shown = capsys.readouterr().err
    assert (len(shown.splitlines()), type(error).__name__ in shown, str(file) in shown) == (1, True, True)
    assert "Traceback" in file.read_text()


def test_ctrl_c_after_the_result_changes_nothing(monkeypatch, capsys):
    """While a model's worker ends."""

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(client, "close", interrupted)
    assert app.main(["list"]) == 0
    assert "googlenet" in capsys.readouterr().out
