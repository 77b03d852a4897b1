"""Optimizer states by hand; torch's are compared with torch.optim where passes run."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.training import OptimizerMemory, TrainingSetup, optimizer_memory


def test_adam_keeps_two_states_and_a_counter_for_each_tensor():
    """Tensors of 10 and 3 float32; a step has two temporary tensors of the larger."""
    assert optimizer_memory("adam", [(10, 4), (3, 4)]) == OptimizerMemory(2 * 13 * 4 + 2 * 4, 2 * 10 * 4)


def test_adam_of_8_bits_scales_blocks_of_256():
    """5,000 elements: two states of a byte, 20 blocks with a scale each; two tables of 256. Below 4,096: float32."""
    state = 2 * (5_000 + 20 * 4) + 2 * 256 * 4 + 2 * 4_095 * 4
    assert optimizer_memory("adam8bit", [(5_000, 4), (4_095, 4)]) == OptimizerMemory(state, 0)


def test_nothing_trained():
    assert {name: optimizer_memory(name, []).state for name in ("sgd", "momentum", "adam", "adam8bit")} == {
        "sgd": 0,
        "momentum": 0,
        "adam": 0,
        "adam8bit": 0,
    }


@pytest.mark.parametrize(
    ("setup", "message"),
    [
        (TrainingSetup(optimizer="adagrad"), "unknown optimizer 'adagrad'; wanted one of: sgd"),
        (TrainingSetup(precision="int8"), "unknown precision"),
        (TrainingSetup(stage=4), "unknown stage"),
        (TrainingSetup(devices=0), "devices"),
        (TrainingSetup(accumulate=0), "accumulate"),
    ],
)
def test_what_is_unknown_is_refused(setup, message):
    with pytest.raises(AnalyzerError, match=message):
        setup.check()
