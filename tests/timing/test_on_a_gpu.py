"""What only a real GPU can show; the logic is tested with fakes in the folders beside this file."""

from __future__ import annotations

import os
from statistics import median

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.timing.clock.clocks import clock_of
from analyzer.timing.driver.api import measure
from analyzer.timing.machine.gpu import GpuContention, gpus, nvml
from analyzer.timing.peaks import gpu

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cuda():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")


def time_googlenet(**options):
    defaults = {"batch": 8, "device": "cuda:0", "budget_s": 10.0, "processes": 1, "inputs": "3x224x224"}
    return measure("googlenet", **{**defaults, **options})


def kernel_s(kernels, path=None):
    return sum(median(kernel.samples_s) for kernel in kernels if path in (None, kernel.path))


def test_operators_add_up_to_gpu_time_and_kernels_are_the_devices():
    record = time_googlenet(kernels=True, replay=True, flush=True)
    measurement = record.measurement
    uninstrumented, operators_s = measurement.uninstrumented, measurement.operator_times_s
    assert uninstrumented.kind == "device"
    assert uninstrumented.median_s <= measurement.pass_timing.median_s
    assert sum(operators_s.values()) == pytest.approx(uninstrumented.interquartile_mean_s, rel=0.05)
    rows = {(row.path, row.op, row.call) for row in record.rows}
    assert {(operator.path, operator.op, operator.call) for operator in measurement.of("operator")} == rows
    # Kernels take less than the pass: between them the device is idle for a microsecond each.
    kernels = measurement.of("kernel")
    assert 0.6 * uninstrumented.median_s < kernel_s(kernels) < uninstrumented.median_s
    for path in {kernel.path for kernel in kernels}:
        module_s = sum(seconds for operator, seconds in operators_s.items() if operator.path == path)
        assert kernel_s(kernels, path) < module_s + 2e-6, path
    assert not [kernel.op for kernel in kernels if kernel.op.startswith(("aten::", "cudaLaunch"))]
    assert {replay.path for replay in measurement.of("replay")} >= {"conv1.conv", "linear"}
    assert record.environment["gpu"]["name"]
    assert not measurement.of("reference_workload")  # It is timed by the host's clock.


def test_marks_cost_the_device_microseconds():
    clock = clock_of("cuda:0")
    assert clock.late_passes is not None
    assert 0.1e-6 < clock.mark_cost.work_s < 20e-6
    assert 0.1e-6 < clock.mark_cost.empty_below_s < 20e-6


def test_ceilings_of_a_gpu_are_in_order():
    peaks = {peak.name: peak for peak in gpu.measure("cuda:0")}
    assert {peak.device for peak in peaks.values()} == {gpus()[0]["name"]}
    assert peaks["float16"].value >= peaks["float32"].value > 1e11
    assert peaks["copy L2"].value > peaks["copy memory"].value > 1e10


def test_a_training_step_has_all_phases():
    timings = time_googlenet(train=True, inputs="3x96x96").measurement.timings
    assert {timing.phase for timing in timings} == {"pass", "forward", "backward", "optimizer"}


def test_compiled_code_has_no_operators():
    assert time_googlenet(compile=True, budget_s=5.0).measurement.of("operator") == ()


def test_a_batch_that_does_not_fit_is_named():
    with pytest.raises(CannotMeasure, match="out of memory at batch 1000000"):
        time_googlenet(batch=1_000_000)


def test_a_missing_device_is_an_error_that_lists_the_present_ones():
    with pytest.raises(AnalyzerError, match=r"no device cuda:99 here; there are: cpu, cuda:0"):
        time_googlenet(device="cuda:99")


def test_the_gpu_is_described_and_watched():
    assert gpus()[0]["name"]
    library = nvml()
    if library is None:
        pytest.skip("no NVML here")
    watch = GpuContention(0, os.getpid(), library)
    assert watch.signals()
    snapshot = watch.snapshot()
    assert watch.disturbance(snapshot, snapshot) in (None, "another process used the GPU") or snapshot.throttles
