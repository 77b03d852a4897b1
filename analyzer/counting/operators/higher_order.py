"""Operators that take functions, such as flex attention and `torch.cond`, and compiled functions, run as written.

`torch.compile` hides the operators of what it compiles, and torch's own higher-order operators compile themselves when
they are called; while a model is counted nothing is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention


def name_of(func: Any) -> str:
    """`aten::mm`; a higher-order operator has no schema and no namespace of its own: `higher_order::cond`."""
    return str(func._schema.name) if hasattr(func, "_schema") else f"higher_order::{func.name()}"


def _cond(predicate: Any, on_true: Callable[..., Any], on_false: Callable[..., Any], operands: Any = ()) -> Any:
    return (on_true if predicate else on_false)(*operands)


def _while_loop(goes_on: Callable[..., Any], body: Callable[..., Any], carried: Any, others: Any = ()) -> Any:
    while goes_on(*carried, *others):
        carried = body(*carried, *others)
    return carried


# What only chooses what runs: the branch that is taken, the rounds that are made, are counted in its place.
CHOICES: dict[str, Callable[..., Any]] = {"higher_order::cond": _cond, "higher_order::while_loop": _while_loop}


@contextmanager
def as_written() -> Iterator[None]:
    """Nothing is compiled: neither on the way, nor what was compiled before. Flex attention runs on every device."""
    compiles: Any = torch.compile
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if flex := sys.modules.get("torch.nn.attention.flex_attention"):
            stack.enter_context(_plain_flex(flex))
        torch.compile = _not_compiled
        try:
            yield
        finally:
            torch.compile = compiles


def _not_compiled(model: Any = None, **settings: Any) -> Any:
    """In the place of `torch.compile`, which is also a decorator with settings."""
    return model if model is not None else lambda function: function


@contextmanager
def _plain_flex(flex: Any) -> Iterator[None]:
    """Under autograd torch has flex attention on few devices only; the plain one has the same products."""
    hop, checks = flex.flex_attention_hop, getattr(flex, "_validate_device", None)

    def attention(query: Tensor, key: Tensor, value: Tensor, score: Any, mask: Any, scale: float, *rest: Any) -> Any:
        if not torch.is_grad_enabled():
            return hop(query, key, value, score, mask, scale, *rest)
        statistics = query.new_empty(query.shape[:-1], dtype=torch.float32)
        return scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=True), statistics, statistics

    flex.flex_attention_hop, flex._validate_device = attention, lambda *tensors: None
    try:
        yield
    finally:
        flex.flex_attention_hop = hop
        if checks is None:
            del flex._validate_device
        else:
            flex._validate_device = checks
