"""The clocks of a worker: CPU time, and events in the queue of a device that runs behind the host."""

from __future__ import annotations

import pytest

from analyzer.core.parse_inputs import parse_input
from analyzer.regression.paired.child import timed_call
from tests.timing.simulated import Device, ManualClock


def test_the_cpu_clock_measures_cpu_and_wall_time(monkeypatch):
    cpu, wall = iter([0, 5_000_000, 9_000_000]), iter([0, 8_000_000, 20_000_000])
    monkeypatch.setattr(timed_call.time, "process_time_ns", lambda: next(cpu))
    monkeypatch.setattr(timed_call.time, "perf_counter_ns", lambda: next(wall))
    # Two calls of two passes each: 5 and 4 ms of CPU time are 2.5 and 2 per pass; 8 and 12 ms of wall time are 4 and 6.
    assert timed_call.time_block(lambda: None, 2, 2, timed_call.CpuClock()) == (
        [2_500_000, 2_000_000],
        [4_000_000, 6_000_000],
    )


def test_the_queue_clock_reads_events_after_one_synchronization():
    host = ManualClock()
    device = Device(host, launch_s=0.0001)
    kernels = iter([0.010, 0.005, 0.007])
    clock = timed_call.QueueClock(device, host.nanoseconds)
    device_ns, wall = timed_call.time_block(lambda: device.launch(next(kernels)), 3, 1, clock)
    assert device.synchronized == 1
    # The first kernel begins when it is launched, 0.1 ms after the mark; those behind it wait in the queue.
    assert device_ns == pytest.approx([10_100_000, 5_000_000, 7_000_000])
    assert wall == pytest.approx([22_100_000 // 3] * 3)


def test_a_missing_device_is_named():
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(RuntimeError, match="cuda:1"):
        timed_call.device_clock("cuda:1")


NET = """
import torch
from torch import nn

class Net(nn.Module):
    def forward(self, x, ids=None):
        assert x.dim() == 4
        return x

def Net_inputs(batch=1):
    return torch.zeros(batch, 3, 8, 8),
"""


@pytest.mark.parametrize(
    ("model", "texts", "batch", "shapes"),
    [
        ("net.py:Net", [], 1, ["1x3x8x8 float32"]),
        ("net.py", [], 5, ["5x3x8x8 float32"]),
        ("net.py:Net", ["3x32x32"], 2, ["2x3x32x32 float32"]),
        ("net.py:Net", ["2x3x32x32"], 2, ["2x3x32x32 float32"]),  # The first size is the batch.
        ("net.py:Net", ["1x28x28"], 1, ["1x1x28x28 float32"]),  # The first size is not the batch.
        ("net.py:Net", ["3x8x8", "ids=7:int64<10"], 2, ["2x3x8x8 float32", "2x7 int64"]),
        ("nin", [], 2, ["2x3x224x224 float32"]),
        ("nin", ["3x64x64"], 2, ["2x3x64x64 float32"]),
        ("nin", ["2x3x64x64"], 2, ["2x3x64x64 float32"]),
    ],
)
def test_a_model_is_timed_with_the_given_inputs(tmp_path, monkeypatch, model, texts, batch, shapes):
    (tmp_path / "net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    inputs = [vars(parse_input(text)) for text in texts]
    _, _, found = timed_call.prepare_call(timed_call.model_factory(model, inputs, batch), "cpu")
    assert found == shapes


def test_a_model_without_an_input_says_where_to_give_it(tmp_path, monkeypatch):
    (tmp_path / "bare.py").write_text(NET.partition("def Net_inputs")[0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(timed_call.NeedsInput, match=r"pyproject\.toml"):
        timed_call.model_factory("bare.py:Net")


@pytest.mark.gpu
def test_a_real_device():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    field = torch.zeros(1 << 24, device="cuda")
    device_ns, wall = timed_call.time_block(lambda: field.add_(1), 5, 3, timed_call.device_clock("cuda"))
    assert min(device_ns) > 0
    assert min(wall) > 0
