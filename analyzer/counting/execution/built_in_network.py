"""Builds a network spec in torch once, for all counters that run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch.backward_pass import count_backward
from analyzer.counting.dispatch.counter import count_operators
from analyzer.counting.dispatch.memory_by_liveness import track_memory
from analyzer.counting.execution.precision import cast
from analyzer.models.spec_to_module import construct
from analyzer.networks.spec import Network
from analyzer.networks.walk import Step
from analyzer.records.memory import Memory
from analyzer.records.rows import Count
from analyzer.records.training import TrainingSetup


class BuiltNetwork:
    """The module and an input, both of zeros: counts do not depend on values, and zeros run at full speed."""

    def __init__(self, network: Network, steps: Sequence[Step], *, train: bool) -> None:
        self.model = construct(network, tuple(steps), train=train)
        self.input_shape = steps[0].inputs[0]
        self.roles = {step.path: step.role for step in steps}
        self.train = train

    def on(self, device: str) -> tuple[nn.Module, Tensor]:
        """The module, moved to the device without its gradients, and an input there."""
        self.model.zero_grad()
        if any(parameter.device.type != device for parameter in self.model.parameters()):
            self.model._apply(lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype, device=device))  # type: ignore[no-untyped-call]
        return self.model, torch.zeros(self.input_shape, device=device)

    def count(self, device: Literal["meta", "cpu"] = "meta") -> Count:
        """The dispatch count. The backward pass runs on meta, which is faster than real tensors and counts the same."""
        model, source = self.on(device)
        count = count_operators(model, [source], roles=self.roles)
        if not self.train:
            return count
        model, source = self.on("meta")
        return count_backward(count, model, [source], {})

    def memory(self, setup: TrainingSetup | None = None) -> Memory:
        """The memory of a pass on meta: forward, and in training backward too. Casts the module to the setup's type."""
        model, source = self.on("meta")
        args = cast(model, [source], {}, setup.dtype)[0] if setup and setup.dtype else [source]
        return track_memory(model, args, train=self.train, setup=setup)
