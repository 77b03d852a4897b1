"""The backward pass: what really runs in it, put under the forward rows that it belongs to.

A second forward pass builds torch's graph; each of its nodes carries a sequence number. An operator of the backward
pass runs inside a node, and its number says which forward operator, and so which row, it is the gradient of.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch import shaped, shapes_of, tensors_of
from analyzer.counting.registry import Kind, lookup
from analyzer.counting.shapes import infer
from analyzer.counting.work import Call
from analyzer.record import Count, Row


def added(count: Count, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Count:
    """The count with `backward_macs` in every row: 0 where nothing is learned or nothing depends on it."""
    tape = _Tape(model)
    before = register_module_forward_pre_hook(tape.enter)
    after = register_module_forward_hook(tape.leave, always_call=True)
    try:
        with torch.enable_grad(), _Watch(tape), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            outputs = [tensor for tensor in _outputs(model(*args, **kwargs)) if tensor.requires_grad]
            tape.backwards = True
            torch.autograd.backward(outputs, [torch.ones_like(tensor) for tensor in outputs])
    finally:
        before.remove()
        after.remove()
    return count.replace(rows=tuple(_shared(count.rows, tape)))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, tape: _Tape) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # See dispatch.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name
        result = infer(name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        kind, formula = lookup(func)
        if kind is Kind.FORMULA and formula is not None:
            work = formula(Call(shaped(args), shaped(kwargs), shapes_of(tensors_of(result))))
            if work.macs:
                self.tape.ran(work.macs)
        return result


class _Tape:
    """Forward: every operator of multiply-adds with its node's number and its path. Backward: what each number cost."""

    def __init__(self, model: nn.Module) -> None:
        self.paths = {id(module): path for path, module in model.named_modules()}
        self.stack = [""]
        self.forwards: list[tuple[int, str, int]] = []
        self.costs: dict[int, int] = {}
        self.backwards = False

    def enter(self, module: nn.Module, args: Any) -> None:
        self.stack.append(self.paths.get(id(module), self.stack[-1]))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self.stack.pop()

    def ran(self, macs: int) -> None:
        if not self.backwards:
            # The node is made before its operator runs, so it has the last number given out.
            self.forwards.append((torch._C._autograd._get_sequence_nr() - 1, self.stack[-1], macs))
            return
        node = torch._C._current_autograd_node()
        number = node._sequence_nr() if node is not None else -1
        self.costs[number] = self.costs.get(number, 0) + macs


def _shared(rows: Sequence[Row], tape: _Tape) -> list[Row]:
    """Each row takes its forward operators off the tape, in order within its path, and with them their gradients.

    A row's forward operators add up to its own MACs: that is how the two passes are matched, and checked.
    """
    numbers = sorted({number for number, _, _ in tape.forwards})
    costs: dict[int, int] = {}
    for number, cost in tape.costs.items():
        # A node without multiply-adds of its own, such as a custom function, belongs to the operator before it.
        nearest = numbers[max(bisect_right(numbers, number) - 1, 0)] if numbers else number
        costs[nearest] = costs.get(nearest, 0) + cost
    queues: dict[str, list[tuple[int, int]]] = {}
    for number, path, macs in tape.forwards:
        queues.setdefault(path, []).append((number, macs))
    shared = []
    for row in rows:
        queue, left, backward = queues.get(row.path, []), row.macs, 0
        while left > 0 and queue:
            number, macs = queue.pop(0)
            left -= macs
            backward += costs.pop(number, 0)
        shared.append(row.replace(backward_macs=backward))
    rest = sum(costs.values())
    if rest and shared:
        shared[-1] = shared[-1].replace(backward_macs=(shared[-1].backward_macs or 0) + rest)
    return shared


def _outputs(value: Any) -> list[Tensor]:
    """Every tensor that a model returns, also in the output classes of other libraries."""
    if isinstance(value, Tensor | list | tuple | dict):
        return tensors_of(value)
    return tensors_of(dict(vars(value))) if hasattr(value, "__dict__") else []
