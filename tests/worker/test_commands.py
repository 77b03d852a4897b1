"""Commands that run a reference ask a worker: a model's end or settings do not reach the command or other models."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.worker import client

NETS = """
import os, time
import torch
from torch import nn

class Net(nn.Linear):
    def __init__(self):
        super().__init__(4, 2)

class Ends(Net):
    def forward(self, x):
        os._exit(0)

class Small(Net):
    def forward(self, x):
        if x.shape[0] > 2:
            os._exit(9)
        return super().forward(x)

class Hangs(Net):
    def forward(self, x):
        with open("pids", "a") as file:
            file.write(f"{os.getpid()}\\n")
        if os.fork() == 0:
            os.setsid()
            with open("pids", "a") as file:
                file.write(f"{os.getpid()}\\n")
        time.sleep(600)

def inputs():
    return torch.zeros(3, 4)
"""
DOUBLE = "import torch\ntorch.set_default_dtype(torch.float64)\n" + NETS
HANG = [sys.executable, "-m", "analyzer", "--model", "net.py:Hangs"]


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETS)
    Path("double.py").write_text(DOUBLE)
    Path("pyproject.toml").write_text('[tool.analyzer.check]\nmodels = ["double.py:Net", "net.py:Net"]\n')
    return tmp_path


def test_the_command_does_not_import_torch(project):
    code = (
        "import sys\nfrom analyzer.cli import main\n"
        "commands = [], ['report', '-o', 'page.html'], ['check', '--update'], ['reconcile', '--peer', 'fvcore']\n"
        "for command in commands:\n"
        "    assert main([*command, '--model', 'net.py:Net']) == 0\n"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_model_that_ends_its_process_does_not_end_a_check(project, analyze):
    assert analyze("check", "--update").status == 0
    Path("net.py").write_text(NETS.replace("super().__init__(4, 2)", "super().__init__(4, 3)"))
    done = analyze("check", "--model", "net.py:Ends", "--model", "net.py:Net", "--format", "json")
    outcomes = {change["model"]: change["outcome"] for change in json.loads(done.out)["changes"]}
    assert outcomes["net.py:Net"] == "regressed"
    assert done.status == 1
    assert "net.py:Ends: its process ended with status 0" in done.err


@pytest.mark.skipif(not client.CAN_FORK, reason="there is no server")
@pytest.mark.parametrize(("package", "hidden"), [("colorsys", False), ("sched", True)])
def test_the_server_imports_a_package_for_its_workers_unless_a_users_file_hides_it(
    project, analyze, monkeypatch, package, hidden
):
    if hidden:
        (project / "path").mkdir()
        (project / "path" / f"{package}.py").write_text("")
        monkeypatch.syspath_prepend(str(project / "path"))
    Path("net.py").write_text(
        "import sys\nfrom torch import nn\n"
        f"class Net(nn.Linear):\n    def __init__(self): super().__init__(4, 2 + ({package!r} in sys.modules))\n"
    )
    client.preload([package, "no_such_package"])
    done = analyze("net.py:Net", "--input", "4", "--format", "json")
    outputs = 2 if hidden else 3
    assert json.loads(done.out)["records"][0]["totals"]["params"] == outputs * 4 + outputs


@pytest.mark.parametrize(
    ("models", "packages"), [(("timm:a", "timm:b", "torchvision:c"), [["timm"]]), (("timm:a",), [])]
)
def test_a_check_has_a_library_of_several_models_imported_once(analyze, project, monkeypatch, models, packages):
    asked = []
    monkeypatch.setattr(client, "preload", asked.append)
    analyze("check", *models)
    assert asked == packages


def test_an_error_names_its_model_once(project, analyze):
    done = analyze("check", "net.py:Ends")
    assert done.err.startswith("analyze: net.py:Ends: its process ended")
    assert done.err.count("net.py:Ends") == 1


@pytest.mark.parametrize(
    ("package", "code", "words"),
    [
        ("torch", "raise OSError('libtorch.so is missing')", ["torch cannot", "torch/__init__.py", "libtorch.so"]),
        ("numpy", "raise ImportError('broken')", ["numpy cannot", "numpy/__init__.py", "broken"]),
        ("torch", "import no_such_package", ["no_such_package cannot"]),
        ("torch", "raise SystemExit(3)", ["torch cannot", "SystemExit: 3"]),
        (
            "torch",
            "import os\nif hasattr(os, 'torch'): raise OSError('twice')\nos.torch = 1\nraise OSError('the reason')",
            ["torch cannot", "the reason"],
        ),
    ],
)
@pytest.mark.slow
def test_a_package_that_cannot_be_imported_is_named(project, process, package, code, words):
    (project / "path" / package).mkdir(parents=True)
    (project / "path" / package / "__init__.py").write_text(code)
    done = process("net.py:Net", PYTHONPATH=str(project / "path"))
    assert done.status == 3
    assert done.err.count("\n") == 1
    assert [word for word in words if word not in done.err] == []


def test_a_default_type_that_a_model_sets_does_not_change_another_model(project, analyze):
    both = analyze("--model", "double.py:Net", "--model", "net.py:Net", "--format", "json")
    alone = analyze("--model", "net.py:Net", "--format", "json")
    assert json.loads(both.out)["records"][0]["dtype"] == "float64"
    assert json.loads(both.out)["records"][1] == json.loads(alone.out)["records"][0]


def test_memory_is_shown_if_the_model_ends_its_process_at_a_larger_batch(project, analyze):
    done = analyze("--model", "net.py:Small", "--input", "4", "--memory")
    assert done.status == 0
    assert "Memory of net.py:Small" in done.out
    assert "Unknown: net.py:Small: its process ended with status 9" in done.out


def test_a_report_shows_the_models_that_could_be_counted(project, analyze):
    done = analyze("report", "--model", "net.py:Ends", "--model", "net.py:Net", "-o", "page.html", "--charts", "none")
    assert done.status == 3
    assert "net.py:Ends: its process ended with status 0" in done.err
    assert "net.py:Net" in Path("page.html").read_text()


def test_reconcile_reports_a_model_that_ends_its_process(project, analyze):
    done = analyze("reconcile", "--model", "net.py:Ends", "--peer", "fvcore")
    assert done.status == 3
    assert "its process ended with status 0" in done.err


def test_a_timeout_without_a_reference_is_refused(analyze):
    done = analyze("--variant", "nin", "--timeout", "5")
    assert done.status == 2
    assert "--timeout" in done.err


def test_a_reference_is_counted_where_there_is_no_fork(project, analyze, monkeypatch):
    forked = analyze("--model", "net.py:Net", "--format", "json")
    monkeypatch.setattr(client, "CAN_FORK", False)
    spawned = analyze("--model", "net.py:Net", "--format", "json")
    assert spawned == forked
    ended = analyze("--model", "net.py:Ends", "--model", "net.py:Net", "--format", "json")
    assert ended.status == 3
    assert [record["model"] for record in json.loads(ended.out)["records"]] == ["net.py:Net"]


def running() -> list[str]:
    pids = Path("pids").read_text().split() if Path("pids").exists() else []
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "(zombie)" not in _status(pid)]


def _status(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "(zombie)"


def wait_until(condition, within_s: float = 30.0) -> bool:
    end = time.monotonic() + within_s
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGHUP])
def test_a_signal_to_the_command_ends_the_model_and_its_processes(project, number):
    def by_default() -> None:  # Under nohup, SIGHUP is ignored, and a child inherits that.
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)

    command = subprocess.Popen(HANG, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=by_default)
    assert wait_until(lambda: len(running()) == 2), command.communicate()
    command.send_signal(number)
    _, messages = command.communicate(timeout=30)
    assert command.returncode == (130 if number == signal.SIGINT else -number)
    assert "Traceback" not in messages
    assert wait_until(lambda: not running())
