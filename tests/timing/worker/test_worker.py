"""What a process makes of a request: models that change, take gradients, train, run out of memory or speak of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.clock.clocks import EventClock
from analyzer.timing.driver.processes import Answer, ask
from analyzer.timing.driver.results import measurement
from analyzer.timing.passes.timed_pass import Changed
from analyzer.timing.request import Request
from analyzer.timing.worker.main import _sample
from tests.timing.simulated import Device, Turned

NET = """
import torch
from torch import nn

class Sometimes(nn.Module):
    '''Another operator from the 30th pass on.'''
    calls = 0
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        Sometimes.calls += not x.is_meta
        x = self.linear(x)
        return x + 1 if Sometimes.calls > 30 else x

class Forces(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x):
        x = x.detach().requires_grad_(True)
        return torch.autograd.grad(self.linear(x).tanh().sum(), x)[0]

class Cached(nn.Module):
    '''Makes a tensor once, and keeps it.'''
    def __init__(self):
        super().__init__()
        self.linear, self.scale, self.table = nn.Linear(4, 4), None, nn.Embedding(3, 4)
        self.table.requires_grad_(False)
    def forward(self, x):
        if self.scale is None or self.scale.is_meta:
            self.scale = torch.ones(4, device=x.device) * 2
        return {"out": self.linear(x) * self.scale, "mask": self.table.weight}

class Nothing(nn.Module):
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
def asked(tmp_path):
    Path(tmp_path, "net.py").write_text(NET)

    def of(name, mode="inference", compiled=False, **how):
        configuration = Configuration(mode=mode, compiled=compiled, batch=2)
        return ask(
            Request(configuration, reference=f"{tmp_path}/net.py:{name}", inputs=("4",), budget_s=0.5, floor=20, **how)
        )

    return of


def test_a_model_whose_passes_change_is_timed_whole_and_says_why_it_has_no_parts(asked):
    answer = asked("Sometimes")
    assert answer.end == "done", answer.reason
    made = measurement(Request(Configuration(), fewest=3), [answer])
    assert made.status == "ok"
    assert len(made.whole.samples_s) >= 3
    assert made.parts == {}
    assert made.warnings == ("not cut into operators: 2 operators ran where 1 were counted",)


def test_a_model_that_takes_gradients_itself_is_cut_all_the_same(asked):
    answer = asked("Forces")
    assert answer.end == "done", answer.reason
    keys = [tuple(key) for key in answer.of("keys")["keys"]]
    assert ("forward", "linear", "linear", 1) in keys or ("forward", "linear", "addmm", 1) in keys
    assert answer.of("keys")["note"] == ""


def test_a_model_by_reference_trains(asked):
    """What it keeps from its first pass may be used in a backward pass, and what its author froze learns nothing."""
    answer = asked("Cached", mode="training")
    assert answer.end == "done", answer.reason
    owners = {(phase, path) for phase, path, op, _ in answer.of("keys")["keys"] if op == "accumulate_grad"}
    assert owners == {("backward", "linear")}
    assert {phase for phase, *_ in answer.of("keys")["keys"]} == {"forward", "backward", "optimizer"}
    # One product for the weights, none for the input, which nobody asked a gradient of.
    assert [row["backward_macs"] for row in answer.of("ready")["record"]["rows"] if row["macs"]] == [2 * 4 * 4]


def test_a_script_module_is_timed_and_what_it_runs_stands_in_the_gap(asked):
    answer = asked("Scripted")
    assert answer.end == "done", answer.reason
    assert answer.of("keys")["keys"] == [["forward", "outer", "linear", 1], ["forward", "", "gap", 1]]


def test_there_may_be_nothing_to_train(asked):
    answer = asked("Nothing", mode="training")
    assert answer.end == "failed"
    assert answer.reason.startswith("there is nothing to train")


def test_a_module_that_does_not_take_a_type_is_named():
    answer = ask(
        Request(Configuration(dtype="float16"), variant="googlenet", inputs=("3x64x64",), budget_s=0.5, floor=2)
    )
    if answer.end == "done":
        pytest.skip("here LRN takes float16")
    assert answer.end == "failed"
    assert answer.reason.startswith("norm1: local_response_norm does not take float16 on cpu; NotImplementedError: ")


def test_an_error_that_speaks_of_memory_is_not_a_lack_of_it(asked):
    answer = asked("Overlaps")
    assert answer.end == "failed"
    assert "single memory location" in answer.reason
    assert "out of memory" not in answer.reason


