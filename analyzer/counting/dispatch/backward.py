"""The backward pass: every operator that runs in it, counted to the forward row whose gradient it computes.

A second forward pass builds torch's graph. Each of its nodes has a sequence number, and an operator of the backward
pass runs inside a node: the node's number identifies the forward operator, and with it the row.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.outputs import run_model
from analyzer.counting.dispatch.tensors import output_gradient, output_tensors, replace_by_shapes, shapes_of, tensors_of
from analyzer.counting.operators.call import Call
from analyzer.counting.operators.contractions import ContractionsAsProducts
from analyzer.counting.operators.registry import Kind, Operator, functional_name
from analyzer.records.record import Count, Row

# Operators with a gradient that is an outer product or a scaled vector, by the arguments that have it. torch multiplies
# these elementwise, so the backward pass shows no product, but the MACs are the same.
OUTER_PRODUCT_GRADIENTS = {"aten::mv": (0,), "aten::addmv": (1,), "aten::dot": (0, 1), "aten::vdot": (0, 1)}

_next_node_number = torch._C._autograd._get_sequence_nr


def count_backward(count: Count, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Count:
    """The count with `backward_macs` in every row: 0 where no parameter learns or the outputs do not depend on it."""
    tracker = GradientTracker(model)
    # Attention runs as its two products, the same operators on every device.
    attention = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with torch.enable_grad(), ContractionsAsProducts(), tracker, attention:
        outputs = [tensor for tensor in output_tensors(run_model(model, args, kwargs)) if tensor.requires_grad]
        tracker.in_backward = True
        torch.autograd.backward(outputs, [output_gradient(tensor) for tensor in outputs])
    unknown_in = {name: Counter(calls) for name, calls in count.unknown_in.items()}
    for name, calls in tracker.unknown.items():
        unknown_in.setdefault(name, Counter()).update(calls)
    return count.replace(
        rows=tuple(_with_gradients(count.rows, tracker)),
        unknown_ops={name: calls.total() for name, calls in unknown_in.items()},
        unknown_in={name: dict(calls) for name, calls in unknown_in.items()},
    )


@dataclass
class _Product:
    """A forward operator with MACs, and its node's number; another number for each time a checkpoint reruns it."""

    macs: int
    numbers: list[int]


class GradientTracker(OperatorTracker):
    """Forward: every operator with MACs, by path. Backward: the MACs of each node, by number."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.products: dict[str, list[_Product]] = {}
        self.node_macs: Counter[int] = Counter()
        self.unknown: dict[str, Counter[str]] = {}
        self.in_backward = False
        # (first node number, path): from this number on, nodes were made in this module.
        self.path_changes: list[tuple[int, str]] = [(0, "")]

    def entered(self, module: nn.Module) -> None:
        self.path_changes.append((_next_node_number(), self.path))

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        self.path_changes.append((_next_node_number(), self.path))

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().run_operator(func, known, args, kwargs)
        if known.formula is not None:
            shapes = shapes_of(tensors_of(result))
            work = known.formula(Call(replace_by_shapes(args), replace_by_shapes(kwargs), shapes))
            if work.macs:
                places = OUTER_PRODUCT_GRADIENTS.get(functional_name(known.name), ())
                outer = sum(args[index].requires_grad for index in places)
                self._add_product(work.macs, outer * work.macs)
        elif known.kind is Kind.UNKNOWN and self.in_backward:
            self.unknown.setdefault(known.name, Counter())[self._forward_path()] += 1
        return result

    def _forward_path(self) -> str:
        """The module whose forward made the node that runs now."""
        index = bisect_right(self.path_changes, _current_node_number(), key=lambda change: change[0]) - 1
        return self.path_changes[max(index, 0)][1]

    def _add_product(self, macs: int, outer_macs: int) -> None:
        """An operator with MACs ran; `outer_macs` are those of its gradients that torch multiplies elementwise."""
        # torch makes the node before it runs the operator, so the node has the last number given out.
        number = _next_node_number() - 1
        products = self.products.setdefault(self.path, [])
        if not self.in_backward:
            products.append(_Product(macs, [number]))
            self.node_macs[number] += outer_macs
        elif torch.is_grad_enabled():
            # A checkpoint reruns its forward in the backward pass. That is no gradient, but its new nodes are needed.
            same_macs = [product for product in products if product.macs == macs]
            if same_macs:
                min(same_macs, key=lambda product: len(product.numbers)).numbers.append(number)
        else:
            self.node_macs[_current_node_number()] += macs


def _current_node_number() -> int:
    node = torch._C._current_autograd_node()
    return int(node._sequence_nr()) if node is not None else -1


def _with_gradients(rows: Sequence[Row], tracker: GradientTracker) -> list[Row]:
    """Assigns to each row the forward operators of its path in order, and with them their gradients.

    A row's forward operators add up to its MACs, which is how the two passes are matched.
    """
    numbers = sorted({n for products in tracker.products.values() for product in products for n in product.numbers})
    macs_of: Counter[int] = Counter()
    for number, macs in tracker.node_macs.items():
        # A node whose forward has no MACs, such as a custom function's, counts to the operator before it.
        macs_of[numbers[max(bisect_right(numbers, number) - 1, 0)] if numbers else number] += macs
    queues = {path: deque(products) for path, products in tracker.products.items()}
    result = []
    for row in rows:
        queue, remaining, backward = queues.get(row.path, deque()), row.macs, 0
        while remaining > 0 and queue:
            product = queue.popleft()
            remaining -= product.macs
            backward += sum(macs_of.pop(number, 0) for number in product.numbers)
        result.append(row.replace(backward_macs=backward))
    if result:
        result[-1] = result[-1].replace(backward_macs=(result[-1].backward_macs or 0) + macs_of.total())
    return result
