"""Split."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from analyzer.counting.crosscheck.agreement import agree
from analyzer.counting.dispatch import counter as dispatch
from analyzer.counting.execution.built import _ready, _with_backward
from analyzer.networks.spec import Network
from analyzer.networks.walk import Step
from analyzer.records.agreement import Agreement
from analyzer.records.record import Count


def verify(network: Network, steps: Sequence[Step], closed: Count, *, train: bool) -> Agreement:
    """The agreement of the closed form with dispatch and fvcore, both of them run on the same real tensors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fvcore's last release scripts a function on import, which torch deprecates.
        from analyzer.counting.crosscheck.fvcore import trace

    model, source = _ready(network, steps, train=train, device="cpu")
    ran = dispatch.count(model, [source], roles={step.path: step.role for step in steps})
    if train:
        ran = _with_backward(ran, network, steps)
    return agree(closed, ran, trace(model, [source]))
