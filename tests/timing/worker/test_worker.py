"""How a worker serves a request: models that change, compute gradients, train, or raise."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from analyzer.records.timings import Configuration
from analyzer.timing.clock.clocks import EventClock
from analyzer.timing.driver.build_measurement import build_measurement
from analyzer.timing.driver.processes import run_worker
from analyzer.timing.passes.prepare_model import prepare_model
from analyzer.timing.passes.timed_pass import OperatorsChanged
from analyzer.timing.request import Request
from analyzer.timing.worker.timing_task import _sample
from analyzer.worker.reply import Reply
from tests.timing.simulated import Device, FakeWatch, ManualClock

NET = """
import torch
from torch import nn

class Changes(nn.Module):
    '''One more operator from the 30th pass on.'''
    calls = 0
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        Changes.calls += not x.is_meta
        x = self.linear(x)
        return x + 1 if Changes.calls > 30 else x

class Forces(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(self.linear(x).tanh().sum(), x)[0]

class Caches(nn.Module):
    '''Creates a tensor in its first pass.'''
    def __init__(self):
        super().__init__()
        self.linear, self.scale, self.table = nn.Linear(4, 4), None, nn.Embedding(3, 4)
        self.table.requires_grad_(False)
    def forward(self, x):
        if self.scale is None or self.scale.is_meta:
            self.scale = torch.ones(4, device=x.device) * 2
        return {"out": self.linear(x) * self.scale, "mask": self.table.weight}

class NoParameters(nn.Module):
    def forward(self, x):
        return x * 2

scripted = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.Sigmoid()))

class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner, self.outer = scripted, nn.Linear(4, 4)
    def forward(self, x):
        return self.outer(self.inner(x))

class Overlaps(nn.Module):
    def forward(self, x):
        torch.zeros(1, 4).expand(3, 4).add_(1)
        return x
