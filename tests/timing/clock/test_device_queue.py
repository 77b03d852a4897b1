"""Ahead of a device: held passes say what it takes, not when it was told; marks cost it time, which is measured."""

from __future__ import annotations

import pytest

from analyzer.timing.clock.clocks import EventClock, HostClock
from analyzer.timing.clock.device_queue import MOST_S, MarkCost
from analyzer.timing.worker.measurements import LATE, Arms, InTime
from tests.timing.simulated import Device, Turned

LAUNCH_S, RECORD_S, MARK_S, LEAST_S = 25e-6, 10e-6, 1.5e-6, 1e-6


def clock_and_device(*, mark_s=MARK_S, calibrated=True):
    host = Turned()
    device = Device(host, LAUNCH_S, record_s=RECORD_S, mark_s=mark_s)
    nothing = (lambda: device.launch(LEAST_S)) if calibrated else None
    return EventClock(device, host.nanoseconds, device.sleep, nothing), device


class Passes:
    """Operators of so many seconds on the device, cut or not; `waits` for the device after the first of them."""

    def __init__(self, clock, device, kernels, *, waits=False):
        self.clock, self.device, self.kernels, self.waits = clock, device, kernels, waits

    def _run(self, mark):
        for seconds in self.kernels:
            mark()
            self.device.launch(seconds)
            mark()
            if self.waits:
                self.device.synchronize()

    def whole(self, *, held=False):
        self.clock.hold() if held else self.clock.settle()
        marks = [self.clock.mark()]
        self._run(lambda: None)
        marks.append(self.clock.mark())
        return self.clock.seconds(marks)[-1]

    def cut(self):
        self.clock.hold()
        marks = [self.clock.mark()]
        self._run(lambda: marks.append(self.clock.mark()))
        marks.append(self.clock.mark())
        reached = self.clock.seconds(marks)
        tiles = {
            ("forward", str(number), "op", 1): reached[2 * number + 2] - reached[2 * number + 1]
            for number in range(len(self.kernels))
        }
        return {**tiles, ("forward", "", "gap", 1): reached[-1] - sum(tiles.values())}


KERNELS = [2e-6, 30e-6, 5e-6] * 20


def test_what_marks_cost_is_measured_with_the_least_of_kernels():
    clock, _ = clock_and_device()
    # In the queue an event takes 1.5 µs: so far apart are two with nothing between, and so much longer is work.
    assert clock.cost.work_s == pytest.approx(MARK_S)
    assert clock.cost.least_s == pytest.approx(MARK_S + LEAST_S / 2)


def test_parts_of_a_held_pass_are_the_devices_own_and_add_up_to_it():
    clock, device = clock_and_device()
    passes = Passes(clock, device, KERNELS)
    own = sum(KERNELS)
    # As it is issued the device waits for 60 launches of 25 µs, then runs the last kernel, of 5.
    assert passes.whole() == pytest.approx(60 * 25e-6 + RECORD_S, rel=0.02)
    assert passes.whole(held=True) == pytest.approx(own, rel=1e-3)
    parts = passes.cut()
    assert list(parts.values())[:3] == pytest.approx(KERNELS[:3], abs=1e-9)
    assert sum(parts.values()) == pytest.approx(own, rel=1e-3)
    assert parts["forward", "", "gap", 1] == pytest.approx(0.0, abs=1e-9)
    assert clock.late == 0


def test_without_a_hold_marks_say_how_slow_the_host_is():
    clock, device = clock_and_device()
    clock.let_go()
    parts = Passes(clock, device, KERNELS).cut()
    assert sum(parts.values()) > 2 * sum(KERNELS)
    assert clock.late is None


