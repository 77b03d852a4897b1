"""Builds a walked network in torch and lets the two running counters count it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from analyzer.builder import construct
from analyzer.counting import dispatch
from analyzer.counting.agreement import agree
from analyzer.networks.spec import Network
from analyzer.networks.walk import Step
from analyzer.record import Agreement, Count


def dispatched(network: Network, steps: Sequence[Step], *, train: bool, device: str = "meta") -> Count:
    """What runs when the network is built and called, by operator. On meta nothing is allocated or computed."""
    model = construct(network, tuple(steps), train=train)
    if device != "meta":
        _fill(model)
    source = torch.zeros(steps[0].inputs[0], device=device)
    return dispatch.count(model, [source], roles={step.path: step.role for step in steps})


def agreement(network: Network, steps: Sequence[Step], closed: Count, ran: Count, *, train: bool) -> Agreement:
    """The agreement of closed form, dispatch and fvcore, whose trace needs real tensors."""
    from analyzer.counting.fvcore_trace import trace

    model = construct(network, tuple(steps), train=train)
    _fill(model)
    return agree(closed, ran, trace(model, [torch.zeros(steps[0].inputs[0])]))


def _fill(model: nn.Module) -> None:
    """Real zeros for every parameter and buffer: counts do not depend on values, and zeros run at full speed."""
    model._apply(lambda tensor: torch.zeros(tensor.shape, dtype=tensor.dtype))
