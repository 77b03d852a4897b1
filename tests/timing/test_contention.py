"""A disturbed sample is accused by what the system says of it, and nobody is accused where the system says nothing."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from analyzer.timing.contention import TICK_S, Contention, Look, disturbed
from analyzer.timing.gpu import GpuContention, describe


def look(at_s, own_s, others=0, waited_s=0.0, busy_s=0.0, stolen_s=0.0, throttled=0):
    return Look(at_s, own_s, 0, others, waited_s, busy_s, stolen_s, throttled)


def between(wall_s, threads=1, processors=2, before=None, **after):
    first = look(0.0, 0.0, **(before or {}))
    return disturbed(first, look(wall_s, wall_s * threads, **after), threads=threads, processors=processors)


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
    "/proc/stat": "cpu  100 5 20 1000 3 2 1 7 0 0\ncpu0 ...\n",
    "/proc/self/task/1/stat": "1 (a) name) R 1 2 3",
    "/proc/self/task/2/stat": "2 (b) S 1 2 3",
    "/proc/self/task/1/schedstat": "5000 2000000 10",
    "/proc/self/task/2/schedstat": "5000 3000000 10",
    "/sys/fs/cgroup/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 4\n",
}


def test_a_look_reads_what_linux_says():
    seen = Contention(1, Fake(FILES)).look()
    assert seen.others == 3 - 1  # Three run, one of them is ours.
    assert seen.waited_s == pytest.approx(0.005)  # 2 ms + 3 ms.
    assert seen.busy_s == pytest.approx((100 + 5 + 20 + 2 + 1) * TICK_S)
    assert seen.stolen_s == pytest.approx(7 * TICK_S)
    assert seen.throttled == 4


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
        verdicts = []
        for _ in range(20):
            before = watch.look()
            end = time.perf_counter() + 0.02
            while time.perf_counter() < end:
                pass
            verdicts.append(watch.dirty(before, watch.look()))
    finally:
        neighbour.kill()
        neighbour.wait()
    assert sum(verdict is not None for verdict in verdicts) >= 18


class Library:
    """NVML, as far as we ask it."""

    NVML_CLOCK_SM = 1

    def __init__(self, reasons=0, pids=(7,)):
        self.reasons, self.pids = reasons, pids

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802 – NVML's names
        return f"handle {index}"

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        return [type("Process", (), {"pid": pid}) for pid in self.pids]

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return "550.1"

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return 350_000

    def nvmlDeviceGetClockInfo(self, handle, kind):  # noqa: N802
        return 1410

    def nvmlDeviceGetMaxClockInfo(self, handle, kind):  # noqa: N802
        raise RuntimeError("not supported")


@pytest.mark.parametrize(
    ("library", "verdict"),
    [
        (Library(), None),
        (Library(reasons=0x1), None),  # Idle: nothing holds it down.
        (Library(reasons=0x4), "the GPU's clock was held down by power cap"),
        (Library(reasons=0x20), "the GPU's clock was held down by heat"),
        (Library(pids=(7, 8)), "another process used the GPU"),
        (None, None),
    ],
)
def test_a_gpu_is_watched_the_same_way(library, verdict):
    watch = GpuContention(0, own=7, library=library)
    assert watch.dirty(watch.look(), watch.look()) == verdict


def test_a_gpu_says_what_it_can():
    class Cuda:
        @staticmethod
        def get_device_properties(device):
            return type("P", (), {"name": "H100", "total_memory": 80 * 2**30, "major": 9, "minor": 0})

    torch = type("T", (), {})
    torch.cuda = Cuda
    torch.version = type("V", (), {"cuda": "13.0"})
    matmul = type("M", (), {"allow_tf32": False})
    cuda = type("C", (), {"matmul": matmul})
    torch.backends = type("B", (), {"cuda": cuda, "cudnn": type("D", (), {"version": staticmethod(lambda: 9)})})
    found = describe(torch, "cuda:0", Library())
    assert (found["name"], found["driver"], found["power_cap_w"], found["clock_mhz"]) == ("H100", "550.1", 350.0, 1410)
    assert found["highest_clock_mhz"] is None
