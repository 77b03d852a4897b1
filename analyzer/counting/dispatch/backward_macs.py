"""Follows a pass under autograd: its products by module, and the MACs of each node of its backward pass."""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from types import FrameType
from typing import Any

import torch
import torch.utils.checkpoint
from torch import nn

from analyzer.counting.dispatch.match_gradients_to_rows import Product, with_gradients
from analyzer.counting.dispatch.module_names import is_leaf, op_name
from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.tensors import current_node_number, replace_by_shapes, shapes_of, tensors_of
from analyzer.counting.operators.call import Call
from analyzer.counting.operators.classify import WITHOUT_MACS, Operator, any_registered, functional_name
from analyzer.counting.operators.matrix_products import added_outer
from analyzer.records.rows import Count, prefixes

# Operators with a gradient that is an outer product or a scaled vector, by the arguments that have it. torch multiplies
# these elementwise, so the backward pass shows no product, but the MACs are the same.
OUTER_PRODUCT_GRADIENTS = {"aten::mv": (0,), "aten::addmv": (1,), "aten::dot": (0, 1), "aten::vdot": (0, 1)}
ATTENTION = "aten::_scaled_dot_product_"

_next_node_number = torch._C._autograd._get_sequence_nr


class GradientTracker(OperatorTracker):
    """Records every operator with MACs of the forward pass by path, and the MACs of each backward node by number."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.products: dict[str, list[Product]] = {}
        self.node_macs: Counter[int] = Counter()
        self.outer_macs: dict[int, int] = {}  # MACs of gradients that torch computes elementwise, by node.
        self.ignored: set[int] = set()  # Nodes of parts of another product, and of outer products.
        self.parts: list[int] | None = None  # The nodes of the complex convolution that runs.
        self.unknown: dict[str, Counter[str]] = {}
        self.in_backward = False
        self.reached: set[int] = set()  # Ids of inputs of concatenations that have a gradient.
        self.recomputed_macs = 0  # Of all products that ran again.
        self.calls_of_leaves: Counter[str] = Counter()
        # (first node number, path): from this number on, nodes were made in this module.
        self.path_changes: list[tuple[int, str]] = [(0, "")]

    def entered(self, module: nn.Module) -> None:
        if not self.in_backward and is_leaf(module):
            self.calls_of_leaves[self.path] += 1
        self.path_changes.append((_next_node_number(), self.path))

    def left(self, module: nn.Module, path: str, args: Any, kwargs: Mapping[str, Any], output: Any) -> None:
        self.path_changes.append((_next_node_number(), self.path))

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        result = super().run_operator(func, known, args, kwargs)
        if self.outer_macs and self.in_backward:
            number = current_node_number()
            self.node_macs[number] += self.outer_macs.pop(number, 0)
        if known.formula is not None and known.formula not in WITHOUT_MACS:
            shapes = shapes_of(tensors_of(result))
            call = Call(replace_by_shapes(args), replace_by_shapes(kwargs), shapes)
            work = known.formula(call)
            if work.macs:
                fused = self.in_backward and known.name.startswith(ATTENTION) and known.name.endswith("_backward")
                places = OUTER_PRODUCT_GRADIENTS.get(functional_name(known.name), ())
                outer_gradients = sum(args[index].requires_grad for index in places)
                self._add_product(_attention_gradients(call) if fused else work.macs, outer_gradients)
            elif known.formula is added_outer and not self.in_backward:
                self.ignored.add(_next_node_number() - 1)  # Its gradients would be products; those of `outer` are not.
        elif known.kind == "unknown" and self.in_backward and not self._recomputes():
            self.unknown.setdefault(known.name, Counter())[self._forward_path()] += 1
        return result

    @contextmanager
    def complex_convolution(self) -> Iterator[None]:
        """Within the block torch computes one complex convolution as three real ones; only the first is counted."""
        self.parts = []
        try:
            yield
        finally:
            self.ignored.update(self.parts[1:])
            self.parts = None

    def fits(self, count: Count) -> bool:
        """Whether the pass ran the same torch.nn modules and products as the counted pass.

        A model may run other operators if a tensor requires a gradient.
        """
        # Hooks of a leaf may run other operators, which have rows of their own.
        leaves = {path: op_name(module) for path, module in self.modules if is_leaf(module)}
        calls = Counter(row.path for row in count.rows if leaves.get(row.path) == row.op)
        if any(calls[path] != self.calls_of_leaves[path] for path in leaves):
            return False
        if any_registered():
            return True  # Under autograd a composite operator is decomposed even if it has a formula.
        macs: Counter[str] = Counter()
        for row in count.rows:
            macs[row.path] += row.macs
        return macs == Counter(
            {path: sum(product.macs for product in products) for path, products in self.products.items()}
        )

    def add_to(self, count: Count) -> Count:
        """Adds `backward_macs` to every row: 0 if no parameter requires a gradient or no output depends on it.

        Adds `recomputed_macs` if checkpoints ran any product again.
        """
        unknown_in = {name: Counter(calls) for name, calls in count.unknown_in.items()}
        for name, calls in self.unknown.items():
            unknown_in.setdefault(name, Counter()).update(calls)
        return count.replace(
            rows=tuple(with_gradients(count.rows, self.products, self.node_macs, self.recomputed_macs)),
            unknown_ops={name: calls.total() for name, calls in unknown_in.items()},
            unknown_in={name: dict(calls) for name, calls in unknown_in.items()},
        )

    def _recomputes(self) -> bool:
        """Whether a forward runs in the backward pass: with gradients, in a module or in a checkpoint."""
        return torch.is_grad_enabled() or len(self.calls.paths) > 1 or _runs_checkpoint()

    def _forward_path(self) -> str:
        """The module whose forward pass created the autograd node that runs now."""
        index = bisect_right(self.path_changes, current_node_number(), key=lambda change: change[0]) - 1
        return self.path_changes[max(index, 0)][1]

    def _add_product(self, macs: int, outer_gradients: int) -> None:
        """An operator with MACs ran; torch computes `outer_gradients` of its gradients elementwise."""
        if self.in_backward and not self._recomputes():
            number = current_node_number()
            if number not in self.ignored:
                self.node_macs[number] += macs
            return
        # torch makes the node before it runs the operator, so the node has the last number given out.
        number = _next_node_number() - 1
        if self.parts is not None:
            self.parts.append(number)
            if len(self.parts) > 1:
                return
        if outer_gradients and torch.is_grad_enabled():
            self.outer_macs[number] = outer_gradients * macs
        if not self.in_backward:
            self.products.setdefault(self.path, []).append(Product(macs, [number]))
            return
        # A checkpoint reruns its forward in the backward pass. That is not a gradient, but its new nodes are needed.
        self.recomputed_macs += macs
        for path in reversed(["", *prefixes(self.path or self._forward_path())]):
            same_macs = [product for product in self.products.get(path, ()) if product.macs == macs]
            if same_macs:
                min(same_macs, key=lambda product: len(product.numbers)).numbers.append(number)
                return


def _runs_checkpoint() -> bool:
    """Whether a checkpoint runs its function again, which may disable gradients, as a checkpoint inside it does.

    With reentry the gradients of the function have nodes of their own.
    """
    node = torch._C._current_autograd_node()
    if node is not None and node.name() == "CheckpointFunctionBackward":
        return True
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "recompute_fn" and code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back
    return False


def _attention_gradients(call: Call) -> int:
    """MACs of the products among dP = dO · Vᵀ, dV, dQ and dK that are needed: a fused kernel computes all of them."""
    node: Any = torch._C._current_autograd_node()
    to_query, to_key, to_value = (edge[0] is not None for edge in node.next_functions[:3])
    query, key, value = call.args[1:4]
    scores = prod(query[:-1]) * key[-2]
    return int(scores * ((to_query or to_key) * value[-1] + to_value * value[-1] + (to_query + to_key) * query[-1]))
