"""Builds a walked network in torch and lets the two running counters count it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch import counter as dispatch
from analyzer.models.builder import construct
from analyzer.networks.spec import Network
from analyzer.networks.walk import Step
from analyzer.records.record import Count, Memory


def dispatched(network: Network, steps: Sequence[Step], *, train: bool, device: str = "meta") -> Count:
    """What runs when the network is built and called, by operator. On meta nothing is allocated or computed."""
    model, source = _ready(network, steps, train=train, device=device)
    counted = dispatch.count(model, [source], roles={step.path: step.role for step in steps})
    return _with_backward(counted, network, steps) if train else counted


def memory_in_training(network: Network, steps: Sequence[Step]) -> Memory:
    """The memory of a forward and a backward pass, on meta."""
    from analyzer.counting.dispatch import memory

    model, source = _ready(network, steps, train=True, device="meta")
    return memory.measure(model, [source], train=True)


def _with_backward(counted: Count, network: Network, steps: Sequence[Step]) -> Count:
    """The backward pass runs on meta: on real tensors it takes twice a forward, and counts the same."""
    from analyzer.counting.dispatch import backward

    model, source = _ready(network, steps, train=True, device="meta")
    return backward.added(counted, model, [source], {})


def _ready(network: Network, steps: Sequence[Step], *, train: bool, device: str) -> tuple[nn.Module, Tensor]:
    """The network and an input, both of zeros: counts do not depend on values, and zeros run at full speed."""
    model = construct(network, tuple(steps), train=train)
    if device != "meta":
        model._apply(  # type: ignore[no-untyped-call]
            lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype, device=device)
        )
    return model, torch.zeros(steps[0].inputs[0], device=device)
