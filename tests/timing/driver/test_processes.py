"""Real fresh processes: what they tell comes back, and one that fails, dies or hangs is an answer with its reason."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.cli.commands.time import DTYPES, LAYOUTS
from analyzer.core.errors import AnalyzerError
from analyzer.records.envelope import load
from analyzer.records.timings import Configuration
from analyzer.timing.driver import measure as measuring
from analyzer.timing.driver import processes
from analyzer.timing.driver.measure import configurations, measure, measured, requests
from analyzer.timing.driver.processes import ask
from analyzer.timing.request import Request

NET = """
import os, signal, sys, time
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.act = nn.ReLU()

    def forward(self, x):
        print("a model that talks")
        return self.act(self.conv(x)).mean((2, 3))

class Slow(Net):
    def forward(self, x):
        time.sleep(60)

class Killed(Net):
    def forward(self, x):
        if not x.is_meta:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)

class Patient(Net):
    calls = 0

    def forward(self, x):
        Patient.calls += 1
        if not x.is_meta:
            time.sleep(0.02)
        if Patient.calls == 150:
            open("marker", "w").close()
        return super().forward(x)

class Raises(Net):
    def forward(self, x):
        if x.shape[0] > 4 and not x.is_meta:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 1 bytes")
        return super().forward(x)
