"""Kernels by operator, from fake profiler events: an operator's own time on a CPU, what the device ran on a GPU."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from analyzer.core.errors import AnalyzerError
from analyzer.timing.passes.kernels import RANGE, _range_marker, _sequence_numbers, _write_trace, kernel_times
from analyzer.timing.passes.operator_spans import OperatorSpan

SPANS = [OperatorSpan("conv", "conv2d", 1), OperatorSpan("", "cat", 1)]


def kernel(name, duration):
    return SimpleNamespace(name=name, duration=duration)


def event(name, own_us=0.0, parent=None, kernels=(), number=-1, device=DeviceType.CPU):
    """The attributes of a profiler event that we read; times in microseconds."""
    return SimpleNamespace(
        name=name, self_cpu_time_total=own_us, cpu_parent=parent, kernels=kernels, sequence_nr=number,
        device_type=device,
    )  # fmt: skip


def forward():
    first, second = event(f"{RANGE}0 conv conv2d", 99.0), event(f"{RANGE}1 cat", 99.0)
    conv = event("aten::conv2d", 3.0, first, number=7)
    inner = event("aten::convolution", 40.0, conv, [kernel("sgemm", 500.0), kernel("bias", 20.0)], number=7)
    # Its number happens to be that of `cat`, whose kernel torch's profiler reports for it too.
    launch = event("cudaLaunchKernel", 5.0, inner, [kernel("copy", 60.0)])
    cat = event("aten::cat", 10.0, second, [kernel("copy", 60.0)], number=8)
    region = event("Torch-Compiled Region: 0/0", 0.0, second, [kernel("fused", 7.0)])
    outside = event("aten::empty", 1.0)
    profiler = event("Activity Buffer Request", 0.0, second, [kernel("copy", 60.0)])
    on_device = event("sgemm", 0.0, device=DeviceType.CUDA)
    return [first, second, conv, inner, launch, cat, region, outside, profiler, on_device]


def test_on_a_cpu_a_kernel_has_an_operators_own_time():
    times = kernel_times(forward(), SPANS, {}, "forward", device=False)
    assert times == {
        ("conv", "aten::conv2d", "forward"): pytest.approx(3e-6),
        ("conv", "aten::convolution", "forward"): pytest.approx(40e-6),
        ("conv", "cudaLaunchKernel", "forward"): pytest.approx(5e-6),
        ("", "aten::cat", "forward"): pytest.approx(10e-6),
        ("", "aten::empty", "forward"): pytest.approx(1e-6),
    }
    assert {path for path, *_ in kernel_times(forward(), [], {}, "forward", device=False)} == {""}


def test_on_a_gpu_a_kernel_is_what_the_device_ran():
    times = kernel_times(forward(), SPANS, {}, "forward", device=True)
    assert times == {
        ("conv", "sgemm", "forward"): pytest.approx(500e-6),
        ("conv", "bias", "forward"): pytest.approx(20e-6),
        ("", "copy", "forward"): pytest.approx(60e-6),
        ("", "fused", "forward"): pytest.approx(7e-6),
    }


def test_a_backward_kernel_belongs_to_the_operator_that_created_its_node():
    numbers = _sequence_numbers(forward())
    assert numbers == {7: 0, 8: 1}
    node = event("ConvolutionBackward0", 2.0, number=7)
    inner = event("aten::convolution_backward", 30.0, node, [kernel("dgrad", 700.0)])
    other = event("AccumulateGrad", 4.0, number=-1)
    assert kernel_times([node, inner, other], SPANS, numbers, "backward", device=True) == {
        ("conv", "dgrad", "backward"): pytest.approx(700e-6)
    }
    assert kernel_times([node, inner, other], SPANS, numbers, "backward", device=False) == {
        ("conv", "ConvolutionBackward0", "backward"): pytest.approx(2e-6),
        ("conv", "aten::convolution_backward", "backward"): pytest.approx(30e-6),
        ("", "AccumulateGrad", "backward"): pytest.approx(4e-6),
    }


def test_every_second_mark_closes_a_range():
    mark = _range_marker(["conv conv2d"])
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(4):
            mark()
    names = [event.name for event in profiler.events() if event.name.startswith(RANGE)]
    assert names == [f"{RANGE}0 conv conv2d", f"{RANGE}1 "]


class FakeProfiler:
    """Writes a text as its trace, truncated or under another name, as torch's does on a full disk."""

    def __init__(self, text, suffix=""):
        self.text, self.suffix = text, suffix

    def export_chrome_trace(self, path):
        with open(path + self.suffix, "w") as file:  # noqa: PTH123 – as torch's
            file.write(self.text)


def test_a_trace_names_neither_host_nor_folder(tmp_path):
    text = '{"traceEvents": [], "host_name": "vm", "traceName": "/home/ann/t.json.part"}\n'
    _write_trace(FakeProfiler(text), tmp_path / "t.json")
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    assert json.loads((tmp_path / "t.json").read_text()) == {"traceEvents": [], "traceName": "t.json"}


@pytest.mark.parametrize(
    "truncated", [FakeProfiler('{"traceEvents": [{"ph'), FakeProfiler(""), FakeProfiler("", ".tmp")]
)
def test_a_truncated_trace_is_an_error_and_the_old_one_stays(tmp_path, truncated):
    trace = tmp_path / "t.json"
    trace.write_text("an older one")
    with pytest.raises(AnalyzerError, match="disk full"):
        _write_trace(truncated, trace)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]
    assert trace.read_text() == "an older one"
