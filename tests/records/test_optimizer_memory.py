"""Optimizer states by hand; torch's are compared with torch.optim where passes run."""

from __future__ import annotations

from analyzer.records.optimizer_memory import OPTIMIZERS, OptimizerMemory, Trained


def test_adam_keeps_two_states_and_a_counter_for_each_tensor():
    """Tensors of 10 and 3 float32; a step has two temporary tensors of the larger."""
    assert OPTIMIZERS["adam"]([Trained(10, 4), Trained(3, 4)]) == OptimizerMemory(2 * 13 * 4 + 2 * 4, 2 * 10 * 4)


def test_adam_of_8_bits_scales_blocks_of_256():
    """5,000 elements: two states of a byte, 20 blocks with a scale each; two tables of 256. Below 4,096: float32."""
    state = 2 * (5_000 + 20 * 4) + 2 * 256 * 4 + 2 * 4_095 * 4
    assert OPTIMIZERS["adam8bit"]([Trained(5_000, 4), Trained(4_095, 4)]) == OptimizerMemory(state, 0)


def test_no_optimizer_has_state_where_nothing_is_trained():
    assert {memory([]).state for memory in OPTIMIZERS.values()} == {0}
