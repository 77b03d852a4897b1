"""The clocks of a worker: spans between marks on the host, and on a device that runs behind it."""

from __future__ import annotations

import pytest

from analyzer.regression.paired.child import timed_call
from tests.timing.simulated import Device, Turned


def test_the_host_is_read_in_its_own_time_and_in_wall_time(monkeypatch):
    own, wall = iter([0, 5_000_000, 9_000_000]), iter([0, 8_000_000, 20_000_000])
    monkeypatch.setattr(timed_call.time, "process_time_ns", lambda: next(own))
    monkeypatch.setattr(timed_call.time, "perf_counter_ns", lambda: next(wall))
    # Two calls of two passes each: 5 and 4 ms of CPU time are 2.5 and 2 a pass, 8 and 12 ms by the clock 4 and 6.
    assert timed_call.block(lambda: None, 2, 2, timed_call.HostClock()) == (
        [2_500_000, 2_000_000],
        [4_000_000, 6_000_000],
    )


def test_a_device_is_read_by_its_events_after_one_synchronisation():
    host = Turned()
    device = Device(host, launch_s=0.0001)
    kernels = iter([0.010, 0.005, 0.007])
    clock = timed_call.EventClock(device, host.nanoseconds)
    own, wall = timed_call.block(lambda: device.launch(next(kernels)), 3, 1, clock)
    assert device.synchronized == 1
    # The first kernel begins when it is launched, 0.1 ms after the mark; those behind it wait in the queue.
    assert own == pytest.approx([10_100_000, 5_000_000, 7_000_000])
    assert wall == pytest.approx([22_100_000 // 3] * 3)


def test_a_device_that_is_not_here_says_so():
    import torch

    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    with pytest.raises(RuntimeError, match=r"there is no device cuda:1: torch .* finds no CUDA"):
        timed_call.clock_of("cuda:1")


@pytest.mark.gpu
def test_a_real_device_takes_time():
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    field = torch.zeros(1 << 24, device="cuda")
    own, wall = timed_call.block(lambda: field.add_(1), 5, 3, timed_call.clock_of("cuda"))
    assert min(own) > 0
    assert min(wall) > 0