def test_compiled_code_is_not_compiled_again_to_be_profiled(asked):
    answer = asked("Sometimes", compiled=True, kernels=True)
    assert answer.end == "done", answer.reason
    names = {name for _, name, *_ in answer.of("kernels")["kernels"]}
    assert names
    assert not [name for name in names if "dynamo" in name]


class Quiet:
    def look(self):
        return None

    def dirty(self, before, after):
        return None


class Queued:
    """Passes on a device that runs behind: a whole one is bound by the device, a cut one by its launches."""

    def __init__(self, clock, device):
        self.clock, self.device = clock, device

    def _pass(self, launches, seconds, held):
        self.clock.hold() if held else self.clock.settle()
        marks = [self.clock.mark()]
        for _ in range(launches):
            self.device.launch(seconds / launches)
        marks.append(self.clock.mark())
        return self.clock.seconds(marks)[-1]

    def whole(self, *, held=False):
        return self._pass(2, 0.010, held)

    def cut(self):
        return {("forward", "", "gap", 1): self._pass(50, 0.010, True)}


@pytest.fixture
def behind():
    """A device that runs behind its host, and its clock."""
    host = Turned()
    device = Device(host, launch_s=0.001)
    return EventClock(device, host.nanoseconds), device


def sampled(passed, clock):
    told = []
    request = Request(Configuration(device="cuda:0"), variant="nin", budget_s=0.05, floor=4)
    beside = _sample(request, passed, clock, Quiet(), time.perf_counter(), told.append)
    return beside, told


def test_a_pass_is_bound_by_launches_as_it_is_and_not_as_it_is_cut(behind):
    beside, told = sampled(Queued(*behind), behind[0])
    # The host issues two launches of 1 ms; the device begins after the first and works for 10 ms.
    assert beside == {
        "launch_share": pytest.approx(0.002 / 0.011),
        "ahead": None,
    }  # And no pages: it is not the host that computes.
    assert told[0]["keys"] == [("forward", "", "gap", 1)]


def test_samples_of_a_device_have_no_reference_of_the_hosts_clock(behind):
    _, told = sampled(Queued(*behind), behind[0])
    arms = {arm for line in told if line["event"] == "samples" for arm, *_ in line["samples"]}
    assert arms == {"whole", "cut"}


def test_what_was_sampled_before_a_pass_that_raised_is_told(behind):
    class Raises(Queued):
        left = 13

        def whole(self, *, held=False):
            Raises.left -= 1
            if not Raises.left:
                raise RuntimeError("no more")
            return super().whole(held=held)

    told = []
    request = Request(Configuration(device="cuda:0"), variant="nin", budget_s=60.0, floor=9, tiles=False)
    with pytest.raises(RuntimeError, match="no more"):
        _sample(request, Raises(*behind), behind[0], Quiet(), time.perf_counter(), told.append)
    # Ten passes to warm up: two windows of five that agree. Two samples, and the one that raised.
    assert len(told[-1]["samples"]) == 2
    assert (
        measurement(Request(Configuration(), fewest=2), [Answer(tuple(told), "failed", "no more")]).status == "partial"
    )


def test_a_pass_that_changes_in_the_middle_leaves_whole_ones(behind):
    class Changes(Queued):
        left = 3

        def cut(self):
            Changes.left -= 1
            if not Changes.left:
                raise Changed("other operators ran than were counted")
            return super().cut()

    _, told = sampled(Changes(*behind), behind[0])
    assert [line["keys"] for line in told if line["event"] == "keys"] == [[("forward", "", "gap", 1)], []]
    made = measurement(
        Request(Configuration(), fewest=3), [Answer((*told, {"event": "done", "launch_share": None}), "done")]
    )
    assert made.of("gap") == ()
    assert made.warnings == ("not cut into operators: other operators ran than were counted",)


def test_complex_parameters_stay_complex():
    """`to(float64)` would make them real."""
    import torch
    from torch import nn

    from analyzer.timing.passes.prepare import prepared

    model = nn.Linear(4, 4)
    model.phase = nn.Parameter(torch.zeros(4, dtype=torch.complex64))
    prepared(model, [torch.zeros(1, 4)], {}, Configuration(dtype="float64"))
    assert (model.weight.dtype, model.phase.dtype) == (torch.float64, torch.complex64)