def test_a_hold_that_was_too_short_is_longer_the_next_time():
    clock, device = clock_and_device()
    passes = Passes(clock, device, [1e-6] * 1000)
    passes.cut()  # 2000 marks of 10 µs and 1000 launches of 25 take the host 45 ms, more than the hold.
    assert clock.late == 1
    parts = passes.cut()
    assert clock.late == 1
    assert sum(parts.values()) == pytest.approx(1000e-6, rel=1e-3)
    assert clock.held.seconds < MOST_S
    for _ in range(60):  # It is not kept longer than it needs to be.
        Passes(clock, device, KERNELS).whole(held=True)
    assert clock.held.seconds < 0.003


def arms(passes, clock):
    told = []
    made = Arms(passes, clock, lambda keys, note: told.append((list(keys), note)))
    return made, made.found(cut=True), told


def test_a_device_is_sampled_as_it_is_issued_alone_and_cut():
    clock, device = clock_and_device()
    made, found, told = arms(Passes(clock, device, KERNELS), clock)
    assert list(found) == ["whole", "device", "cut"]
    assert made.ahead is True
    assert len(told[0][0]) == len(KERNELS) + 1
    assert sum(found["cut"]()) == pytest.approx(found["device"](), rel=1e-3)
    found["whole"]()
    assert made.seen()["launch_share"] == pytest.approx(1.0, abs=0.02)


def test_a_model_that_waits_for_the_device_cannot_be_held_and_says_so():
    clock, device = clock_and_device()
    made, found, _ = arms(Passes(clock, device, KERNELS, waits=True), clock)
    assert list(found) == ["whole", "cut"]
    assert made.ahead is False
    assert clock.late is None
    start = device.synchronized
    found["cut"]()
    assert device.synchronized - start == len(KERNELS) + 2  # One pass: it is not tried again.


def test_a_sample_that_was_late_is_disturbed_and_taken_again():
    clock, device = clock_and_device()
    _, found, _ = arms(Passes(clock, device, KERNELS), clock)
    clock.held.seconds = 1e-3  # 120 marks of 10 µs and 60 launches of 25 take the host 2.7 ms.
    watch = InTime(Quiet(), clock)
    reasons = []
    for _ in range(2):
        before = watch.look()
        found["cut"]()
        reasons.append(watch.dirty(before, watch.look()))
    assert reasons == [LATE, None]


class Quiet:
    def look(self):
        return None

    def dirty(self, before, after):
        return None


def test_a_pass_without_any_work_on_the_device_has_no_time_of_its_own():
    clock, device = clock_and_device()
    made, found, _ = arms(Passes(clock, device, []), clock)
    assert list(found) == ["whole", "cut"]
    assert made.ahead is False


def test_parts_are_not_held_where_the_whole_pass_cannot_be():
    """Its queue is full before the host has issued it; parts of a held pass would add up to nothing measured."""
    clock, device = clock_and_device()
    passes = Passes(clock, device, KERNELS)
    passes.whole = lambda held=False: Passes(clock, device, KERNELS, waits=held).whole(held=held)
    made, found, _ = arms(passes, clock)
    assert list(found) == ["whole", "cut"]
    assert (made.ahead, clock.late) == (False, None)


def test_a_pass_that_raised_in_its_middle_leaves_no_hold_behind():
    clock, device = clock_and_device()
    clock.hold()
    clock.mark()
    assert Passes(clock, device, KERNELS).whole() > 60 * LAUNCH_S * 0.99
    assert clock.late == 0
    made = device.made
    for _ in range(5):
        Passes(clock, device, KERNELS).whole(held=True)
    assert device.made - made <= 1  # Its own event is used again too.


def test_a_host_holds_nothing():
    made, found, _ = arms(Passes(HostClock(), Device(Turned(), 0.0), []), HostClock())
    assert list(found) == ["whole", "cut"]
    assert made.ahead is None


def test_a_clock_without_a_measured_cost_takes_nothing_off():
    assert MarkCost().without([1e-9, 2e-9]) == pytest.approx([0.0, 1e-9, 3e-9])
    clock, _ = clock_and_device(calibrated=False)
    assert clock.cost == MarkCost()
