"""The clocks of a worker: CPU time, and events in the queue of a device that runs behind the host."""

from __future__ import annotations

import pytest

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


@pytest.mark.gpu
def test_a_real_device():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    field = torch.zeros(1 << 24, device="cuda")
    device_ns, wall = timed_call.time_block(lambda: field.add_(1), 5, 3, timed_call.device_clock("cuda"))
    assert min(device_ns) > 0
    assert min(wall) > 0
