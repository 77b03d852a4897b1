"""Builds a walked network in torch and lets the two running counters count it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from analyzer.builder import construct
from analyzer.counting import dispatch
from analyzer.counting.agreement import agree
from analyzer.networks.spec import Network
from analyzer.networks.walk import Step
from analyzer.record import Agreement, Count, Memory


def dispatched(network: Network, steps: Sequence[Step], *, train: bool, device: str = "meta") -> Count:
    """What runs when the network is built and called, by operator. On meta nothing is allocated or computed."""
    model, source = _ready(network, steps, train=train, device=device)
    counted = dispatch.count(model, [source], roles={step.path: step.role for step in steps})
    return _with_backward(counted, network, steps) if train else counted


def verify(network: Network, steps: Sequence[Step], closed: Count, *, train: bool) -> Agreement:
    """The agreement of the closed form with dispatch and fvcore, both of them run on the same real tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore's last release scripts a function on import, which torch deprecates.
        from analyzer.counting.fvcore_trace import trace

    model, source = _ready(network, steps, train=train, device="cpu")
    ran = dispatch.count(model, [source], roles={step.path: step.role for step in steps})
    if train:
        ran = _with_backward(ran, network, steps)
    return agree(closed, ran, trace(model, [source]))


def memory_in_training(network: Network, steps: Sequence[Step]) -> Memory:
    """The memory of a forward and a backward pass, on meta."""
    from analyzer.counting import memory

    model, source = _ready(network, steps, train=True, device="meta")
    return memory.measure(model, [source], train=True)


def _with_backward(counted: Count, network: Network, steps: Sequence[Step]) -> Count:
    """The backward pass runs on meta: on real tensors it takes twice a forward, and counts the same."""
    from analyzer.counting import backward

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
