from __future__ import annotations

import pytest
import torch
from torch import nn

from analyzer.timing.clock.clocks import HostClock
from analyzer.timing.passes.calibration import (
    MAX_REPEATS,
    InstrumentCost,
    OperatorCost,
    measure_instrument_cost,
    passes_per_sample,
)
from analyzer.timing.passes.operator_spans import operator_spans
from analyzer.timing.passes.timed_pass import Pass, _durations

COST = InstrumentCost(OperatorCost(2e-6, 1e-6), OperatorCost(3e-6, 0.5e-6))


@pytest.mark.parametrize(
    ("pass_s", "passes"), [(1.0, 1), (250e-6, 1), (200e-6, 2), (14e-6, 18), (1e-9, MAX_REPEATS), (0, MAX_REPEATS)]
)
def test_short_passes_are_joined_to_samples(pass_s, passes):
    assert passes_per_sample(pass_s) == passes


def test_the_cost_of_instruments_is_subtracted():
    keys = [("forward", "a", "conv2d", 1), ("forward", "", "add", 1)]
    # Marks at 10 to 30 and 40 to 60 microseconds of a pass of 70.
    reached = [0.0, 10e-6, 30e-6, 40e-6, 60e-6, 70e-6]
    times = _durations(reached, keys, "forward", [COST.of(123), COST.of("add")])
    assert times[keys[0]] == pytest.approx(18e-6)
    assert times[keys[1]] == pytest.approx(17e-6)
    # 30 µs outside of operators, less 1.0 and 0.5.
    assert times["forward", "", "overhead", 1] == pytest.approx(28.5e-6)
    # Without costs all of it adds up to the pass.
    assert sum(_durations(reached, keys, "forward").values()) == pytest.approx(70e-6)
    # An operator shorter than the cost is 0, never negative.
    short = _durations([0.0, 1e-6, 2e-6, 3e-6], keys[:1], "forward", [COST.of(1)])
    assert short[keys[0]] == 0.0


def test_a_sample_is_the_mean_of_its_passes():
    ticks = iter(range(0, 10_000_000, 6_000))
    clock = HostClock(lambda: next(ticks))
    calls = []
    timed = Pass(lambda: calls.append(1), nn.Identity(), (), clock)
    timed.repeats = 3
    assert timed.uninstrumented() == pytest.approx(2e-6)  # Two marks, 6 µs apart.
    assert len(calls) == 3


def test_costs_of_a_clock_that_ticks_once_per_mark():
    """Every mark takes one tick of 1 µs, and nothing else takes any: one lies inside of an operator, one outside."""
    now = [0]

    def mark() -> int:
        now[0] += 1000
        return now[0]

    cost = measure_instrument_cost(mark, int)
    # The real time of calls without instruments, far below a microsecond, is subtracted.
    assert 0.5e-6 < cost.leaf.inner < 1e-6
    assert cost.function.inner < 1e-6


def test_a_torchscript_module_is_one_operator():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
            self.head = nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.inner(x))

    net, x = Net().eval(), torch.zeros(1, 4)
    spans, count = operator_spans(net, lambda: net(x))
    assert [(span.path, span.op) for span in spans] == [("inner", "torchscript"), ("head", "linear")]
    assert len(spans[0].rows) == 2
    assert count.totals.macs == 4 * 4 + 4 * 2
    whole = torch.jit.script(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    spans, _ = operator_spans(whole, lambda: whole(x))
    assert len(spans) == 1
    timed = Pass(lambda: net(x), net, operator_spans(net, lambda: net(x))[0], HostClock())
    assert set(timed.instrumented()) == {
        ("forward", "inner", "torchscript", 1), ("forward", "head", "linear", 1), ("forward", "", "overhead", 1),
    }  # fmt: skip
