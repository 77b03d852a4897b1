"""`analyze sweep --cluster local:2`: a scheduler and workers that start and end with the command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from analyzer.database.store import open_store
from tests.sweeps.cluster.fleets import wait_for

pytest.importorskip("distributed")
pytestmark = pytest.mark.slow
NET = "import torch\nfrom width import width\n\ndef net(layers=1):\n" \
      "    return torch.nn.Sequential(*(torch.nn.Linear(width, width) for _ in range(layers)))\n"  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "net.py").write_text(NET)
    (tmp_path / "models" / "width.py").write_text("width = 8\n")
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "macscope", "sweep", *arguments, "--store", "results.sqlite", "--cluster", "local:2"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def test_models_in_files_are_counted_and_timed_on_the_workers(folder: Path) -> None:
    models = ["models/net.py:net", f"{folder}/models/net.py:net(layers=3)"]
    timed = ["--input", "8", "--measure", "counts,time", "--budget", "1", "--processes", "1", "--threads", "1"]
    command = start(folder, *models, *timed)
    _, errors = command.communicate(timeout=120)
    assert command.returncode == 0, errors
    with open_store(str(folder / "results.sqlite")) as store:
        rows = {row["model"]: row for row in store.select(whole=True)}
    # A linear layer of 8 inputs and 8 outputs has 64 MACs, at any batch of 1.
    assert {model: row["macs"] for model, row in rows.items()} == {models[0]: 64, models[1]: 3 * 64}
    for model, row in rows.items():
        assert json.loads(row["record"])["model"] == model
        assert row["time_s"] > 0
        assert row["processor"]
        assert json.loads(row["case"])["model"] == model
    first, second = sorted((row["started"], row["ended"]) for row in rows.values())
    assert first[1] <= second[0]


def test_an_interrupt_of_the_terminal_ends_all_processes_in_one_line(folder: Path) -> None:
    command = start(folder, "nin", "--measure", "time", "--budget", "60", "--threads", "1")
    wait_for(lambda: any("analyzer.worker.run_task" in line for line in children(command.pid).values()))
    processes = list(children(command.pid))
    time.sleep(0.5)
    os.killpg(command.pid, signal.SIGINT)
    _, errors = command.communicate(timeout=60)
    assert command.returncode == 130
    assert len(errors.splitlines()) == 1, errors
    psutil.wait_procs(processes, timeout=20)
    assert not [process for process in processes if process.is_running()]


def children(pid: int) -> dict[psutil.Process, str]:
    """The processes below a process, and their commands."""
    found = {}
    for child in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):
            found[child] = " ".join(child.cmdline())
    return found
