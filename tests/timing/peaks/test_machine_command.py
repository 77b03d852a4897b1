"""`analyze machine`: shows peaks, keeps the trusted ones per machine, measures one GPU of each model."""

from __future__ import annotations

import json
import re

import pytest

from analyzer.cli.jobs.machine import _devices
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.records.run_files import PEAKS
from analyzer.timing.peaks.cpu import Peak

BUSY = "another process was running"
TRUSTED, VOID = Peak("float32", "FLOP", 1, 1e11, 0.01), Peak("copy memory", "B", 1, 1e9, 0.9, "void", BUSY)
MEMORY = VOID.replace(quality="trusted", reason="")
ON_GPU = Peak("tf32", "FLOP", 0, 4e14, 0.01, device="H100")


@pytest.fixture
def machine(analyze, monkeypatch, tmp_path):
    """`machine(peaks, *arguments)` runs the command in an empty folder as if it had measured these peaks."""
    monkeypatch.chdir(tmp_path)

    def run(peaks, *arguments):
        monkeypatch.setattr("analyzer.timing.peaks.cpu.measure", lambda counts, caches, progress: peaks)
        return analyze("machine", *arguments)

    return run


def kept(folder):
    return json.loads((folder / PEAKS).read_text())["peaks"] if (folder / PEAKS).exists() else []


def test_void_peaks_are_shown_but_not_kept(machine, tmp_path):
    outcome = machine([TRUSTED, VOID])
    assert outcome.status == 3
    assert f"1 of 2 peaks are void and not kept: {BUSY}" in outcome.err
    assert "1.00 GB/s   void" in outcome.out
    assert kept(tmp_path) == [vars(TRUSTED)]
    data = json.loads(machine([VOID], "--format", "json").out)
    assert (data["status"], data["peaks"][0]["quality"]) == ("failed", "void")


def test_trusted_peaks_are_kept_until_measured_again(machine, tmp_path):
    faster = TRUSTED.replace(value=2e11)
    steps = [
        ([VOID], 3, []),
        ([TRUSTED], 0, [TRUSTED]),
        ([VOID], 3, [TRUSTED]),
        ([faster, MEMORY], 0, [faster, MEMORY]),
    ]
    for measured, status, expected in steps:
        assert machine(measured).status == status
        assert kept(tmp_path) == [vars(peak) for peak in expected]
    assert "kept" not in machine([TRUSTED], "--no-keep").err
    assert kept(tmp_path) == [vars(faster), vars(MEMORY)]


def test_peaks_of_another_machine_are_dropped(machine, tmp_path):
    machine([TRUSTED])
    data = json.loads((tmp_path / PEAKS).read_text())
    data["environment"]["processor"]["model"] = "another"
    (tmp_path / PEAKS).write_text(json.dumps(data))
    machine([MEMORY])
    assert kept(tmp_path) == [vars(MEMORY)]


def test_peaks_of_a_gpu_have_their_own_table(machine, tmp_path):
    outcome = machine([TRUSTED, ON_GPU])
    assert "H100" in outcome.out
    assert re.search(r"matrix product tf32 +400 TFLOP/s", outcome.out)
    assert kept(tmp_path) == [vars(TRUSTED), vars(ON_GPU)]


def test_unknown_devices_are_refused(analyze):
    assert analyze("machine", "--device", "cuda:7").err.startswith("analyze: no device cuda:7 here; there are: cpu")
    assert "unknown device 'tpu'" in analyze("machine", "--device", "tpu").err


def test_one_gpu_of_each_model_is_measured():
    h100, a100 = {"name": "H100"}, {"name": "A100"}
    assert _devices(None, None, [h100, h100, a100]) == ["cpu", "cuda:0", "cuda:2"]
    assert _devices(None, [1, 2], []) == ["cpu"]
    assert _devices("cpu", [1], [h100]) == ["cpu"]
    with pytest.raises(AnalyzerError, match="--threads"):
        _devices("cuda:0", [1], [h100])


def test_a_gpu_that_fails_does_not_stop_the_cpu(machine, monkeypatch, tmp_path):
    def fail(device, progress):
        raise CannotMeasure(f"the peaks of {device} cannot be measured")

    monkeypatch.setattr("analyzer.timing.machine.gpu.gpus", lambda: [{"name": "H100", "memory_bytes": 80 * 2**30}])
    monkeypatch.setattr("analyzer.timing.peaks.gpu.measure", fail)
    outcome = machine([TRUSTED], "--format", "json")
    assert outcome.status == 3
    assert "the peaks of cuda:0 cannot be measured" in outcome.err
    assert json.loads(outcome.out)["status"] == "failed"
    assert kept(tmp_path) == [vars(TRUSTED)]
