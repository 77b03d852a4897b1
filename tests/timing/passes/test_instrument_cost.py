from __future__ import annotations

import time
from itertools import accumulate

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from analyzer.timing.clock.clocks import HostClock
from analyzer.timing.passes.cost_fit import MAX_COLDNESS, MIN_FACTOR, CostFit
from analyzer.timing.passes.instrument_cost import (
    MIN_COLD_RATIO,
    InstrumentCost,
    OperatorCost,
    measure_cold_cost,
    measure_instrument_cost,
)
from analyzer.timing.passes.operator_spans import operator_spans
from analyzer.timing.passes.timed_pass import Pass
from analyzer.timing.passes.timeline import Timeline, backward_timeline, forward_timeline

COST = InstrumentCost(OperatorCost(2e-6, 1e-6), OperatorCost(3e-6, 0.5e-6))


def test_the_cost_of_instruments_is_subtracted():
    keys = [("forward", "a", "conv2d", 1), ("forward", "", "add", 1)]
    # Marks at 10 to 30 and 40 to 60 microseconds of a pass of 70.
    reached = [0.0, 10e-6, 30e-6, 40e-6, 60e-6, 70e-6]
    times = forward_timeline([123, "add"], keys, {}, COST).durations(reached)
    assert times[keys[0]] == pytest.approx(18e-6)
    assert times[keys[1]] == pytest.approx(17e-6)
    # 30 µs outside of operators, less 1.0 and 0.5.
    assert times["forward", "", "overhead", 1] == pytest.approx(28.5e-6)
    free = forward_timeline([123, "add"], keys, {}, InstrumentCost())
    # Without costs all of it adds up to the pass.
    assert sum(free.durations(reached).values()) == pytest.approx(70e-6)
    # The mean of two passes, of which the second takes twice as long.
    twice = [*reached, *(70e-6 + 2 * mark for mark in reached[1:])]
    assert free.durations(twice, 2)[keys[0]] == pytest.approx(30e-6)
    # An operator shorter than the cost is 0, never negative.
    short = forward_timeline([1], keys[:1], {}, COST).durations([0.0, 1e-6, 2e-6, 3e-6])
    assert short[keys[0]] == 0.0


def test_costs_beyond_the_overhead_are_borne_by_operators():
    """An operator of 9 µs, and 1 µs of overhead that should cost 2 µs: 2 + 2 µs are taken off the pass of 10 µs."""
    key = ("forward", "a", "conv2d", 1)
    cost = InstrumentCost(leaf=OperatorCost(inner=2e-6, outer=2e-6))
    times = forward_timeline([1], [key], {}, cost).durations([0.0, 0.5e-6, 9.5e-6, 10e-6])
    assert times["forward", "", "overhead", 1] == 0.0
    assert times[key] == pytest.approx(6e-6)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0.001, 3)), min_size=1, max_size=8))
def test_the_sum_of_all_costs_is_subtracted_and_no_time_is_negative(parts):
    """Also where the keys that bear the difference of others become too short themselves."""
    seconds, costs = zip(*parts, strict=True)
    keys = tuple(("forward", str(number), "add", 1) for number in range(len(parts)))
    times = Timeline(keys, tuple(range(len(parts))), costs, ()).durations([0.0, *accumulate(seconds)])
    assert min(times.values()) >= 0
    assert sum(times.values()) == pytest.approx(max(sum(seconds) - sum(costs), 0.0), abs=1e-9)


def test_overhead_belongs_to_the_innermost_open_module():
    block, inner = 1000, 2000
    ran = [~block, 5, ~inner, "add", None, None]
    keys = [("forward", "block.conv", "conv2d", 1), ("forward", "block.inner", "add", 1)]
    paths = {block: "block", inner: "block.inner"}
    cost = InstrumentCost(module=OperatorCost(1e-6, 0.25e-6), call=0.5e-6)
    # A query of a tensor's size with five marks set: after `inner` was entered, in its own forward.
    timeline = forward_timeline(ran, keys, paths, cost, passed_on=[5])
    # Marks: start, into block, conv, into inner, add, out of inner, out of block, end.
    times = timeline.durations([0, 1e-6, 3e-6, 10e-6, 20e-6, 24e-6, 31e-6, 34e-6, 40e-6, 50e-6])
    assert times == pytest.approx(
        {
            keys[0]: 7e-6,  # 3 to 10.
            keys[1]: 7e-6,  # 24 to 31.
            ("forward", "", "overhead", 1): 11e-6 - 0.25e-6,  # 0 to 1 and 40 to 50.
            ("forward", "block", "overhead", 1): 18e-6 - 1.25e-6,  # 1 to 3, 10 to 20 and 34 to 40.
            ("forward", "block.inner", "overhead", 1): 7e-6 - 1.5e-6,  # 20 to 24 and 31 to 34.
        }
    )


