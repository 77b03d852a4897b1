"""Description of a GPU and detection of disturbances on it, with fakes of NVML and torch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from analyzer.timing.machine.gpu import GpuContention, GpuSnapshot, describe, gpus, handle

OTHERS = "another process used the GPU"


class Nvml:
    """The functions of NVML that we call."""

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
        if self.reasons is None:
            raise RuntimeError("not supported")
        return self.reasons

    def nvmlDeviceGetComputeRunningProcesses(self, handle):  # noqa: N802
        if self.pids is None:
            raise RuntimeError("insufficient permissions")
        return [SimpleNamespace(pid=pid) for pid in self.pids]

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return "550.1"

    def nvmlDeviceGetEnforcedPowerLimit(self, handle):  # noqa: N802
        return 350_000

    def nvmlDeviceGetClockInfo(self, handle, kind):  # noqa: N802
        return 1410

    def nvmlDeviceGetMaxClockInfo(self, handle, kind):  # noqa: N802
        raise RuntimeError("not supported")


@pytest.mark.parametrize(
    ("library", "signals", "disturbance"),
    [
        (Nvml(), ["throttles", "others"], None),
        (Nvml(reasons=0x1), ["throttles", "others"], None),  # Idle is no throttle.
        (Nvml(reasons=0x4), ["throttles", "others"], "power cap"),
        (Nvml(reasons=0x20), ["throttles", "others"], "heat"),
        (Nvml(pids=(7, 8)), ["throttles", "others"], OTHERS),
        (Nvml(pids=()), ["throttles", "others"], None),  # A container that shows no processes.
        (Nvml(pids=(4711,)), ["throttles", "others"], None),  # One that shows the host's ids: a single one is ours.
        (Nvml(pids=(4711, 4712)), ["throttles", "others"], OTHERS),
        (Nvml(reasons=None, pids=(7, 8)), ["others"], OTHERS),
        (Nvml(reasons=None, pids=None), [], None),
        (None, [], None),
    ],
)
def test_disturbances_of_a_gpu(library, signals, disturbance):
    watch = GpuContention(0, pid=7, library=library)
    detected = watch.disturbance(watch.snapshot(), watch.snapshot())
    assert watch.signals() == signals
    assert (detected is None) == (disturbance is None)
    assert (disturbance or "") in (detected or "")


def test_an_allowed_throttle_hides_no_other():
    watch = GpuContention(0, pid=7, library=None, allowed=("power cap",))
    capped, hot = GpuSnapshot(("power cap",), 0), GpuSnapshot(("heat",), 0)
    assert watch.disturbance(capped, capped) is None
    assert "heat" in watch.disturbance(hot, capped)


@pytest.mark.parametrize(
    ("index", "uuid", "expected"),
    [
        (0, "abc", "handle of GPU-abc"),
        (0, "GPU-abc", "handle of GPU-abc"),
        (0, "unknown to NVML", "handle 0"),
        (1, None, "handle 1"),
    ],
)
def test_nvml_finds_a_gpu_by_uuid(index, uuid, expected):
    assert handle(Nvml(), index, uuid) == expected


def fake_torch(count=1):
    def properties(device):
        return SimpleNamespace(name=f"H100 {device}", total_memory=80 * 2**30, major=9, minor=0)

    cuda = SimpleNamespace(get_device_properties=properties, device_count=lambda: count)
    matmul = SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False))
    backends = SimpleNamespace(cuda=matmul, cudnn=SimpleNamespace(version=lambda: 9))
    return SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0"), backends=backends)


def test_a_description_has_what_torch_and_nvml_know():
    gpu = describe(fake_torch(), "cuda:0", Nvml())
    assert [gpu[key] for key in ("name", "driver", "power_cap_w", "clock_mhz")] == ["H100 cuda:0", "550.1", 350.0, 1410]
    assert gpu["highest_clock_mhz"] is None


def test_all_gpus_are_described(monkeypatch):
    monkeypatch.setattr("analyzer.timing.machine.gpu.nvml", lambda: None)
    assert [gpu["name"] for gpu in gpus(fake_torch(2))] == ["H100 cuda:0", "H100 cuda:1"]
    assert gpus(fake_torch(0)) == []
