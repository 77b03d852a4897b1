"""Runs compiled functions, flex attention and `torch.cond` without compilation, so that their operators are counted.

`torch.compile` hides the operators of compiled code, and torch's higher-order operators compile themselves when they
are called. While a model is counted nothing is compiled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten


def name_of(func: Any) -> str:
    """`aten::mm`; a higher-order operator has no schema and no namespace of its own: `higher_order::cond`."""
    return str(func._schema.name) if hasattr(func, "_schema") else f"higher_order::{func.name()}"


def _cond(predicate: Any, on_true: Callable[..., Any], on_false: Callable[..., Any], operands: Any = ()) -> Any:
    return (on_true if predicate else on_false)(*operands)


def _while_loop(condition: Callable[..., Any], body: Callable[..., Any], carried: Any, others: Any = ()) -> Any:
    while condition(*carried, *others):
        carried = body(*carried, *others)
    return carried


def _scan(step: Callable[..., Any], states: Sequence[Any], rows: Sequence[Tensor], others: Sequence[Any] = ()) -> Any:
    """The final states, and the other results of each step, stacked."""
    if not rows:
        return tuple(states)
    results = []
    for parts in zip(*(row.unbind(0) for row in rows), strict=True):
        stepped = step(*states, *parts, *others)
        states, outputs = stepped[: len(states)], stepped[len(states) :]
        results.append(outputs)
    return (*states, *map(_stacked, zip(*results, strict=True)))


def _map(function: Callable[..., Any], rows: Sequence[Tensor], others: Sequence[Any] = ()) -> Any:
    results = [function(*parts, *others) for parts in zip(*(row.unbind(0) for row in rows), strict=True)]
    flat = [tree_flatten(result)[0] for result in results]
    return tree_unflatten(list(map(_stacked, zip(*flat, strict=True))), tree_flatten(results[0])[1])


def _stacked(parts: Sequence[Any]) -> Any:
    return torch.stack(list(parts)) if isinstance(parts[0], Tensor) else parts[0]


def _out_dtype(operator: Callable[..., Any], dtype: torch.dtype, *operands: Any) -> Any:
    """The operator in the type of its result, such as int8 operands multiplied in int32."""
    return operator(*tree_map(lambda value: value.to(dtype) if isinstance(value, Tensor) else value, operands))


# Operators that only choose what runs: what their functions run is counted.
CHOICES: dict[str, Callable[..., Any]] = {
    "higher_order::cond": _cond,
    "higher_order::while_loop": _while_loop,
    "higher_order::scan": _scan,
    "higher_order::map_impl": _map,
    "higher_order::out_dtype": _out_dtype,
}


@contextmanager
def as_written() -> Iterator[None]:
    """Nothing is compiled, and what was compiled before runs as written. Flex attention runs on every device."""
    compile_function: Any = torch.compile
    with ExitStack() as stack:
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        if flex := sys.modules.get("torch.nn.attention.flex_attention"):
            stack.enter_context(_plain_flex(flex))
        if scan := sys.modules.get("torch._higher_order_ops.scan"):
            stack.enter_context(_plain_scan(scan))
        torch.compile = _not_compiled
        try:
            yield
        finally:
            torch.compile = compile_function


def _not_compiled(model: Any = None, **settings: Any) -> Any:
    """Replaces `torch.compile`, which is also a decorator with settings."""
    return model if model is not None else lambda function: function


@contextmanager
def _plain_scan(module: Any) -> Iterator[None]:
    """Under autograd torch traces the step once and runs the trace; here each step runs, and has its gradient."""
    operator = module.scan_op
    module.scan_op = lambda combine_fn, init, xs, additional_inputs=(): _scan(combine_fn, init, xs, additional_inputs)
    try:
        yield
    finally:
        module.scan_op = operator


@contextmanager
def _plain_flex(flex: Any) -> Iterator[None]:
    """Under autograd torch runs flex attention on few devices only; plain attention has the same products."""
    hop, checks = flex.flex_attention_hop, getattr(flex, "_validate_device", None)

    def attention(query: Tensor, key: Tensor, value: Tensor, score: Any, mask: Any, scale: float, *rest: Any) -> Any:
        if torch.is_inference_mode_enabled() or not torch.is_grad_enabled():
            return hop(query, key, value, score, mask, scale, *rest)
        statistics = query.new_empty(query.shape[:-1], dtype=torch.float32)
        output = scaled_dot_product_attention(query, key, value, scale=scale, enable_gqa=True)
        return (output, statistics, statistics) if hasattr(flex, "AuxRequest") else (output, statistics)  # Before 2.9.

    flex.flex_attention_hop, flex._validate_device = attention, lambda *tensors: None
    try:
        yield
    finally:
        flex.flex_attention_hop = hop
        if checks is None:
            del flex._validate_device
        else:
            flex._validate_device = checks
