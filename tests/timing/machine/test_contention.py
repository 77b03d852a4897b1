"""Disturbances are detected from the system's signals; missing signals detect nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from analyzer.timing.machine.contention import (
    HOST_COMPUTES,
    ON_OTHER_PROCESSORS,
    TICK_S,
    Contention,
    Proc,
    Snapshot,
    disturbance,
)

WAITED, OTHERS_RUN, OTHERS_USED = "waited for a processor", "another process was running", "other processes used"
IDLE, QUOTA, STOLEN = "had no processor", "quota", "hypervisor"


def snapshot(at_s, own_s, others=0, waited_s=0.0, busy_s=0.0, stolen_s=0.0, throttled=0, queued_s=0.0):
    return Snapshot(at_s, own_s, 0, others, waited_s, busy_s, stolen_s, throttled, queued_s)


def detect(wall_s, threads=1, processors=2, before=None, usable=None, own_s=None, **after):
    first = snapshot(0.0, 0.0, **(before or {}))
    last = snapshot(wall_s, wall_s * threads if own_s is None else own_s, **after)
    return disturbance(first, last, threads=threads, processors=processors, usable=usable)


SILENT = {"before": {"waited_s": None}, "waited_s": None}
TWO_TICKS_S = 2 * TICK_S


@pytest.mark.parametrize(
    ("cause", "signals"),
    [
        (None, {"wall_s": 0.05, "busy_s": 0.05}),
        (None, {"wall_s": 2.0, "busy_s": 2.0}),
        # One other thread disturbs a small machine; a large one, an eighth of its processors.
        (OTHERS_RUN, {"wall_s": 0.05, "others": 1}),
        (OTHERS_RUN, {"wall_s": 0.05, "before": {"others": 1}}),
        (None, {"wall_s": 0.05, "processors": 64, "others": 7}),
        (OTHERS_RUN, {"wall_s": 0.05, "processors": 64, "others": 8}),
        # 5 % of 2 threads x 0.1 s is 10 ms.
        (None, {"wall_s": 0.1, "threads": 2, "waited_s": 0.009}),
        (WAITED, {"wall_s": 0.1, "threads": 2, "waited_s": 0.011}),
        # More threads than processors wait for each other.
        (None, {"wall_s": 0.1, "threads": 4, "processors": 2, "waited_s": 0.2}),
        (None, {"wall_s": 0.1, "threads": 4, "processors": 8, "usable": 2, "waited_s": 0.2}),
        (WAITED, {"wall_s": 0.1, "threads": 4, "processors": 8, "usable": 4, "waited_s": 0.2}),
        # Without our own waiting time, anyone's on a small machine: 5 % of 0.1 s is 5 ms.
        (None, {"wall_s": 0.1, "threads": 2, **SILENT, "queued_s": 0.004}),
        (WAITED, {"wall_s": 0.1, "threads": 2, **SILENT, "queued_s": 0.006}),
        (None, {"wall_s": 0.1, "threads": 2, **SILENT, "queued_s": 0.1, "processors": 64}),
        (None, {"wall_s": 0.1, "threads": 2, "queued_s": 0.1}),
        # Two processors for 1 s are 2 s, of which we used 1 s; 10 % of 2 s and two ticks are allowed.
        (None, {"wall_s": 1.0, "busy_s": 1.2 + TWO_TICKS_S - 0.001}),
        (OTHERS_USED, {"wall_s": 1.0, "busy_s": 1.2 + TWO_TICKS_S + 0.001}),
        (None, {"wall_s": 0.1, "busy_s": 0.3}),  # Shorter than the system resolves.
        # The limit counts the processors that we may use, not the machine's.
        (OTHERS_USED, {"wall_s": 1.0, "processors": 64, "usable": 2, "busy_s": 1.2 + TWO_TICKS_S + 0.001}),
        (None, {"wall_s": 1.0, "processors": 64, "usable": 64, "busy_s": 1.2 + TWO_TICKS_S + 0.001}),
        (STOLEN, {"wall_s": 1.0, "busy_s": 1.0, "stolen_s": 0.05}),
        (QUOTA, {"wall_s": 0.05, "throttled": 1}),
    ],
)
def test_disturbance(cause, signals):
    assert (detect(**signals) or "").find(cause or "") >= 0
    assert (detect(**signals) is None) == (cause is None)


@pytest.mark.parametrize(
    ("threads", "others", "other_processors"),
    [(1, 1, True), (1, 2, False), (2, 1, False), (3, 1, True), (3, 2, False)],
)
def test_others_may_have_had_a_processor_of_their_own(threads, others, other_processors):
    processors = 2 if threads < 3 else 4
    running = detect(0.05, threads=threads, processors=processors, others=others)
    assert (running in ON_OTHER_PROCESSORS) == other_processors
    # Whatever the processors, a thread that waited was disturbed.
    assert WAITED in detect(0.05, threads=1, processors=2, others=1, waited_s=0.01)


def test_time_used_on_other_processors():
    # Of 2 s of two processors we used 1, others 0.9: no more than the one that we left.
    assert detect(1.0, busy_s=1.9) in ON_OTHER_PROCESSORS
    assert detect(1.0, threads=2, busy_s=2.9) not in ON_OTHER_PROCESSORS


@pytest.mark.skipif(not HOST_COMPUTES, reason="here the host may wait for a device")
def test_a_sample_without_a_processor_is_disturbed():
    limit_s = 1.0 - 0.1 - TWO_TICKS_S  # 10 % of 1 s and two ticks may be lost.
    assert detect(1.0, own_s=limit_s + 0.001, busy_s=1.0) is None
    assert IDLE in detect(1.0, own_s=limit_s - 0.001, busy_s=1.0)
    assert detect(0.02, own_s=0.0) is None  # CPU time counted in ticks means nothing for a short sample.


class FakeProc(Proc):
    def __init__(self, files):
        super().__init__()
        self.files = files

    def text(self, path):
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def tasks(self):
        return ["1", "2"]


FILES = {
    "/proc/loadavg": "0.50 0.40 0.30 3/200 4242\n",
    "/proc/stat": "cpu  999 9 99 9999 9 9 9 9 0 0\ncpu0 100 5 20 1000 3 2 1 7 0 0\ncpu1 50 0 0 0 0 0 0 1 0 0\n"
    "cpu11 7 7 7 7 7 7 7 7 0 0\nintr 5 0\n",
    "/proc/pressure/cpu": "some avg10=1.00 avg60=1.00 avg300=1.00 total=1500000\nfull avg10=0.00 total=9\n",
    "/proc/self/task/1/stat": "1 (a) name) R 1 2 3",
    "/proc/self/task/2/stat": "2 (b) S 1 2 3",
    "/proc/self/task/1/schedstat": "5000 2000000 10",
    "/proc/self/task/2/schedstat": "5000 3000000 10",
    "/sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\n",
}


def test_a_snapshot_reads_linux_signals():
    linux = Contention(1, FakeProc(FILES), usable=(0, 1)).snapshot()
    assert linux.others == 3 - 1  # Three threads run, one of them is ours.
    assert linux.waited_s == pytest.approx(0.005)  # 2 ms + 3 ms.
    assert linux.busy_s == pytest.approx((100 + 5 + 20 + 2 + 1 + 50) * TICK_S)
    assert linux.stolen_s == pytest.approx((7 + 1) * TICK_S)
    assert linux.throttled == 4
    assert linux.queued_s == 1.5


def test_processor_times_are_those_of_the_usable_processors():
    all_processors = Contention(1, FakeProc(FILES), usable=()).snapshot()
    assert all_processors.busy_s == pytest.approx((999 + 9 + 99 + 9 + 9) * TICK_S)
    assert Contention(1, FakeProc(FILES), usable=(0, 5)).snapshot().busy_s is None  # Processor 5 is not listed.


def test_the_quota_of_control_groups_version_1_is_read():
    files = {"/sys/fs/cgroup/cpu/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 5\n"}
    assert Contention(1, FakeProc(files)).snapshot().throttled == 3


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="there is no /proc")  # noqa: PTH110
def test_files_of_ended_threads_are_closed():
    files = Proc()
    assert files.text("/proc/uptime")
    assert len(files.handles) == 1
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    tasks = files.tasks()
    for task in tasks:
        files.text(f"/proc/self/task/{task}/stat")
    ended.set()
    thread.join()
    while len(files.tasks()) == len(tasks):
        time.sleep(0.001)
    assert files.handles == {}


needs_proc = pytest.mark.skipif(Contention(1).snapshot().others is None, reason="there is no /proc")


@needs_proc
def test_a_second_snapshot_opens_no_file(monkeypatch):
    """Opening costs five times as much as reading; `make bench` has the whole cost."""
    watch, opened = Contention(1), []
    watch.snapshot()
    monkeypatch.setattr(os, "open", lambda *arguments: opened.append(arguments))
    watch.snapshot()
    assert opened == []


@pytest.mark.parametrize("garbage", ["", "no numbers", "1", "\x00", "cpu x y z", None])
def test_missing_or_garbled_files_detect_nothing(garbage):
    watch = Contention(1, FakeProc({} if garbage is None else dict.fromkeys(FILES, garbage)))
    assert watch.disturbance(watch.snapshot(), watch.snapshot()) is None
    assert watch.signals() == ["at_s", "own_s", "switches"]


@needs_proc
def test_a_busy_loop_is_detected():
    watch = Contention(1, processors=2)
    busy_loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        disturbances = []
        for _ in range(20):
            before = watch.snapshot()
            end = time.perf_counter() + 0.02
            while time.perf_counter() < end:
                pass
            disturbances.append(watch.disturbance(before, watch.snapshot()))
    finally:
        busy_loop.kill()
        busy_loop.wait()
    assert sum(disturbance is not None for disturbance in disturbances) >= 18
