"""A blocked queue gives GPU time without launch overhead; the cost of marks is measured and subtracted."""

from __future__ import annotations

import pytest

from analyzer.timing.clock.clocks import EventClock, HostClock
from analyzer.timing.clock.device_queue import MAX_BLOCK_S, MarkCost
from analyzer.timing.worker.measurements import LATE, DeadlineWatch, Measurements
from tests.timing.simulated import Device, FakeWatch, ManualClock

LAUNCH_S, RECORD_S, MARK_S, MIN_KERNEL_S = 25e-6, 10e-6, 1.5e-6, 1e-6


def clock_and_device(*, calibrated=True):
    host = ManualClock()
    device = Device(host, LAUNCH_S, record_s=RECORD_S, mark_s=MARK_S)
    empty_kernel = (lambda: device.launch(MIN_KERNEL_S)) if calibrated else None
    return EventClock(device, host.nanoseconds, device.sleep, empty_kernel), device


class FakePass:
    """Kernels of given seconds; with `waits`, the model synchronizes after each."""

    repeats, passes, made = 1, 1, 0

    def fit_cost(self):
        """The clock is no host clock: nothing to do."""

    def __init__(self, clock, device, kernels, *, waits=False):
        self.clock, self.device, self.kernels, self.waits = clock, device, kernels, waits

    def _run(self, mark):
        for seconds in self.kernels:
            mark()
            self.device.launch(seconds)
            mark()
            if self.waits:
                self.device.synchronize()

    def uninstrumented(self, *, blocked=False):
        self.clock.block_queue() if blocked else self.clock.synchronize()
        return self.clock.elapsed(lambda: self._run(lambda: None))

    def instrumented(self):
        self.clock.block_queue()
        marks = [self.clock.mark()]
        self._run(lambda: marks.append(self.clock.mark()))
        marks.append(self.clock.mark())
        reached_s = self.clock.seconds(marks)
        operators = {
            ("forward", str(number), "op", 1): reached_s[2 * number + 2] - reached_s[2 * number + 1]
            for number in range(len(self.kernels))
        }
        return {**operators, ("forward", "", "overhead", 1): reached_s[-1] - sum(operators.values())}


KERNELS = [2e-6, 30e-6, 5e-6] * 20


def test_mark_cost_is_measured_with_short_kernels():
    clock, _ = clock_and_device()
    # In the queue an event takes 1.5 µs: two marks with nothing between are so far apart, and work is so much longer.
    assert clock.mark_cost.work_s == pytest.approx(MARK_S)
    assert clock.mark_cost.empty_below_s == pytest.approx(MARK_S + MIN_KERNEL_S / 2)


def test_operators_of_a_blocked_pass_have_device_time_and_add_up():
    clock, device = clock_and_device()
    timed_pass = FakePass(clock, device, KERNELS)
    # Without blocking, the device waits for 60 launches of 25 µs, then runs the last kernel, of 5.
    assert timed_pass.uninstrumented() == pytest.approx(60 * 25e-6 + RECORD_S, rel=0.02)
    assert timed_pass.uninstrumented(blocked=True) == pytest.approx(sum(KERNELS), rel=1e-3)
    times = timed_pass.instrumented()
    assert list(times.values())[:3] == pytest.approx(KERNELS[:3], abs=1e-9)
    assert sum(times.values()) == pytest.approx(sum(KERNELS), rel=1e-3)
    assert times["forward", "", "overhead", 1] == pytest.approx(0.0, abs=1e-9)
    assert clock.late_passes == 0


def test_without_blocking_launch_overhead_is_in_the_times():
    clock, device = clock_and_device()
    clock.disable_blocking()
    assert sum(FakePass(clock, device, KERNELS).instrumented().values()) > 2 * sum(KERNELS)
    assert clock.late_passes is None


