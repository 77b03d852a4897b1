"""A disturbed sample is accused by what the system says of it, and nobody is accused where the system says nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from analyzer.timing.machine.contention import HOST_WORKS, TICK_S, Contention, Look, Proc, disturbed


def look(at_s, own_s, others=0, waited_s=0.0, busy_s=0.0, stolen_s=0.0, throttled=0, queued_s=0.0):
    return Look(at_s, own_s, 0, others, waited_s, busy_s, stolen_s, throttled, queued_s)


def between(wall_s, threads=1, processors=2, before=None, usable=None, own_s=None, **after):
    first = look(0.0, 0.0, **(before or {}))
    last = look(wall_s, wall_s * threads if own_s is None else own_s, **after)
    return disturbed(first, last, threads=threads, processors=processors, usable=usable)


def test_a_quiet_sample_is_clean():
    assert between(0.05, busy_s=0.05) is None
    assert between(2.0, busy_s=2.0) is None


def test_one_other_on_a_small_machine_is_enough():
    assert between(0.05, others=1) == "another process was running"
    assert between(0.05, before={"others": 1}) == "another process was running"


def test_on_a_large_machine_an_eighth_of_it_is():
    assert between(0.05, processors=64, others=7) is None
    assert between(0.05, processors=64, others=8) == "another process was running"


def test_waiting_is_measured_against_the_time_of_all_threads():
    # 5 % of 2 threads x 0.1 s is 10 ms.
    assert between(0.1, threads=2, waited_s=0.009) is None
    assert between(0.1, threads=2, waited_s=0.011) == "its threads waited for a processor"


def test_more_threads_than_processors_wait_for_each_other():
    assert between(0.1, threads=4, processors=2, waited_s=0.2) is None
    assert between(0.1, threads=4, processors=8, usable=2, waited_s=0.2) is None
    assert between(0.1, threads=4, processors=8, usable=4, waited_s=0.2) == "its threads waited for a processor"


def test_where_waiting_is_not_told_the_queues_of_a_small_machine_stand_for_it():
    silent = {"waited_s": None}
    assert between(0.1, threads=2, before=silent, waited_s=None, queued_s=0.004) is None
    assert between(0.1, threads=2, before=silent, waited_s=None, queued_s=0.006) is not None
    assert between(0.1, threads=2, before=silent, waited_s=None, queued_s=0.1, processors=64) is None
    assert between(0.1, threads=2, queued_s=0.1) is None  # It is told: our own threads did not wait.


@pytest.mark.skipif(not HOST_WORKS, reason="here the host may wait for a device")
def test_one_thread_at_least_works_all_the_time():
    # 10 % of 1 s and two ticks may be lost.
    limit = 1.0 - 0.1 - 2 * TICK_S
    assert between(1.0, own_s=limit + 0.001, busy_s=1.0) is None
    assert between(1.0, own_s=limit - 0.001, busy_s=1.0) == "it had no processor for a part of the time"
    assert between(0.02, own_s=0.0) is None  # Where processor time is told in ticks, a short sample says nothing.


def test_what_others_took_is_asked_of_the_processors_that_we_may_use():
    # 64 processors, two of them ours: 10 % of 2 s and two ticks.
    limit = 1.0 + 0.2 + 2 * TICK_S
    assert between(1.0, processors=64, usable=2, busy_s=limit + 0.001) == "other processes used the processors"
    assert between(1.0, processors=64, usable=64, busy_s=limit + 0.001) is None


def test_what_others_took_counts_only_over_a_window_that_the_system_resolves():
    # Two processors for 1 s are 2 s; ours used 1 s; 10 % of 2 s and two ticks are allowed.
    limit = 1.0 + 0.2 + 2 * TICK_S
    assert between(1.0, busy_s=limit - 0.001) is None
    assert between(1.0, busy_s=limit + 0.001) == "other processes used the processors"
    assert between(0.1, busy_s=0.3) is None


def test_the_hypervisor_and_the_quota_are_seen():
    assert between(1.0, busy_s=1.0, stolen_s=0.05) == "the hypervisor gave its processor to others"
    assert between(0.05, throttled=1) == "the container's processor quota stopped it"


class Fake:
    def __init__(self, files, tasks=("1", "2")):
        self.files, self.numbers = files, tasks

    def text(self, path):
        if path not in self.files:
            raise FileNotFoundError(path)
        return self.files[path]

    def tasks(self):
        return list(self.numbers)


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


def test_a_look_reads_what_linux_says():
    seen = Contention(1, Fake(FILES), usable=(0, 1)).look()
    assert seen.others == 3 - 1  # Three run, one of them is ours.
    assert seen.waited_s == pytest.approx(0.005)  # 2 ms + 3 ms.
    assert seen.busy_s == pytest.approx((100 + 5 + 20 + 2 + 1 + 50) * TICK_S)
    assert seen.stolen_s == pytest.approx((7 + 1) * TICK_S)
    assert seen.throttled == 4
    assert seen.queued_s == 1.5


def test_where_our_processors_are_not_known_it_is_all_of_them():
    seen = Contention(1, Fake(FILES), usable=()).look()
    assert seen.busy_s == pytest.approx((999 + 9 + 99 + 9 + 9) * TICK_S)


def test_a_processor_that_the_system_does_not_list_leaves_no_half_a_sum():
    assert Contention(1, Fake(FILES), usable=(0, 5)).look().busy_s is None


def test_a_quota_of_the_older_control_groups_is_seen():
    files = {"/sys/fs/cgroup/cpu/cpu.stat": "nr_periods 9\nnr_throttled 3\nthrottled_time 5\n"}
    assert Contention(1, Fake(files)).look().throttled == 3


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="there is no /proc")  # noqa: PTH110
def test_files_stay_open_and_are_read_anew():
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


@pytest.mark.skipif(Contention(1).look().others is None, reason="this system does not say what runs")
def test_a_look_opens_no_file_anew(monkeypatch):
    """Which costs five times as much as reading; the whole cost stands in `make bench`."""
    watch, opened = Contention(1), []
    watch.look()
    monkeypatch.setattr(os, "open", lambda *given: opened.append(given))
    watch.look()
    assert opened == []


@pytest.mark.parametrize("garbage", ["", "no numbers", "1", "\x00", "cpu x y z"])
def test_garbage_accuses_nobody(garbage):
    watch = Contention(1, Fake(dict.fromkeys(FILES, garbage)))
    before, after = watch.look(), watch.look()
    assert watch.dirty(before, after) is None
    assert watch.signals() == ["at_s", "own_s", "switches"]


def test_a_system_without_proc_accuses_nobody():
    watch = Contention(1, Fake({}))
    assert watch.dirty(watch.look(), watch.look()) is None


@pytest.mark.skipif(Contention(1).look().others is None, reason="this system does not say what runs")
def test_a_busy_loop_next_door_is_seen():
    watch = Contention(1, processors=2)
    neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        qualities = []
        for _ in range(20):
            before = watch.look()
            end = time.perf_counter() + 0.02
            while time.perf_counter() < end:
                pass
            qualities.append(watch.dirty(before, watch.look()))
    finally:
        neighbour.kill()
        neighbour.wait()
    assert sum(quality is not None for quality in qualities) >= 18
