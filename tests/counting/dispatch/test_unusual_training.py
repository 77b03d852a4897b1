"""One pass of models that compute gradients in unusual ways: MACs and saved bytes by hand, the peak by the profiler."""

from __future__ import annotations

import pytest

from analyzer.counting.api import count_module
from analyzer.counting.execution.count_any_model import count_model
from tests.counting.dispatch.test_memory_profiler import returned_peak, training_step
from tests.counting.dispatch.unusual_training import CASES, LINEAR, TENSOR

pytestmark = pytest.mark.filterwarnings("ignore:None of the inputs:UserWarning")


@pytest.mark.parametrize("on", ["auto", "real"])
@pytest.mark.parametrize("name", CASES)
def test_macs_are_those_by_hand(name: str, on: str) -> None:
    case = CASES[name]
    totals = count_model(case.make(), case.args, train=True, on=on).count.totals
    counted = (totals.macs, totals.backward_macs, totals.recomputed_macs or 0)
    assert counted == (LINEAR * case.macs, LINEAR * case.backward_macs, LINEAR * case.recomputed_macs)


@pytest.mark.parametrize("name", CASES)
def test_memory_is_that_by_hand_and_by_the_profiler(name: str) -> None:
    case = CASES[name]
    model = case.make().train()
    memory = count_module(model, case.args, {}, train=True, memory=True).memory
    assert memory is not None
    assert memory.activations == returned_peak(training_step(model, case.args))
    if case.saved is not None:
        assert memory.saved == TENSOR * case.saved