def test_block_length_adapts():
    clock, device = clock_and_device()
    long_pass = FakePass(clock, device, [1e-6] * 1000)
    long_pass.instrumented()  # 2000 marks of 10 µs and 1000 launches of 25 take the host 45 ms, more than the block.
    assert clock.late_passes == 1
    times = long_pass.instrumented()
    assert clock.late_passes == 1
    assert sum(times.values()) == pytest.approx(1000e-6, rel=1e-3)
    assert clock.blocker.block_s < MAX_BLOCK_S
    for _ in range(60):
        FakePass(clock, device, KERNELS).uninstrumented(blocked=True)
    assert clock.blocker.block_s < 0.003


def measurements_of(timed_pass, clock):
    sent = []
    measurements = Measurements(timed_pass, clock, lambda keys, note: sent.append((list(keys), note)))
    return measurements, measurements.available(instrumented=True), sent


def test_a_device_has_three_measurements():
    clock, device = clock_and_device()
    measurements, available, sent = measurements_of(FakePass(clock, device, KERNELS), clock)
    assert list(available) == ["pass", "device", "instrumented"]
    assert measurements.queued_in_time is True
    assert len(sent[0][0]) == len(KERNELS) + 1
    assert sum(available["instrumented"]()) == pytest.approx(available["device"](), rel=1e-3)
    available["pass"]()
    assert measurements.summary()["launch_share"] == pytest.approx(1.0, abs=0.02)


def test_a_model_that_waits_for_the_device_is_not_blocked():
    clock, device = clock_and_device()
    measurements, available, _ = measurements_of(FakePass(clock, device, KERNELS, waits=True), clock)
    assert list(available) == ["pass", "instrumented"]
    assert (measurements.queued_in_time, clock.late_passes) == (False, None)
    before = device.synchronized
    available["instrumented"]()
    assert device.synchronized - before == len(KERNELS) + 2  # One pass: it is not repeated.


def test_a_late_pass_is_a_disturbed_sample():
    clock, device = clock_and_device()
    _, available, _ = measurements_of(FakePass(clock, device, KERNELS), clock)
    clock.blocker.block_s = 1e-3  # 120 marks of 10 µs and 60 launches of 25 take the host 2.7 ms.
    watch = DeadlineWatch(FakeWatch(), clock)
    disturbances = []
    for _ in range(2):
        before = watch.snapshot()
        available["instrumented"]()
        disturbances.append(watch.disturbance(before, watch.snapshot()))
    assert disturbances == [LATE, None]


def test_a_pass_without_device_work_has_no_device_time():
    clock, device = clock_and_device()
    measurements, available, _ = measurements_of(FakePass(clock, device, []), clock)
    assert list(available) == ["pass", "instrumented"]
    assert measurements.queued_in_time is False


def test_if_the_uninstrumented_pass_cannot_be_blocked_the_instrumented_one_is_not():
    """As when the queue is full before the host has queued the pass: operators would add up to nothing measured."""
    clock, device = clock_and_device()
    timed_pass = FakePass(clock, device, KERNELS)
    timed_pass.uninstrumented = lambda blocked=False: FakePass(clock, device, KERNELS, waits=blocked).uninstrumented(
        blocked=blocked
    )
    measurements, available, _ = measurements_of(timed_pass, clock)
    assert list(available) == ["pass", "instrumented"]
    assert (measurements.queued_in_time, clock.late_passes) == (False, None)


def test_a_pass_that_raised_leaves_no_block_behind():
    clock, device = clock_and_device()
    clock.block_queue()
    clock.mark()
    assert FakePass(clock, device, KERNELS).uninstrumented() > 60 * LAUNCH_S * 0.99
    assert clock.late_passes == 0
    events = device.events
    for _ in range(5):
        FakePass(clock, device, KERNELS).uninstrumented(blocked=True)
    assert device.events - events <= 1  # The event that starts a block is reused too.


def test_a_host_clock_does_not_block():
    measurements, available, _ = measurements_of(FakePass(HostClock(), Device(ManualClock(), 0.0), []), HostClock())
    assert list(available) == ["pass", "instrumented"]
    assert measurements.queued_in_time is None


def test_an_uncalibrated_clock_subtracts_nothing():
    assert MarkCost().subtract([1e-9, 2e-9]) == pytest.approx([0.0, 1e-9, 3e-9])
    clock, _ = clock_and_device(calibrated=False)
    assert clock.mark_cost == MarkCost()
