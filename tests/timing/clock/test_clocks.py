"""Marks become seconds: at once on a host, after one synchronization on a device that runs behind."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.timing.clock.clocks import EventClock, HostClock, clock_of
from tests.timing.simulated import Device, ManualClock


def test_host_clock_counts_from_the_first_mark():
    host = ManualClock()
    clock = HostClock(host.nanoseconds)
    marks = [clock.mark()]
    for seconds in (0.25, 0.5):
        host.advance(seconds)
        marks.append(clock.mark())
    assert clock.seconds(marks) == [0.0, 0.25, 0.75]


def run(launch_s: float, kernels: list[float]) -> tuple[EventClock, Device, list[float]]:
    host = ManualClock()
    device = Device(host, launch_s)
    clock = EventClock(device, host.nanoseconds)
    marks = [clock.mark()]
    for seconds in kernels:
        device.launch(seconds)
        marks.append(clock.mark())
    return clock, device, clock.seconds(marks)


def test_event_clock_reads_device_times_after_one_synchronization():
    # The host needs 3 x 1 ms to launch 3 kernels of 10 ms; the first starts after 1 ms, the others follow at once.
    clock, device, reached_s = run(0.001, [0.010] * 3)
    assert reached_s == pytest.approx([0.0, 0.011, 0.021, 0.031])
    assert device.synchronized == 1
    assert clock.launch_share == pytest.approx(0.003 / 0.031)


def test_launch_share_of_a_launch_bound_pass():
    # Kernels of 1 ms, launches of 5 ms: the device idles, and the host's time is nearly all of it.
    clock, _, reached_s = run(0.005, [0.001] * 4)
    assert reached_s[-1] == pytest.approx(4 * 0.005 + 0.001)
    assert clock.launch_share == pytest.approx(20 / 21)


def test_events_are_reused():
    host = ManualClock()
    device = Device(host, 0.001)
    clock = EventClock(device, host.nanoseconds)
    for _ in range(5):
        clock.seconds([clock.mark(), clock.mark()])
    assert device.events == 2


def test_cpu_has_a_host_clock():
    assert isinstance(clock_of("cpu"), HostClock)


@pytest.mark.parametrize("device", ["cuda:7", "gpu", "cuda:x", "", "cpu'"])
def test_missing_device_is_an_error_that_lists_the_present_ones(device):
    with pytest.raises(AnalyzerError, match="cpu"):
        clock_of(device)


@pytest.mark.gpu
def test_times_of_a_real_device_increase():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    clock = clock_of("cuda:0")
    matrix = torch.randn(4096, 4096, device="cuda:0")
    matrix @ matrix
    clock.synchronize()
    marks = [clock.mark()]
    for _ in range(10):
        matrix @ matrix
        marks.append(clock.mark())
    reached_s = clock.seconds(marks)
    assert reached_s == sorted(reached_s)
    assert reached_s[-1] > 0
