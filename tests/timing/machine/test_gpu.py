"""A GPU's account of itself and of its neighbours, with a stand-in for NVML and for torch."""

from __future__ import annotations

import pytest

from analyzer.timing.machine.gpu import GpuContention, GpuLook, describe, gpus, handle


class Library:
    """NVML, as far as we ask it."""

    NVML_CLOCK_SM = 1

    def __init__(self, reasons=0, pids=(7,)):
        self.reasons, self.pids = reasons, pids

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802 – NVML's names
        return f"handle {index}"

    def nvmlDeviceGetHandleByUUID(self, uuid):  # noqa: N802
        if uuid != "GPU-abc":
            raise RuntimeError("not found")
        return f"handle of {uuid}"

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
    ("library", "quality"),
    [
        (Library(), None),
        (Library(reasons=0x1), None),  # Idle: nothing holds it down.
        (Library(reasons=0x4), "the GPU's clock was held down by power cap"),
        (Library(reasons=0x20), "the GPU's clock was held down by heat"),
        (Library(pids=(7, 8)), "another process used the GPU"),
        (Library(pids=()), None),  # A container that shows no processes.
        (Library(pids=(4711,)), None),  # One that gives the host's numbers: a single one is us.
        (Library(pids=(4711, 4712)), "another process used the GPU"),
        (None, None),
    ],
)
def test_a_gpu_is_watched_the_same_way(library, quality):
    watch = GpuContention(0, own=7, library=library)
    assert watch.dirty(watch.look(), watch.look()) == quality


def test_a_throttle_that_is_allowed_hides_no_other():
    watch = GpuContention(0, own=7, library=None, allowed=("power cap",))
    capped, hot = GpuLook(("power cap",), 0), GpuLook(("heat",), 0)
    assert watch.dirty(capped, capped) is None
    assert watch.dirty(hot, capped) == "the GPU's clock was held down by heat"


class Mute(Library):
    """A card or a driver that does not tell."""

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle):  # noqa: N802
        raise RuntimeError("not supported")


class Gone(Mute):
    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        raise RuntimeError("insufficient permissions")


def test_a_gpu_that_does_not_tell_accuses_nobody_and_says_so():
    mute, gone = GpuContention(0, own=7, library=Mute(pids=(7, 8))), GpuContention(0, own=7, library=Gone())
    assert mute.signals() == ["others"]
    assert mute.dirty(mute.look(), mute.look()) == "another process used the GPU"
    assert gone.signals() == []
    assert gone.dirty(gone.look(), gone.look()) is None
    assert GpuContention(0, own=7, library=None).signals() == []
    assert GpuContention(0, own=7, library=Library()).signals() == ["throttles", "others"]


def test_a_gpu_is_found_by_what_torch_calls_it_and_not_by_its_place():
    # torch counts the visible ones, the fastest first; NVML counts all, in the order of their slots.
    assert handle(Library(), 0, "abc") == "handle of GPU-abc"
    assert handle(Library(), 0, "GPU-abc") == "handle of GPU-abc"
    assert handle(Library(), 0, "unknown to NVML") == "handle 0"
    assert handle(Library(), 1, None) == "handle 1"


def pretended(count=1):
    class Cuda:
        @staticmethod
        def get_device_properties(device):
            return type("P", (), {"name": f"H100 {device}", "total_memory": 80 * 2**30, "major": 9, "minor": 0})

        @staticmethod
        def device_count():
            return count

    torch = type("T", (), {})
    torch.cuda = Cuda
    torch.version = type("V", (), {"cuda": "13.0"})
    matmul = type("M", (), {"allow_tf32": False})
    cuda = type("C", (), {"matmul": matmul})
    torch.backends = type("B", (), {"cuda": cuda, "cudnn": type("D", (), {"version": staticmethod(lambda: 9)})})
    return torch


def test_a_gpu_says_what_it_can():
    found = describe(pretended(), "cuda:0", Library())
    told = (found["name"], found["driver"], found["power_cap_w"], found["clock_mhz"])
    assert told == ("H100 cuda:0", "550.1", 350.0, 1410)
    assert found["highest_clock_mhz"] is None


def test_a_machine_has_all_its_gpus(monkeypatch):
    monkeypatch.setattr("analyzer.timing.machine.gpu.nvml", lambda: None)
    assert [one["name"] for one in gpus(pretended(2))] == ["H100 cuda:0", "H100 cuda:1"]
    assert gpus(pretended(0)) == []
