"""The modules whose own time changed: times from hooks, a test over pairs, and the table."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from analyzer.regression.paired.changed_modules import PAIRS, ROUNDS, ModuleTime, changed_modules, measure_modules
from analyzer.regression.paired.child.timed_call import time_modules
from analyzer.regression.paired.pair_server_client import WorkerLost
from analyzer.regression.paired.time_result import TimeResult
from reports.regression import markdown
from tests.regression.paired.test_one_pair import FakeSide, decide, sample_around
from tests.timing.simulated import ManualClock


class Slow(nn.Module):
    def __init__(self, clock: ManualClock, seconds: float, *inner: nn.Module) -> None:
        super().__init__()
        self.clock, self.seconds, self.inner = clock, seconds, nn.ModuleList(inner)

    def forward(self, x):
        self.clock.advance(self.seconds)
        for module in self.inner:
            x = module(x)
        return x


def test_a_modules_own_time_excludes_its_submodules():
    clock = ManualClock()
    shared = Slow(clock, 0.001)
    model = Slow(clock, 0.004, Slow(clock, 0.002, shared), shared)
    times_ns = time_modules(model, lambda: model(torch.zeros(1)), 3, clock.nanoseconds)
    # The shared module runs twice in a pass.
    assert times_ns == pytest.approx({"": 4_000_000, "inner.0": 2_000_000, "inner.0.inner.0": 2_000_000}, abs=2)
    assert not model._forward_hooks


def pairs_of(base: dict[str, float], head: dict[str, float], noise: float = 0.01) -> list:
    rng = random.Random(1)
    return [
        tuple({path: time_s * rng.gauss(1, noise) for path, time_s in side.items()} for side in (base, head))
        for _ in range(PAIRS)
    ]


def test_changed_added_and_removed_modules_are_named_the_largest_first():
    base = {"same": 1e-3, "slower": 1e-3, "faster": 1e-3, "removed": 4e-3, **{f"m{i}": 1e-3 for i in range(50)}}
    head = {**base, "slower": 1.2e-3, "faster": 0.9e-3, "added": 9e-3}
    del head["removed"]
    changed = changed_modules(pairs_of(base, head))
    assert [module.path for module in changed] == ["added", "removed", "slower", "faster"]
    slower = changed[2]
    assert slower.low < 0.2e-3 < slower.high
    assert [(module.base_s is None, module.head_s is None) for module in changed[:2]] == [(True, False), (False, True)]


def test_equal_modules_are_seldom_named():
    """Holm's procedure: with 1 % for all modules together, 8 or more of 200 checks have a probability of 0.1 %."""
    rng = random.Random(2)
    names = [f"m{number}" for number in range(30)]
    alarms = 0
    for _ in range(200):
        sides = [({n: rng.gauss(1, 0.02) for n in names}, {n: rng.gauss(1, 0.02) for n in names}) for _ in range(PAIRS)]
        alarms += bool(changed_modules(sides))
    assert alarms < 8


class ModuleSide(FakeSide):
    def request(self, command, limit_s):
        if command["do"] != "modules":
            return super().request(command, limit_s)
        self.order.append(self.side.name)
        return {"event": "modules", "times_ns": {"conv": self.device_ns, "": 1000}}


def test_pairs_alternate_between_base_and_head():
    order: list[str] = []
    sides = ModuleSide("base", 5_000_000, order), ModuleSide("head", 6_000_000, order)
    pairs = measure_modules(sides, "net", random.Random(1), imports={})
    assert [order.count(side) for side in ("base", "head")] == [PAIRS * ROUNDS] * 2
    assert all({order[i], order[i + 1]} == {"base", "head"} for i in range(0, len(order), 2))
    (module,) = changed_modules(pairs)
    assert (module.path, module.base_s, module.head_s) == ("conv", 0.005, 0.006)


def test_a_lost_worker_is_no_result():
    class Ending(FakeSide):
        def request(self, command, limit_s):
            return {"event": "ended"} if command["do"] == "modules" else super().request(command, limit_s)

    with pytest.raises(WorkerLost):
        measure_modules((Ending("base", 1000, []), Ending("head", 1000, [])), "net", random.Random(1), imports={})


def test_the_table_has_differences_and_bounds():
    modules = ModuleTime("conv", 1e-3, 1.5e-3, 0.4e-3, 0.6e-3), ModuleTime("", 2e-3, None)
    check = decide(sample_around(0.05), sample_around(0.05), suspected=True)
    text = markdown.dump(TimeResult((check.replace(modules=modules),)))
    assert "| conv | 1.000 ms | 1.500 ms | +500.0 µs | +400.0 µs to +600.0 µs |" in text.replace("\\", "")
    assert "(top level)" in text