"""


@pytest.fixture
def net(tmp_path):
    (tmp_path / "net.py").write_text(NET)
    return lambda name: f"{tmp_path}/net.py:{name}"


def request(reference, budget_s=1.5, batch=1, **how):
    return Request(
        Configuration(batch=batch), reference=reference, inputs=("3x16x16",), budget_s=budget_s, floor=2, **how
    )


def test_a_model_is_counted_and_timed_in_one_process(net):
    answer = ask(request(net("Net"), kernels=True, replay=True))
    assert answer.end == "done", answer.reason
    assert answer.of("ready")["record"]["totals"]["macs"] == 14 * 14 * 8 * 3 * 3 * 3
    keys = [tuple(key) for key in answer.of("keys")["keys"]]
    assert keys == [
        ("forward", "conv", "conv2d", 1),
        ("forward", "act", "relu", 1),
        ("forward", "", "mean", 1),
        ("forward", "", "gap", 1),
    ]
    kernels = {(path, name) for path, name, *_ in answer.of("kernels")["kernels"]}
    assert ("act", "aten::clamp_min") in kernels or ("act", "aten::relu") in kernels
    replayed = [(path, kind) for path, _, _, kind, *_ in answer.of("replay")["replay"]]
    assert replayed == [("conv", "replay"), ("conv", "replay_cold"), ("act", "replay"), ("act", "replay_cold")]


def test_a_chrome_trace_is_written_whole(net, tmp_path):
    trace = tmp_path / "trace.json"
    trace.write_text("an older one")
    answer = ask(request(net("Net"), trace=str(trace)))
    assert answer.end == "done", answer.reason
    names = {event.get("name") for event in json.loads(trace.read_text())["traceEvents"]}
    assert {"aten::conv2d", "analyzer tile 0 conv conv2d"} <= names
    answer = ask(request(net("Net"), trace=str(trace)).replace(configuration=Configuration(mode="training", batch=2)))
    assert answer.end == "done", answer.reason
    assert "ConvolutionBackward0" in trace.read_text()
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []


def test_a_reference_that_fails_says_so_in_its_own_words(net):
    answer = ask(request(net("Nothing")))
    assert answer.end == "refused"
    assert "Nothing" in answer.reason


def test_a_model_that_does_not_run_on_its_input_is_refused_with_the_way_out(net):
    """As bad input: where nothing else was asked for it is one line, and status 2."""
    answer = ask(request(net("Net")).replace(inputs=()))
    assert answer.end == "refused"
    assert answer.reason.endswith("give its input with --input")
    with pytest.raises(AnalyzerError, match="give its input with --input"):
        measured([request(net("Net")).replace(inputs=())], processes=1)


def test_a_setting_that_fails_leaves_the_others(net):
    measurements = configurations([2, 8], [1])
    found = measured(requests([], [net("Raises")], ["3x16x16"], measurements, budget_s=1.5, floor=2), processes=1)
    good, bad = found.records
    assert good.measurement.status == "ok"
    assert good.measurement.whole is not None
    assert bad.measurement.status == "failed"
    assert bad.measurement.reason.startswith("out of memory at batch 8 (")


def test_channels_last_without_an_image_is_refused(tmp_path):
    (tmp_path / "flat.py").write_text("from torch import nn\nNet = lambda: nn.Linear(4, 4)\n")
    wanted = Request(
        Configuration(layout="channels_last"), reference=f"{tmp_path}/flat.py:Net", inputs=("4",), budget_s=1.0
    )
    answer = ask(wanted)
    assert (answer.end, answer.reason) == (
        "refused",
        "channels_last is a layout of images: no input of this model has four axes",
    )


@pytest.mark.skipif(os.name != "posix", reason="signals of a Unix")
def test_a_process_that_is_killed_is_lost_with_its_reason(net):
    answer = ask(request(net("Killed")))
    assert answer.end == "lost"
    assert answer.reason == "its process was killed by signal 9 (the system kills so when memory runs out)"


def test_a_process_that_hangs_is_ended(net, monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE_S", 4.0)
    started = time.monotonic()
    answer = ask(request(net("Slow"), budget_s=1.0))
    assert (answer.end, answer.reason) == ("hung", "its process did not end within 5 s")
    assert time.monotonic() - started < 30


def test_a_device_that_is_not_there_fails_its_cell():
    answer = ask(Request(Configuration(device="cuda:9"), variant="nin", budget_s=1.0))
    assert answer.end == "refused"
    assert answer.reason.endswith("there are: cpu") or "cuda" in answer.reason


def test_measure_from_python():
    record = measure("nin", inputs=["3x64x64"], threads=1, budget_s=2.0, processes=1)
    assert record.measurement.configuration == Configuration(threads=1)
    assert record.totals.macs > 0
    parts = record.measurement.parts
    rows = {(row.path, row.op, row.call) for row in record.rows}
    assert {(one.path, one.op, one.call) for one in parts if one.kind == "tile"} == rows
    cut = [sum(samples) for samples in zip(*(one.samples_s for one in parts), strict=True)]
    assert min(cut) <= sum(parts.values()) <= max(cut)


def test_a_module_object_is_refused_with_the_way_out():
    torch = pytest.importorskip("torch")
    with pytest.raises(AnalyzerError, match=r"give FILE\.py:NAME"):
        measure(torch.nn.ReLU())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"dtype": "float31"}, "unknown dtype 'float31'; wanted one of: float32"),
        ({"layout": "diagonal"}, "unknown layout 'diagonal'; wanted one of: contiguous, channels_last"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"batch": 0}, "batch is 0; wanted a whole number of at least 1"),
        ({"batch": "8"}, "batch is '8'"),
        ({"batch": None}, "batch is None"),
        ({"threads": -1}, "threads is -1"),
        ({"processes": 0}, "processes is 0"),
        ({"budget_s": -1.0}, "budget_s is -1.0; wanted seconds"),
        ({"budget_s": float("inf")}, "budget_s is inf"),
        ({"budget_s": True}, "budget_s is True"),
        ({"train": "no"}, "train is 'no'; wanted True or False"),
        ({"device": None}, "unknown device 'None'"),
        ({"dtype": ["float32"]}, "unknown dtype"),
        (
            {"kernel": True},
            "wanted some of: inputs, batch, threads, dtype, layout, train, compile, device, flush, budget_s, ",
        ),
        ({"compile": True, "replay": True}, "leave out one of the two"),
        ({"inputs": "3x0x3"}, "every size must be at least 1"),
    ],
)
def test_what_measure_cannot_do_is_refused_before_anything_runs(options, said):
    with pytest.raises(AnalyzerError, match=re.escape(said)):
        measure("nin", **options)


def test_the_command_knows_the_same_types_and_layouts():
    assert set(DTYPES) == set(measuring.ITEM_BYTES)
    assert LAYOUTS == measuring.LAYOUTS


def test_measure_passes_an_interrupt_on(monkeypatch):
    monkeypatch.setattr(measuring, "measured", lambda wanted, processes: measuring.Measured((), complete=False))
    with pytest.raises(KeyboardInterrupt):
        measure("nin", inputs="3x64x64")


@pytest.mark.skipif(os.name != "posix", reason="signals of a Unix")
def test_ctrl_c_keeps_what_was_measured(net, tmp_path):
    """The whole program: interrupted in the middle of its samples, it shows and keeps them, marked partial."""
    command = ["time", "--model", net("Patient"), "--input", "3x16x16", "--budget", "600", "--processes", "1"]
    program = [str(Path(sys.executable).parent / "analyze"), *command, "--format", "json"]
    child = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not (tmp_path / "marker").exists() and time.monotonic() < end:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    (record,) = load(out)
    assert record.measurement.status == "partial"
    assert record.measurement.whole.samples_s
    kept = list(Path(tmp_path, ".analyze", "records").iterdir())
    assert len(kept) == 1
    assert load(kept[0].read_text())[0].measurement == record.measurement
