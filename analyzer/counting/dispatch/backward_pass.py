"""Counts the backward pass: each of its operators is counted in the forward row whose gradient it computes.

A second forward pass builds torch's graph. Each of its nodes has a sequence number, and an operator of the backward
pass runs inside a node: the node's number identifies the forward operator, and with it the row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import nn

from analyzer.counting.dispatch import checkpoints
from analyzer.counting.dispatch.backward_macs import GradientTracker
from analyzer.counting.dispatch.reroute_under_autograd import ProductsAsWritten, plain_recurrent_layers
from analyzer.counting.dispatch.run_to_the_end import run_model
from analyzer.counting.dispatch.tensors import output_tensors, run_backward
from analyzer.records.rows import Count

# Rows of recurrent layers, whose fused kernels hide what depends on a gradient.
RECURRENT = frozenset({"lstm", "gru", "rnn", "rnn_tanh", "rnn_relu"})


def track_gradients(count: Count, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> GradientTracker:
    """Runs a pass under autograd, and a backward pass from every tensor in its output that has a gradient.

    `count` is the count of the forward pass.
    """
    tracker = GradientTracker(model)
    with ExitStack() as stack:
        stack.enter_context(torch.enable_grad())
        stack.enter_context(checkpoints.any_device())
        if any(row.op in RECURRENT for row in count.rows):
            stack.enter_context(plain_recurrent_layers())
        stack.enter_context(ProductsAsWritten(tracker))
        stack.enter_context(tracker)
        outputs = [tensor for tensor in output_tensors(run_model(model, args, kwargs)) if tensor.requires_grad]
        tracker.in_backward = True
        run_backward(outputs)
    return tracker


def count_backward(count: Count, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Count:
    """The count with its backward pass, for a model whose forward needs no gradients."""
    return track_gradients(count, model, args, kwargs).add_to(count)
