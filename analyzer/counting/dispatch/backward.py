"""The backward pass: what really runs in it, put under the forward rows that it belongs to.

A second forward pass builds torch's graph; each of its nodes carries a sequence number. An operator of the backward
pass runs inside a node, and its number says which forward operator, and so which row, it is the gradient of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch.module_names import paths_of
from analyzer.counting.dispatch.tensors import made_of_others, shaped, shapes_of, tensors_of
from analyzer.counting.operators.call import Call
from analyzer.counting.operators.higher_order import CHOICES
from analyzer.counting.operators.registry import Kind, lookup
from analyzer.counting.shape_rules.infer import infer
from analyzer.records.record import Count, Row

# Gradients that are an outer or a scaled vector: torch multiplies them out elementwise, and they are products all the
# same. By operator, the arguments whose gradients are of that kind.
OUTER = {"aten::mv": (0,), "aten::addmv": (1,), "aten::dot": (0, 1), "aten::vdot": (0, 1)}


def added(count: Count, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Count:
    """The count with `backward_macs` in every row: 0 where nothing is learned or nothing depends on it."""
    tape = _Tape(model)
    before = register_module_forward_pre_hook(tape.enter)
    after = register_module_forward_hook(tape.leave, always_call=True)
    try:
        with torch.enable_grad(), _Watch(tape), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            outputs = [tensor for tensor in outputs_of(model(*args, **kwargs)) if tensor.requires_grad]
            tape.backwards = True
            torch.autograd.backward(outputs, [torch.ones_like(tensor) for tensor in outputs])
    finally:
        before.remove()
        after.remove()
    unknown_in = {name: Counter(calls) for name, calls in count.unknown_in.items()}
    for name, calls in tape.unknown.items():
        unknown_in.setdefault(name, Counter()).update(calls)
    return count.replace(
        rows=tuple(_shared(count.rows, tape)),
        unknown_ops={name: calls.total() for name, calls in unknown_in.items()},
        unknown_in={name: dict(calls) for name, calls in unknown_in.items()},
    )


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    supports_higher_order_operators = True

    def __init__(self, tape: _Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # See dispatch.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types and made_of_others(types):
            return NotImplemented  # See dispatch.
        name, kind, formula, _ = lookup(func)
        if name in CHOICES:
            with self:
                return CHOICES[name](*args, **kwargs)
        result = infer(name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        if kind is Kind.FORMULA and formula is not None:
            work = formula(Call(shaped(args), shaped(kwargs), shapes_of(tensors_of(result))))
            if work.macs:
                pointwise = sum(args[index].requires_grad for index in OUTER.get(name, ()))
                self.tape.ran(work.macs, pointwise * work.macs)
        elif kind is Kind.UNKNOWN and self.tape.backwards and not name.startswith("aten::"):
            self.tape.unknown.setdefault(name, Counter())[self.tape.owner()] += 1
        return result


@dataclass
class _Product:
    """An operator of multiply-adds in the forward pass, and its node's number; one more for each time it runs again."""

    macs: int
    numbers: list[int]


class _Tape:
    """Forward: every operator of multiply-adds, by path. Backward: what each node's number cost."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = paths_of(model)
        self.stack = [""]
        self.forwards: dict[str, list[_Product]] = {}
        self.costs: Counter[int] = Counter()
        self.unknown: dict[str, Counter[str]] = {}
        self.backwards = False
        # From which node's number on the pass was in which module.
        self.turns: list[tuple[int, str]] = [(0, "")]

    def enter(self, module: nn.Module, args: Any) -> None:
        self.stack.append(self.paths.get(id(module), self.stack[-1]))
        self.turns.append((torch._C._autograd._get_sequence_nr(), self.stack[-1]))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.stack.pop()
        self.turns.append((torch._C._autograd._get_sequence_nr(), self.stack[-1]))

    def owner(self) -> str:
        """The module whose forward made the node that runs now."""
        node = torch._C._current_autograd_node()
        number = node._sequence_nr() if node is not None else -1
        return self.turns[max(bisect_right(self.turns, number, key=lambda turn: turn[0]) - 1, 0)][1]

    def ran(self, macs: int, pointwise: int) -> None:
        """`pointwise` are multiply-adds of this operator's gradients that will not be seen as such."""
        # The node is made before its operator runs, so it has the last number given out.
        number = torch._C._autograd._get_sequence_nr() - 1
        products = self.forwards.setdefault(self.stack[-1], [])
        if not self.backwards:
            products.append(_Product(macs, [number]))
            self.costs[number] += pointwise
        elif torch.is_grad_enabled():
            # A checkpointed part runs again. That is no gradient, but its nodes are new, and theirs are.
            again = [product for product in products if product.macs == macs]
            if again:
                min(again, key=lambda product: len(product.numbers)).numbers.append(number)
        else:
            node = torch._C._current_autograd_node()
            self.costs[node._sequence_nr() if node is not None else -1] += macs


def _shared(rows: Sequence[Row], tape: _Tape) -> list[Row]:
    """Each row takes its forward operators off the tape, in order within its path, and with them their gradients.

    A row's forward operators add up to its own MACs: that is how the two passes are matched, and checked.
    """
    products = [product for queue in tape.forwards.values() for product in queue]
    numbers = sorted({number for product in products for number in product.numbers})
    costs: Counter[int] = Counter()
    for number, cost in tape.costs.items():
        # A node without multiply-adds of its own, such as a custom function, belongs to the operator before it.
        costs[numbers[max(bisect_right(numbers, number) - 1, 0)] if numbers else number] += cost
    queues = {path: deque(queue) for path, queue in tape.forwards.items()}
    shared = []
    for row in rows:
        queue, left, backward = queues.get(row.path, deque()), row.macs, 0
        while left > 0 and queue:
            product = queue.popleft()
            left -= product.macs
            backward += sum(costs.pop(number, 0) for number in product.numbers)
        shared.append(row.replace(backward_macs=backward))
    if shared:
        shared[-1] = shared[-1].replace(backward_macs=(shared[-1].backward_macs or 0) + costs.total())
    return shared


def outputs_of(value: Any) -> list[Tensor]:
    """Every tensor that a model returns, also in the output classes of other libraries, with or without slots."""
    if isinstance(value, Tensor | list | tuple | dict):
        return tensors_of(value)
    names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
    return tensors_of([getattr(value, name, None) for name in names])