def test_nodes_of_a_backward_pass_cost_their_hooks():
    key = ("backward", "a", "linear", 1)
    times = backward_timeline([key, key], InstrumentCost(node=1e-6)).durations([0, 2e-6, 6e-6, 13e-6])
    assert times == pytest.approx({key: 4e-6 + 7e-6 - 2e-6, ("backward", "", "overhead", 1): 2e-6})


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
    assert 0.5e-6 < cost.module.inner < 1e-6
    assert cost.node == 0
    assert measure_instrument_cost(mark, int, backward=mark).node > 0


def test_cold_costs_are_at_least_twice_the_warm_ones():
    warm = measure_instrument_cost(time.perf_counter_ns, int, backward=time.perf_counter_ns)
    cold = measure_cold_cost(warm, time.perf_counter_ns)
    for name in ("leaf", "function", "overload", "module"):
        before, after = getattr(warm, name), getattr(cold, name)
        assert after.total >= 0.999 * MIN_COLD_RATIO * before.total
        # Both parts of a cost by the same factor.
        assert after.inner * before.outer == pytest.approx(after.outer * before.inner)
    assert (cold.node, cold.mark) == (MIN_COLD_RATIO * warm.node, MIN_COLD_RATIO * warm.mark)
    assert cold.call * warm.function.total == pytest.approx(warm.call * cold.function.total)


def test_overloads_have_a_cost_of_their_own():
    """An exported program calls `aten.relu.default`, for which torch makes Python objects of the arguments."""
    cost = InstrumentCost(function=OperatorCost(1e-6, 2e-6), overload=OperatorCost(3e-6, 4e-6))
    assert cost.of("relu") == cost.function
    assert cost.of("relu.default") == cost.overload


@pytest.mark.parametrize(
    ("added_s", "factor", "coldness"),
    [
        (2e-6, 1.0, 0.0),  # What it costs with warm caches.
        (1.5e-6, 0.75, 0.0),
        (-1e-6, MIN_FACTOR, 0.0),
        (6e-6, 1.0, 0.5),  # Halfway from 2 to 10 µs.
        (10e-6, 1.0, 1.0),
        (50e-6, 1.0, MAX_COLDNESS),
    ],
)
def test_costs_are_fitted_between_warm_and_cold_caches(added_s, factor, coldness):
    fit = CostFit()
    assert fit.add_pair(100e-6 + added_s, 100e-6, 2e-6, 10e-6)
    assert (fit.factor, fit.coldness) == pytest.approx((factor, coldness))
    # Two parts of 1 µs each with warm caches; with cold ones they differ.
    parts = fit.costs([1e-6, 1e-6], [8e-6, 2e-6])
    assert parts == pytest.approx([factor * 1e-6 + coldness * 7e-6, factor * 1e-6 + coldness * 1e-6])
    if 0 < added_s < 50e-6:
        assert sum(parts) == pytest.approx(added_s)


def test_one_disturbed_pair_does_not_change_the_fit():
    """The middle half of eight pairs leaves out the one that took a millisecond."""
    fit = CostFit()
    for instrumented_s in (13e-6, 13e-6, 13e-6, 1e-3, 13e-6, 13e-6, 13e-6, 13e-6):
        fit.add_pair(instrumented_s, 10e-6, 2e-6, 4e-6)
    assert fit.coldness == pytest.approx(0.5)


def test_the_parts_add_up_to_the_pass_after_the_costs_are_fitted():
    """Reading the clock takes 1 µs, and nothing else takes any: a pass takes 1 µs, and 5 µs with four more readings."""
    now = [0]

    def nanoseconds() -> int:
        now[0] += 1000
        return now[0]

    net, x = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), torch.zeros(1, 4)
    timed = Pass(lambda: net(x), net, operator_spans(net, lambda: net(x))[0], HostClock(nanoseconds))
    timed.repeats = 1
    timed.cost = InstrumentCost(leaf=OperatorCost(0.5e-6, 0.75e-6))  # 2.5 µs of two operators; in truth 4 µs.
    timed.cold_cost = InstrumentCost(leaf=OperatorCost(1e-6, 1.5e-6))
    assert sum(timed.instrumented().values()) == pytest.approx(5e-6 - 2.5e-6)
    timed.fit_cost()
    assert timed.fit.coldness == pytest.approx(0.6)
    assert sum(timed.instrumented().values()) == pytest.approx(timed.uninstrumented()) == pytest.approx(1e-6)


def test_costs_far_below_the_pass_are_not_fitted():
    ticks = iter(range(0, 10**12, 10**6))  # Marks are a millisecond apart.
    net, x = nn.Sequential(nn.Linear(4, 4)), torch.zeros(1, 4)
    timed = Pass(lambda: net(x), net, operator_spans(net, lambda: net(x))[0], HostClock(lambda: next(ticks)))
    timed.cost = timed.cold_cost = InstrumentCost(leaf=OperatorCost(1e-6, 1e-6))
    timed.fit_cost()
    assert timed.fit.costs([1e-6], [2e-6]) == (1e-6,)


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