"""


@pytest.fixture
def run(tmp_path):
    """`run("Changes")` times that class of NET in a worker process."""
    Path(tmp_path, "net.py").write_text(NET)

    def run(name, mode="inference", compiled=False, **options):
        request = Request(
            Configuration(mode=mode, compiled=compiled, batch=2), reference=f"{tmp_path}/net.py:{name}", inputs=("4",),
            budget_s=0.5, min_samples=20, **options,
        )  # fmt: skip
        return run_worker(request)

    return run


def done(reply):
    assert reply.end == "done", reply.reason
    return reply


def keys(reply):
    return [tuple(key) for key in reply.last("keys")["keys"]]


def test_a_model_whose_operators_change_is_timed_without_operators(run):
    measurement = build_measurement(Request(Configuration(), min_clean=3), [done(run("Changes"))])
    assert measurement.status == "ok"
    assert len(measurement.pass_timing.samples_s) >= 3
    assert measurement.operator_times_s == {}
    assert any(warning.startswith("not instrumented: ") for warning in measurement.warnings)


@pytest.mark.slow
def test_a_model_that_computes_gradients_is_instrumented(run):
    reply = done(run("Forces"))
    assert {("forward", "linear", "linear", 1), ("forward", "linear", "addmm", 1)} & set(keys(reply))
    assert reply.last("keys")["note"] == ""


@pytest.mark.slow
def test_a_model_by_reference_trains(run):
    """Tensors that it caches in its first pass can be used in a backward pass; frozen parameters stay frozen."""
    reply = done(run("Caches", mode="training"))
    owners = {(phase, path) for phase, path, op, _ in keys(reply) if op == "accumulate_grad"}
    assert owners == {("backward", "linear")}
    assert {phase for phase, *_ in keys(reply)} == {"forward", "backward", "optimizer"}
    # One product for the weights, none for the input, which needs no gradient.
    rows = reply.last("ready")["record"]["rows"]
    assert [row["backward_macs"] for row in rows if row["macs"]] == [2 * 4 * 4]


@pytest.mark.slow
def test_a_script_module_is_one_operator(run):
    inner, outer = ("forward", "inner", "torchscript", 1), ("forward", "outer", "linear", 1)
    assert keys(done(run("Scripted"))) == [inner, outer, ("forward", "", "overhead", 1)]


@pytest.mark.slow
def test_compiled_code_is_profiled_without_recompiling(run):
    reply = done(run("Changes", compiled=True, kernels=True))
    names = {name for _, name, *_ in reply.last("kernels")["kernels"]}
    assert names
    assert not [name for name in names if "dynamo" in name]


@pytest.mark.slow
def test_a_model_without_trainable_parameters_fails(run):
    reply = run("NoParameters", mode="training")
    assert reply.end == "failed"
    assert "nothing to train" in reply.reason


@pytest.mark.slow
def test_other_errors_about_memory_are_not_out_of_memory(run):
    reply = run("Overlaps")
    assert reply.end == "refused"  # It cannot be counted either.
    assert "single memory location" in reply.reason
    assert "out of memory" not in reply.reason


@pytest.mark.slow
def test_a_module_that_does_not_support_a_type_is_named():
    float16 = Configuration(dtype="float16")
    reply = run_worker(Request(float16, variant="googlenet", inputs=("3x64x64",), budget_s=0.5, min_samples=2))
    if reply.end == "done":
        pytest.skip("here LRN supports float16")
    assert reply.end == "failed"
    for text in ("norm1: local_response_norm", "float16 on cpu", "NotImplementedError"):
        assert text in reply.reason


OVERHEAD = ("forward", "", "overhead", 1)


class FakePass:
    """On a device that runs behind: device-bound without instruments, launch-bound with them."""

    repeats, passes, made = 1, 1, 0

    def fit_cost(self):
        """The clock is no host clock: nothing to do."""

    def calibrate(self, pass_s, *, repeated=True):
        """The clock is no host clock: nothing to do."""

    def __init__(self, clock, device):
        self.clock, self.device = clock, device

    def _time(self, launches, seconds, blocked):
        self.clock.block_queue() if blocked else self.clock.synchronize()
        return self.clock.elapsed(lambda: self.device.launch(seconds / launches), launches)

    def uninstrumented(self, *, blocked=False):
        return self._time(2, 0.010, blocked)

    def instrumented(self):
        return {OVERHEAD: self._time(50, 0.010, True)}


@pytest.fixture
def sample():
    """`sample(FakePass, **request)` → the summary, and the lines sent; `sample.lines` has them if it raises."""
    host = ManualClock()
    device = Device(host, launch_s=0.001)
    clock, lines = EventClock(device, host.nanoseconds), []

    def sample(pass_class, **options):
        request = Request(Configuration(device="cuda:0", **options.pop("configuration", {})), variant="nin", **options)
        summary = _sample(request, pass_class(clock, device), clock, FakeWatch(), time.perf_counter(), lines.append)
        return summary, lines

    sample.lines = lines
    return sample


def test_the_launch_share_is_that_of_the_uninstrumented_pass(sample):
    summary, lines = sample(FakePass, budget_s=0.05, min_samples=4)
    # The host issues two launches of 1 ms; the device begins after the first and works for 10 ms. A GPU has no faults.
    assert summary["launch_share"] == pytest.approx(0.002 / 0.011)
    assert summary["queued_in_time"] is summary["peak_bytes"] is None
    assert "faults" not in summary
    assert lines[0]["keys"] == [OVERHEAD]
    names = {name for line in lines if line["event"] == "samples" for name, *_ in line["samples"]}
    assert names == {"pass", "instrumented"}  # And no reference workload: it is timed by the host's clock.


def test_samples_before_a_pass_that_raises_are_sent(sample):
    class Raises(FakePass):
        left = 13

        def uninstrumented(self, *, blocked=False):
            Raises.left -= 1
            if not Raises.left:
                raise RuntimeError("no more")
            return super().uninstrumented(blocked=blocked)

    with pytest.raises(RuntimeError, match="no more"):
        sample(Raises, budget_s=60.0, min_samples=9, configuration={"compiled": True})
    # Ten passes to warm up: two windows of five that agree. Two samples, and the one that raised.
    assert len(sample.lines[-1]["samples"]) == 2
    reply = Reply(tuple(sample.lines), "failed", "no more")
    assert build_measurement(Request(Configuration(), min_clean=2), [reply]).status == "partial"


def test_operators_that_change_while_sampling_are_left_out(sample):
    class Changes(FakePass):
        left = 3

        def instrumented(self):
            Changes.left -= 1
            if not Changes.left:
                raise OperatorsChanged("other operators ran than were counted")
            return super().instrumented()

    _, lines = sample(Changes, budget_s=0.05, min_samples=4)
    assert [line["keys"] for line in lines if line["event"] == "keys"] == [[OVERHEAD], []]
    reply = Reply((*lines, {"event": "done", "launch_share": None}), "done")
    measurement = build_measurement(Request(Configuration(), min_clean=3), [reply])
    assert measurement.of("overhead") == ()
    assert any("other operators" in warning for warning in measurement.warnings)


def test_complex_parameters_stay_complex():
    """`to(float64)` would make them real."""
    model = nn.Linear(4, 4)
    model.phase = nn.Parameter(torch.zeros(4, dtype=torch.complex64))
    prepare_model(model, [torch.zeros(1, 4)], {}, Configuration(dtype="float64"))
    assert (model.weight.dtype, model.phase.dtype) == (torch.float64, torch.complex64)
