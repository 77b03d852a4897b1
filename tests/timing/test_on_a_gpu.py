"""What only a real GPU can show. Its logic has its tests without one: the clocks with a simulated device in test_clock,
test_ahead and test_worker, kernels in test_kernels, NVML in test_gpu, bounds in test_machine, peaks in test_peaks."""

from __future__ import annotations

from statistics import median

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.timing.clock.clocks import clock_of
from analyzer.timing.driver.measure import measure
from analyzer.timing.machine.gpu import GpuContention, gpus, nvml
from analyzer.timing.peaks import gpu as gpu_peaks

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def cuda():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")


def timed(**how):
    options = {"batch": 8, "device": "cuda:0", "budget_s": 10.0, "processes": 1, "inputs": "3x224x224"}
    return measure("googlenet", **{**options, **how})


def test_parts_add_up_to_the_pass_and_kernels_are_the_devices():
    record = timed(kernels=True, replay=True, flush=True)
    measurement = record.measurement
    assert measurement.uncut.kind == "device"
    assert measurement.uncut.median_s <= measurement.whole.median_s
    assert sum(measurement.parts.values()) == pytest.approx(measurement.uncut.middle_s, rel=0.05)
    # What the device ran is no more than its pass: between its kernels it is idle for a microsecond each.
    ran = sum(median(one.samples_s) for one in measurement.of("kernel"))
    assert 0.6 * measurement.uncut.median_s < ran < measurement.uncut.median_s
    for path in {one.path for one in measurement.of("kernel")}:
        tile = sum(time for one, time in measurement.parts.items() if one.path == path)
        assert sum(median(one.samples_s) for one in measurement.of("kernel") if one.path == path) < tile + 2e-6, path
    rows = {(row.path, row.op, row.call) for row in record.rows}
    assert {(one.path, one.op, one.call) for one in measurement.of("tile")} == rows
    assert measurement.of("kernel")
    assert not [one.op for one in measurement.of("kernel") if one.op.startswith(("aten::", "cudaLaunch"))]
    assert {one.path for one in measurement.of("replay")} >= {"conv1.conv", "linear"}
    assert record.environment["gpu"]["name"]
    assert not measurement.of("reference")  # The host's clock is not the device's.


def test_marks_cost_the_device_microseconds():
    clock = clock_of("cuda:0")
    assert clock.late is not None
    assert 0.1e-6 < clock.cost.work_s < 20e-6
    assert 0.1e-6 < clock.cost.least_s < 20e-6


def test_a_gpus_ceilings_are_in_their_order():
    found = {one.name: one for one in gpu_peaks.measure("cuda:0")}
    assert {one.device for one in found.values()} == {gpus()[0]["name"]}
    assert found["float16"].value >= found["float32"].value > 1e11
    assert found["copy L2"].value > found["copy memory"].value > 1e10


def test_a_step_has_all_three_phases():
    phases = {one.phase for one in timed(train=True, inputs="3x96x96").measurement.timings}
    assert phases == {"pass", "forward", "backward", "optimizer"}


def test_compiled_code_is_timed_whole():
    assert timed(compile=True, budget_s=5.0).measurement.of("tile") == ()


def test_a_batch_that_does_not_fit_is_named():
    with pytest.raises(CannotMeasure, match="out of memory at batch 1000000"):
        timed(batch=1_000_000)


def test_a_device_that_is_not_there_names_those_that_are():
    with pytest.raises(AnalyzerError, match=r"no device cuda:99 here; there are: cpu, cuda:0"):
        timed(device="cuda:99")


def test_the_card_and_its_neighbours_are_told():
    import os

    assert gpus()[0]["name"]
    library = nvml()
    if library is None:
        pytest.skip("no NVML here")
    watch = GpuContention(0, os.getpid(), library)
    assert watch.signals()
    assert watch.dirty(watch.look(), watch.look()) in (None, "another process used the GPU") or watch.look().throttles
