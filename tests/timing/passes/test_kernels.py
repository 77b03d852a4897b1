"""Kernels under their tiles, from pretended events: of a CPU its operators' own time, of a device what ran there."""

from __future__ import annotations

import json

import pytest
from torch.autograd import DeviceType

from analyzer.core.errors import AnalyzerError
from analyzer.timing.passes.kernels import TILE, _bracket, _numbers, _write, times_of
from analyzer.timing.passes.tiles import Tile

TILES = [Tile("conv", "conv2d", 1), Tile("", "cat", 1)]


class Kernel:
    def __init__(self, name, duration):
        self.name, self.duration = name, duration


class Event:
    """As much of a profiler's event as is asked for; times in microseconds."""

    def __init__(self, name, own=0.0, parent=None, kernels=(), number=-1, device=DeviceType.CPU):
        self.name, self.self_cpu_time_total, self.cpu_parent = name, own, parent
        self.kernels, self.sequence_nr, self.device_type = list(kernels), number, device


def forward():
    first, second = Event(f"{TILE}0 conv conv2d", 99.0), Event(f"{TILE}1 cat", 99.0)
    conv = Event("aten::conv2d", 3.0, first, number=7)
    inner = Event("aten::convolution", 40.0, conv, [Kernel("sgemm", 500.0), Kernel("bias", 20.0)], number=7)
    # Its number is by chance that of `cat`, whose kernel torch's profiler gives it too.
    launch = Event("cudaLaunchKernel", 5.0, inner, [Kernel("copy", 60.0)])
    cat = Event("aten::cat", 10.0, second, [Kernel("copy", 60.0)], number=8)
    region = Event("Torch-Compiled Region: 0/0", 0.0, second, [Kernel("fused", 7.0)])
    alone = Event("aten::empty", 1.0)
    doing = Event("Activity Buffer Request", 0.0, second, [Kernel("copy", 60.0)])
    ran = Event("sgemm", 0.0, device=DeviceType.CUDA)
    return [first, second, conv, inner, launch, cat, region, alone, doing, ran]


def test_on_a_cpu_a_kernel_is_an_operators_own_time():
    times = times_of(forward(), TILES, {}, "forward", device=False)
    assert times == {
        ("conv", "aten::conv2d", "forward"): pytest.approx(3e-6),
        ("conv", "aten::convolution", "forward"): pytest.approx(40e-6),
        ("conv", "cudaLaunchKernel", "forward"): pytest.approx(5e-6),
        ("", "aten::cat", "forward"): pytest.approx(10e-6),
        ("", "aten::empty", "forward"): pytest.approx(1e-6),
    }


def test_on_a_device_it_is_what_ran_there_and_not_what_issued_it():
    times = times_of(forward(), TILES, {}, "forward", device=True)
    assert times == {
        ("conv", "sgemm", "forward"): pytest.approx(500e-6),
        ("conv", "bias", "forward"): pytest.approx(20e-6),
        ("", "copy", "forward"): pytest.approx(60e-6),
        ("", "fused", "forward"): pytest.approx(7e-6),
    }


def test_a_backward_kernel_belongs_to_the_tile_that_made_its_node():
    assert _numbers(forward()) == {7: 0, 8: 1}
    node = Event("ConvolutionBackward0", 2.0, number=7)
    inner = Event("aten::convolution_backward", 30.0, node, [Kernel("dgrad", 700.0)])
    other = Event("AccumulateGrad", 4.0, number=-1)
    numbers = _numbers(forward())
    assert times_of([node, inner, other], TILES, numbers, "backward", device=True) == {
        ("conv", "dgrad", "backward"): pytest.approx(700e-6)
    }
    assert times_of([node, inner, other], TILES, numbers, "backward", device=False) == {
        ("conv", "ConvolutionBackward0", "backward"): pytest.approx(2e-6),
        ("conv", "aten::convolution_backward", "backward"): pytest.approx(30e-6),
        ("", "AccumulateGrad", "backward"): pytest.approx(4e-6),
    }


def test_without_tiles_everything_is_the_models_own():
    assert {path for path, *_ in times_of(forward(), [], {}, "forward", device=False)} == {""}


def test_every_other_mark_closes_what_the_one_before_opened():
    from torch.profiler import ProfilerActivity, profile

    mark = _bracket(["conv conv2d"])
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        for _ in range(4):
            mark()
    assert [event.name for event in seen.events() if event.name.startswith(TILE)] == [
        f"{TILE}0 conv conv2d",
        f"{TILE}1 ",
    ]


class Profiler:
    """One that writes what it is told to, as torch's does on a full disk: without a word."""

    def __init__(self, text, suffix=""):
        self.text, self.suffix = text, suffix

    def export_chrome_trace(self, path):
        with open(path + self.suffix, "w") as file:  # noqa: PTH123 – the profiler's own
            file.write(self.text)


def test_a_trace_is_written_whole(tmp_path):
    _write(Profiler('{"traceEvents": []}\n'), tmp_path / "t.json")
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_a_trace_names_neither_host_nor_folder(tmp_path):
    _write(
        Profiler('{"traceEvents": [], "host_name": "vm", "traceName": "/home/ann/t.json.part"}'), tmp_path / "t.json"
    )
    assert json.loads((tmp_path / "t.json").read_text()) == {"traceEvents": [], "traceName": "t.json"}


@pytest.mark.parametrize("broken", [Profiler('{"traceEvents": [{"ph'), Profiler(""), Profiler("", ".tmp")])
def test_a_trace_that_did_not_fit_is_said_and_leaves_what_was_there(tmp_path, broken):
    trace = tmp_path / "t.json"
    trace.write_text("an older one")
    with pytest.raises(AnalyzerError, match=r"cannot write the trace '.*': .*; is the disk full"):
        _write(broken, trace)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    assert trace.read_text() == "an older one"
