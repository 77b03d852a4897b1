"""Instrumented passes: every operator has a span with its rows, times add up, and the model is restored."""

from __future__ import annotations

import time
from threading import Thread

import pytest
import torch
from torch import nn

import analyzer
from analyzer.models.spec_to_module import auxiliary_loss, build
from analyzer.timing.clock.clocks import Clock, HostClock
from analyzer.timing.passes.fused import fused_modules
from analyzer.timing.passes.instrument import Instrument
from analyzer.timing.passes.operator_spans import operator_spans, runs_operators
from analyzer.timing.passes.prepare_model import sum_of_outputs
from analyzer.timing.passes.timed_pass import OperatorsChanged, Pass, Training
from tests.torch_releases import needs_torch


class Mixed(nn.Module):
    """Leaves, functions between them, a module called twice, attention, a view, a property."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = self.twice(self.twice(x)) + x.mean()
        x = x.flatten(2).transpose(1, 2)
        assert x.shape[-1] == 4
        x = self.norm(x)
        return self.attention(x, x, x)[0].sum(1)


def inference(model, x, clock=None):
    spans, _ = operator_spans(model, lambda: model(x))
    return Pass(lambda: model(x), model, spans, clock or HostClock())


def test_every_row_is_in_one_span_in_order():
    model, x = Mixed().eval(), torch.randn(2, 3, 8, 8)
    spans, count = operator_spans(model, lambda: model(x))
    assert [row for span in spans for row in span.rows] == list(range(len(count.rows)))
    names = [(span.path, span.op, span.call) for span in spans]
    assert names[:5] == [
        ("conv", "conv2d", 1),
        ("", "relu", 1),
        ("twice", "conv2d", 1),
        ("twice", "conv2d", 2),
        ("", "mean", 1),
    ]
    assert ("attention", "multi_head_attention_forward", 1) in names
    # Q, K and V in one product, scores and values in another, the output projection in a third: several rows, one span.
    attention = next(span for span in spans if span.op == "multi_head_attention_forward")
    assert len(attention.rows) >= 3
    assert sum(count.rows[row].macs for row in attention.rows) == 4 * 2 * 64 * 4 * 4 + 2 * 2 * 64 * 64 * 4


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "googlenet-naive", "alexnet", "nin", "vgg16"])
def test_spans_of_a_named_network_have_the_names_of_the_closed_form(name):
    size = 224 if name in ("alexnet", "vgg16") else 96
    model = build(name, input=(3, size, size)).to("meta")
    x = torch.empty(1, 3, size, size, device="meta")
    spans, _ = operator_spans(model, lambda: model(x))
    closed_form = [(row.path, row.op, row.call) for row in analyzer.count(name, input=(3, size, size)).rows]
    assert [(span.path, span.op, span.call) for span in spans] == closed_form


class TickClock(Clock):
    """Ticks once per mark."""

    ticks = 0

    def mark(self) -> int:
        self.ticks += 1
        return self.ticks

    def seconds(self, marks):
        return [float(mark - marks[0]) for mark in marks]


def test_operators_and_overhead_add_up():
    timed_pass = inference(Mixed().eval(), torch.randn(1, 3, 8, 8), TickClock())
    operators = len(timed_pass.counted)
    times = timed_pass.instrumented()
    # One tick per mark: every operator takes 1, and so does the overhead before, between and after them.
    assert times["forward", "", "overhead", 1] == operators + 1
    assert sum(times.values()) == 2 * operators + 1


def test_a_leaf_in_a_thread_of_the_model_is_overhead():
    class Threaded(nn.Sequential):
        def forward(self, x):
            outputs = []
            thread = Thread(target=lambda: outputs.append(self[0](x)))
            thread.start()
            thread.join()
            return self[1](outputs[0])

    with torch.inference_mode():
        timed_pass = inference(Threaded(nn.Linear(4, 4), nn.ReLU()), torch.randn(2, 4))
        assert list(timed_pass.instrumented()) == [("forward", "1", "relu", 1), ("forward", "", "overhead", 1)]


class SlowChild(nn.Module):
    def forward(self, x):
        time.sleep(0.01)
        return x.numpy() is not None and x + 1


def test_python_in_a_submodule_is_that_modules_overhead():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(SlowChild()))
    with torch.inference_mode():
        times = inference(model, torch.zeros(2, 4)).instrumented()
    assert times["forward", "1.0", "overhead", 1] >= 0.01
    assert times["forward", "1", "overhead", 1] + times["forward", "", "overhead", 1] < 0.01


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        x = self.layer(x)
        return self.attention(x, x, x)[0]


def test_a_fused_module_is_one_operator():
    model, x = Attending().eval().requires_grad_(False), torch.randn(1, 4, 8)
    fused = fused_modules(model, lambda: model(x))
    assert fused == {id(model.layer), id(model.attention)}
    spans, _ = operator_spans(model, lambda: model(x), fused=fused)
    with torch.inference_mode(), torch.profiler.profile() as profiler:
        times = Pass(lambda: model(x), model, spans, HostClock()).instrumented()
    assert [(key[1], key[2]) for key in times if key[2] != "overhead"] == [
        ("layer", "transformer_encoder_layer"), ("attention", "multihead_attention"),
    ]  # fmt: skip
    # The instrumented pass runs what the model runs without instruments.
    assert "aten::_transformer_encoder_layer_fwd" in {event.key for event in profiler.key_averages()}
    assert fused_modules(model.train(), lambda: model(x)) == frozenset()


@needs_torch(2, 9, "the checks of an exported program's inputs run under function modes")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_an_exported_program_runs_the_operators_of_its_modules():
    net, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.zeros(2, 4)
    program = torch.export.export(net, (x,))
    unflattened, deployed = torch.export.unflatten(program), program.module()
    spans, _ = operator_spans(unflattened, lambda: unflattened(x))
    assert runs_operators(deployed, lambda: deployed(x), spans)
    assert not runs_operators(deployed, lambda: deployed(x) + 1, spans)
    # The assertions that guard its inputs run as without instruments, outside of the function mode.
    instrument = Instrument(lambda: 0)
    with instrument.installed(deployed, modules=True), instrument:
        deployed(x)
    assert instrument.passed_on == []


def test_the_model_is_restored():
    model = Mixed().eval()
    replaced = nn.Sequential(nn.ReLU())
    forward = replaced[0].forward = lambda x: x + 1
    before = [(dict(vars(module)), dict(module._forward_hooks)) for module in model.modules()]
    instrument = Instrument(lambda: 0)
    with instrument.installed(model, modules=True), instrument:
        model(torch.randn(1, 3, 8, 8))
    assert [(vars(module), dict(module._forward_hooks)) for module in model.modules()] == before
    with instrument.installed(replaced):
        assert replaced[0].forward is not forward
    assert replaced[0].forward is forward


def test_a_pass_that_raises_leaves_no_instrument():
    class Raises(nn.Module):
        def forward(self, x):
            raise RuntimeError("no")

    model = nn.Sequential(nn.ReLU(), Raises())
    instrument = Instrument(lambda: 0)
    with pytest.raises(RuntimeError, match="no"), instrument.installed(model), instrument:
        model(torch.zeros(1))
    assert "forward" not in vars(model[0])
    marks = len(instrument.marks)
    torch.zeros(1) + 1
    assert len(instrument.marks) == marks


class Changes(nn.Module):
    """Other operators from the third pass on: another layer, or one more operator."""

    def __init__(self, more):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)
        self.more, self.calls = more, 0

    def forward(self, x):
        self.calls += 1
        if self.calls < 3:
            return self.first(x)
        return self.first(x) + 1 if self.more else self.second(x)


@pytest.mark.parametrize(("more", "message"), [(True, "2 operators ran where 1 were counted"), (False, "other")])
def test_changed_operators_get_no_names(more, message):
    timed_pass = inference(Changes(more), torch.zeros(2, 4))
    assert ("forward", "first", "linear", 1) in timed_pass.instrumented()
    with pytest.raises(OperatorsChanged, match=message):
        timed_pass.instrumented()


def training(model, loss):
    spans, _ = operator_spans(model, loss)
    return Training(loss, model, spans, HostClock())


@pytest.mark.slow
def test_a_training_step_has_three_phases_and_every_gradient_an_operator():
    model = build("googlenet", train=True, input=(3, 64, 64))
    x, target = torch.randn(2, 3, 64, 64), torch.zeros(2, dtype=torch.int64)
    times = training(model, lambda: auxiliary_loss(model(x), target)).instrumented()
    rows = analyzer.count("googlenet", input=(3, 64, 64), train=True).rows
    convolutions = {row.path for row in rows if row.op == "conv2d"}
    assert {path for phase, path, op, _ in times if phase == "backward" and op == "conv2d"} == convolutions
    assert ("forward", "", "cross_entropy", 1) in times or ("forward", "", "cross_entropy_loss", 1) in times
    assert ("optimizer", "", "step", 1) in times
    assert convolutions <= {path for phase, path, op, _ in times if op == "accumulate_grad"}
    assert all(seconds >= 0 for seconds in times.values())


def test_gradients_of_a_shared_layer_belong_to_the_call_that_created_them():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x):
            return self.linear(torch.tanh(self.linear(x)))

    model = Shared()
    x = torch.randn(4, 8)
    step = training(model, lambda: model(x).sum())
    times = step.instrumented()
    assert {key for key in times if key[0] == "backward" and key[2] in ("linear", "tanh")} == {
        ("backward", "linear", "linear", 1),
        ("backward", "", "tanh", 1),
        ("backward", "linear", "linear", 2),
    }
    assert {("backward", "linear", "accumulate_grad", 1), ("optimizer", "", "step", 1)} <= times.keys()
    assert {len(step.instrumented()) for _ in range(3)} == {len(times)}  # Hooks do not accumulate.


def test_an_instrumented_step_follows_whole_steps():
    """Forward passes alone would leave the backward pass cold, which then takes longer than in a loop."""
    model = nn.Linear(8, 8)
    x, steps, order = torch.randn(4, 8), 3, []
    step = training(model, lambda: (order.append("forward"), model(x).sum())[1])
    step.optimizer.step = lambda original=step.optimizer.step: (order.append("step"), original())
    order.clear()
    step.warm_ups = steps
    step.instrumented()
    # Three whole steps, a forward pass with the instruments, and the step that is measured.
    assert order == ["forward", "step"] * steps + ["forward", "forward", "step"]
    assert step.made == steps + 2
    order.clear()
    step.uninstrumented()
    assert order == ["forward", "step"] * (steps + 1)


@pytest.mark.parametrize("output", [torch.ones(2, 3), (torch.ones(2, 3),), {"a": torch.ones(4), "b": torch.ones(2)}])
def test_the_loss_is_the_sum_of_every_output(output):
    with torch.no_grad():
        assert sum_of_outputs(output).item() == 6
        assert sum_of_outputs((torch.ones(2, dtype=torch.int64),)).item() == 0  # Token ids are no outputs to train.


def test_the_loss_of_one_tensor_is_one_operator():
    """A search and a stack took 4 % of a training step of a millisecond."""
    output = torch.ones(2, 3, requires_grad=True)
    assert type(sum_of_outputs(output).grad_fn).__name__ == "SumBackward0"
    assert sum_of_outputs(output).grad_fn.next_functions[0][0].variable is output
