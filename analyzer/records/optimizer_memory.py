"""Memory of optimizers: the state that each keeps between steps, and temporary tensors of a step.

To add an optimizer, write a function from `Trained` tensors to `OptimizerMemory`, and name it in `OPTIMIZERS`.

Sources: torch.optim; bitsandbytes' `Adam8bit` (Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from analyzer.core.frozen import Frozen

FLOAT32_BYTES = 4
# `Adam8bit` keeps a float32 scale per block of each state, and one table of 256 float32 values for each state.
BLOCK, TABLES_BYTES = 256, 2 * 256 * FLOAT32_BYTES
MIN_8BIT_ELEMENTS = 4096  # `Adam8bit` keeps float32 states of smaller tensors.


class Trained(NamedTuple):
    """A trained tensor; with master weights, the master weight."""

    elements: int
    element_bytes: int

    @property
    def nbytes(self) -> int:
        return self.elements * self.element_bytes


class OptimizerMemory(Frozen):
    """Bytes that an optimizer keeps between steps, and those of temporary tensors during a step."""

    state: int
    temporary: int


def sgd(tensors: Sequence[Trained]) -> OptimizerMemory:
    return OptimizerMemory(0, 0)


def momentum(tensors: Sequence[Trained]) -> OptimizerMemory:
    """`torch.optim.SGD` with momentum: one buffer per tensor."""
    return OptimizerMemory(sum(tensor.nbytes for tensor in tensors), 0)


def adam(tensors: Sequence[Trained]) -> OptimizerMemory:
    """`torch.optim.Adam` and `AdamW`: two moments per tensor, and a float32 that counts its steps.

    They update one tensor after the other, with two temporary tensors of its size.
    """
    size = sum(tensor.nbytes for tensor in tensors)
    largest = max((tensor.nbytes for tensor in tensors), default=0)
    return OptimizerMemory(2 * size + FLOAT32_BYTES * len(tensors), 2 * largest)


def adam8bit(tensors: Sequence[Trained]) -> OptimizerMemory:
    large = [tensor.elements for tensor in tensors if tensor.elements >= MIN_8BIT_ELEMENTS]
    small = sum(tensor.elements for tensor in tensors) - sum(large)
    scales = sum(-(-elements // BLOCK) for elements in large) * FLOAT32_BYTES
    return OptimizerMemory(2 * (small * FLOAT32_BYTES + sum(large) + scales) + (TABLES_BYTES if large else 0), 0)


OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adam, "adam8bit": adam8bit}
