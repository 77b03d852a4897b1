"""Dispatch: what really runs, operator by operator, each put under the module whose forward called it.

A dispatch mode sees every operator; global forward hooks say where the pass is. The model itself is not touched. In
inference mode torch hands over the operators that the user called, before it takes them apart: an operator with a
formula is counted whole, one without is watched while it is taken apart, under its own name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._python_dispatch import TorchDispatchMode

from analyzer.counting.dispatch.rows import Ledger
from analyzer.counting.dispatch.tensors import made_of_others
from analyzer.counting.operators.higher_order import CHOICES
from analyzer.counting.operators.registry import Kind, lookup
from analyzer.counting.shape_rules.infer import infer
from analyzer.records.record import Count


def count(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    roles: Mapping[str, str] | None = None,
    autograd: bool = False,
) -> Count:
    """The dispatch count of one forward pass, on whatever device the model and its arguments are, in its own mode.

    `roles` gives a path its canonical role; a path that is not in it is its own role. `autograd` is for a model whose
    forward pass takes gradients, such as forces from an energy: torch then hands over operators taken apart (`linear`
    as `addmm`), with the same multiply-adds.
    """
    with recording(model, roles=roles, autograd=autograd) as ledger:
        model(*args, **(kwargs or {}))
    return ledger.count()


@contextmanager
def recording(model: nn.Module, *, roles: Mapping[str, str] | None = None, autograd: bool = False) -> Iterator[Ledger]:
    """Rows of what runs inside, as it runs."""
    ledger = Ledger(model, roles or {})
    before = register_module_forward_pre_hook(ledger.enter)
    after = register_module_forward_hook(ledger.leave, with_kwargs=True, always_call=True)
    try:
        with torch.enable_grad() if autograd else torch.inference_mode(), _Watch(ledger):
            yield ledger
    finally:
        before.remove()
        after.remove()


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Runs every operator, or on meta tensors infers its result where a rule is sure, and tells the ledger."""

    supports_higher_order_operators = True

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.ledger = ledger

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch's default wraps the method in a guard that imports torch._dynamo: a second, for nothing.

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if types and made_of_others(types):
            return NotImplemented  # A tensor made of others, such as a nested one: theirs are the operators that run.
        name, kind, formula, mutable = lookup(func)
        if kind is Kind.VIEW:
            return func(*args, **kwargs)
        if name in CHOICES:
            with self:
                return CHOICES[name](*args, **kwargs)
        if kind is Kind.COMPOSITE:
            with self.ledger.inside(name, args, kwargs) as result, self:
                return result.of(func.decompose(*args, **kwargs))
        result = infer(name, args, kwargs)
        if result is NotImplemented:
            result = func(*args, **kwargs)
        if args and result is args[0] and not mutable:
            return result  # Dropout at inference hands its input on: nothing ran.
        self.ledger.operator(name, kind, formula, args, kwargs, result)
        return result
