"""Real worker processes: what they send comes back; one that fails, dies or hangs is a reply with its reason."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.record_json import load
from analyzer.records.timings import Configuration
from analyzer.timing.driver import processes
from analyzer.timing.driver.api import measure
from analyzer.timing.driver.processes import estimate_so_far, run_worker, run_workers
from analyzer.timing.driver.time_configurations import build_requests, time_requests
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


def request(reference, budget_s=1.5, batch=1, inputs=("3x16x16",), **options):
    return Request(
        Configuration(batch=batch), reference=reference, inputs=inputs, budget_s=budget_s, min_samples=2, **options
    )


def test_a_model_is_counted_and_timed_in_one_process(net):
    reply = run_worker(request(net("Net"), kernels=True, replay=True))
    assert reply.end == "done", reply.reason
    assert reply.last("ready")["record"]["totals"]["macs"] == 14 * 14 * 8 * 3 * 3 * 3
    assert [tuple(key) for key in reply.last("keys")["keys"]] == [
        ("forward", "conv", "conv2d", 1),
        ("forward", "act", "relu", 1),
        ("forward", "", "mean", 1),
        ("forward", "", "overhead", 1),
    ]
    kernels = {(path, name) for path, name, *_ in reply.last("kernels")["kernels"]}
    assert ("act", "aten::clamp_min") in kernels or ("act", "aten::relu") in kernels
    replayed = [(path, kind) for path, _, _, kind, *_ in reply.last("replay")["replay"]]
    assert replayed == [("conv", "replay"), ("conv", "replay_cold"), ("act", "replay"), ("act", "replay_cold")]


@pytest.mark.slow
def test_a_chrome_trace_replaces_the_file(net, tmp_path):
    trace = tmp_path / "trace.json"
    trace.write_text("an older trace")
    reply = run_worker(request(net("Net"), trace=str(trace)))
    assert reply.end == "done", reply.reason
    names = {event.get("name", "") for event in json.loads(trace.read_text())["traceEvents"]}
    assert "aten::conv2d" in names
    assert any(name.startswith("analyzer") and name.endswith("conv conv2d") for name in names)
    training = Configuration(mode="training", batch=2)
    reply = run_worker(request(net("Net"), trace=str(trace)).replace(configuration=training))
    assert reply.end == "done", reply.reason
    assert "ConvolutionBackward0" in trace.read_text()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


@pytest.mark.slow
def test_bad_input_is_refused_with_the_remedy(net, tmp_path):
    missing = run_worker(request(net("Nothing")))
    assert missing.end == "refused"
    assert "Nothing" in missing.reason
    without_input = request(net("Net"), inputs=())
    with pytest.raises(AnalyzerError, match="--input"):
        time_requests([without_input], processes=1)
    (tmp_path / "flat.py").write_text("from torch import nn\nNet = lambda: nn.Linear(4, 4)\n")
    flat = request(f"{tmp_path}/flat.py:Net", inputs=("4",))
    layout = run_worker(flat.replace(configuration=Configuration(layout="channels_last")))
    assert layout.end == "refused"
    assert "channels_last" in layout.reason
    device = run_worker(Request(Configuration(device="cuda:9"), variant="nin", budget_s=1.0))
    assert device.end == "refused"
    assert "cuda:9" in device.reason


@pytest.mark.slow
def test_a_configuration_that_fails_leaves_the_others(net):
    requests = build_requests([], [net("Raises")], ["3x16x16"], batches=[2, 8], threads=[1], budget_s=1.5, processes=1)
    good, bad = (record.measurement for record in time_requests(requests, processes=1).records)
    assert good.status == "ok"
    assert good.pass_timing is not None
    assert bad.status == "failed"
    assert bad.reason.startswith("out of memory at batch 8 (")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs Unix signals")
def test_a_killed_process_is_lost(net):
    reply = run_worker(request(net("Killed")))
    assert reply.end == "lost"
    assert "signal 9" in reply.reason
    assert "memory" in reply.reason


@pytest.mark.slow
def test_a_hanging_process_is_killed_after_its_time_limit(net, monkeypatch):
    monkeypatch.setattr(processes, "GRACE_S", 4.0)
    started = time.monotonic()
    reply = run_worker(request(net("Slow"), budget_s=1.0))
    assert reply.end == "hung"
    assert "5 s" in reply.reason
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_measure_returns_counts_and_operator_times_of_the_same_rows():
    record = measure("nin", input="3x64x64", threads=1, budget_s=2.0, processes=1)
    assert record.measurement.configuration == Configuration(threads=1)
    assert record.totals.macs > 0
    times_s = record.measurement.operator_times_s
    rows = {(row.path, row.op, row.call) for row in record.rows}
    operators = record.measurement.of("operator")
    assert {(timing.path, timing.op, timing.call) for timing in operators} == rows
    passes = [sum(samples) for samples in zip(*(timing.samples_s for timing in times_s), strict=True)]
    assert min(passes) <= sum(times_s.values()) <= max(passes)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs Unix signals")
def test_ctrl_c_keeps_what_was_measured(net, tmp_path):
    """The whole program, interrupted while it samples, shows and keeps its samples, marked partial."""
    command = ["time", "--model", net("Patient"), "--input", "3x16x16", "--budget", "600", "--processes", "1"]
    program = [str(Path(sys.executable).parent / "analyze"), *command, "--format", "json"]
    child = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "marker").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    (record,) = load(out)
    assert record.measurement.status == "partial"
    assert record.measurement.pass_timing.samples_s
    (kept,) = Path(tmp_path, ".analyze", "records").iterdir()
    assert load(kept.read_text())[0].measurement == record.measurement


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs Unix signals")
def test_a_killed_run_loses_at_most_its_last_process(net, tmp_path):
    command = ["time", "--model", net("Net"), "--input", "3x16x16", "--budget", "20", "--processes", "20"]
    child = subprocess.Popen(
        [sys.executable, "-m", "analyzer", *command], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    records, deadline = tmp_path / ".analyze" / "records", time.monotonic() + 60
    while not list(records.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    (kept,) = records.iterdir()
    (record,) = load(kept.read_text())
    assert record.measurement.status == "partial"
    assert record.measurement.pass_timing.samples_s


def test_the_progress_has_the_median_of_the_passes_so_far():
    def samples(*values):
        return {"event": "samples", "samples": values}

    assert estimate_so_far([{"event": "ready"}]) == ""
    assert estimate_so_far([samples(("reference_workload", 1.0, 0))]) == ""
    lines = [samples(("pass", 0.01, 0), ("instrumented", [1.0], 0)), samples(("pass", 0.03, 0), ("pass", 0.02, 0))]
    assert estimate_so_far(lines) == "20.00 ms so far: "


def test_the_first_process_shows_its_time_while_it_runs(net):
    """It sends the first samples after 0.25 s, and then each second."""
    shown = []
    run_workers(
        [request(net("Net"), budget_s=3.0)], processes=1, min_processes=1, order=random.Random(0),
        progress=lambda done, total, label: shown.append((done, label)),
    )  # fmt: skip
    assert [done for done, _ in shown] == [0] * len(shown)
    before, first, *_ = [label for _, label in shown]
    assert "so far" not in before
    assert first.endswith(f"s so far: {before}")
    assert len(shown) >= 3


def test_an_interrupt_while_samples_are_shown_keeps_the_samples(net):
    def interrupt(line):
        if line.startswith(processes.SAMPLES):
            raise KeyboardInterrupt

    reply = run_worker(request(net("Net"), budget_s=600.0), interrupt)
    assert reply.end == "interrupted"
    assert reply.last("samples")["samples"]
