"""Which operators of gradients torch runs in place without a dispatch mode, found by running torch's `op_db` twice.

The profiler sees a backward pass as it runs without a mode, and a mode sees the same pass as it runs under one.
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
import torch
from torch import Tensor
from torch.autograd.profiler import profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from analyzer.counting.dispatch.in_place_gradients import INTO_NEW, INTO_NEW_OF_NODE, OUT_OF_PLACE_NODES
from tests.counting.op_database import operators

SAMPLES = 3  # Of each operator.
NODE = "autograd::engine::evaluate_function: "


class _Seen(TorchDispatchMode):
    """Counts the operators of each node of a backward pass."""

    def __init__(self):
        super().__init__()
        self.names = defaultdict(Counter)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        node = torch._C._current_autograd_node()
        if node is not None and not torch.is_grad_enabled():
            self.names[node.name()][_name(func)] += 1
        return func(*args, **(kwargs or {}))


def _name(func):
    return func._schema.name.removeprefix("aten::")


def _without_mode(losses):
    """All passes under one profiler, since starting one takes longer than a pass."""
    names = defaultdict(Counter)
    with profile() as profiled:
        for loss in losses:
            loss.backward()
    for event in profiled.function_events:
        if event.name.startswith(NODE):
            operators = (child for called in event.cpu_children for child in called.cpu_children)
            names[event.name.removeprefix(NODE)].update(
                child.name.removeprefix("aten::") for child in operators if child.name.startswith("aten::")
            )
    return names


def _losses():
    """Functions that compute the sum of an operator's outputs anew."""
    for operator in operators():
        if not operator.supports_autograd or torch.float32 not in operator.supported_dtypes("cpu"):
            continue
        try:
            samples = [
                sample
                for _, sample in zip(
                    range(SAMPLES), operator.sample_inputs("cpu", torch.float32, requires_grad=True), strict=False
                )
            ]
        except Exception:
            continue
        for sample in samples:

            def loss(operator=operator, sample=sample):
                for leaf in tree_leaves((sample.input, sample.args, sample.kwargs)):
                    if isinstance(leaf, Tensor):
                        leaf.grad = None
                outputs = tree_leaves(operator(sample.input, *sample.args, **sample.kwargs))
                return sum(
                    output.sum()
                    for output in outputs
                    if isinstance(output, Tensor) and output.requires_grad and output.dtype == torch.float32
                )

            yield loss


def run_in_place() -> tuple[set[tuple[str, str]], set[tuple[str, str]], int]:
    """Nodes with operators that run in place only without a mode, nodes with the operators that run under one, and how
    many passes were compared."""
    losses, under = [], defaultdict(Counter)
    for compute in _losses():
        seen = _Seen()
        try:
            if not isinstance(loss := compute(), Tensor):
                continue
            with seen:
                loss.backward()
        except (RuntimeError, NotImplementedError, TypeError):  # Samples whose gradient torch cannot compute.
            continue
        for node, names in seen.names.items():
            under[node].update(names)
        losses.append(compute())
    without = _without_mode(losses)
    in_place = {
        (node, base)
        for node, names in without.items()
        for name, calls in names.items()
        if (base := name.removesuffix("_")) != name and calls > under[node][name] and under[node][base] > names[base]
    }
    return in_place, {(node, name) for node, names in under.items() for name in names}, len(losses)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.filterwarnings("ignore")
def test_the_table_lists_what_torch_runs_in_place():
    in_place, ran, passes = run_in_place()
    assert passes > 1000
    listed = {
        (node, func._schema.name.removeprefix("aten::")) for node, ops in INTO_NEW_OF_NODE.items() for func in ops
    }
    of_all = {func._schema.name.removeprefix("aten::") for func in INTO_NEW}
    assert {(node, name) for node, name in in_place if name not in of_all} == listed & ran  # Releases differ.
    assert not {node for node, name in in_place if name in of_all} & OUT_OF_PLACE_NODES
