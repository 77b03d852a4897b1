"""Marks become seconds: at once on a host, after one wait on a device that runs behind."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.timing.clock.clocks import EventClock, HostClock, clock_of
from tests.timing.simulated import Device, Turned


def test_a_host_clock_counts_from_the_first_mark():
    turned = Turned()
    clock = HostClock(turned.nanoseconds)
    marks = [clock.mark()]
    for seconds in (0.25, 0.5):
        turned.turn(seconds)
        marks.append(clock.mark())
    assert clock.seconds(marks) == [0.0, 0.25, 0.75]


def run(launch_s: float, kernels: list[float]) -> tuple[EventClock, Device, list[float]]:
    host = Turned()
    device = Device(host, launch_s)
    clock = EventClock(device, host.nanoseconds)
    marks = [clock.mark()]
    for seconds in kernels:
        device.launch(seconds)
        marks.append(clock.mark())
    return clock, device, clock.seconds(marks)


def test_a_device_writes_the_times_in_its_own_queue():
    # The host needs 3 x 1 ms to launch 3 kernels of 10 ms; the first starts after 1 ms, the others follow at once.
    clock, device, reached = run(0.001, [0.010] * 3)
    assert reached == pytest.approx([0.0, 0.011, 0.021, 0.031])
    assert device.synchronized == 1
    assert clock.launch_share == pytest.approx(0.003 / 0.031)


def test_a_pass_that_waits_for_its_launches_says_so():
    # Kernels of 1 ms, launches of 5 ms: the device idles, and the host's time is nearly all of it.
    clock, _, reached = run(0.005, [0.001] * 4)
    assert reached[-1] == pytest.approx(4 * 0.005 + 0.001)
    assert clock.launch_share == pytest.approx(20 / 21)


def test_events_are_used_again():
    host = Turned()
    device = Device(host, 0.001)
    clock = EventClock(device, host.nanoseconds)
    for _ in range(5):
        marks = [clock.mark(), clock.mark()]
        clock.seconds(marks)
    assert device.made == 2


def test_the_cpu_is_always_there():
    assert isinstance(clock_of("cpu"), HostClock)


@pytest.mark.parametrize("device", ["cuda:7", "gpu", "cuda:x", "", "cpu'"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device):
    with pytest.raises(AnalyzerError, match="cpu"):
        clock_of(device)


@pytest.mark.gpu
def test_a_real_device_takes_as_long_as_it_says():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    clock = clock_of("cuda:0")
    field = torch.randn(4096, 4096, device="cuda:0")
    field @ field
    clock.settle()
    marks = [clock.mark()]
    for _ in range(10):
        field @ field
        marks.append(clock.mark())
    reached = clock.seconds(marks)
    assert reached == sorted(reached)
    assert reached[-1] > 0
