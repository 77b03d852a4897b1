"""Classifies operators: with a formula, view, free, composite of other operators, or unknown.

Operators of torch are views or free only if `free_and_view_operators` lists them. Other operators are unknown unless
they have a formula or decompose into others. Return values are not used to decide: kernels of vLLM or
flash-attention return nothing and write into an argument.
"""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch._C import DispatchKey

from analyzer.counting.operators.attention_and_recurrent import BLOCKS
from analyzer.counting.operators.call import Call, Formula, Work
from analyzer.counting.operators.convolutions_and_linear import CONVOLUTIONS_AND_LINEAR
from analyzer.counting.operators.distances_and_lookups import DISTANCES_AND_LOOKUPS
from analyzer.counting.operators.flops_without_macs import OPERATIONS, per_output
from analyzer.counting.operators.free_and_view_operators import COMMUNICATION, FREE, GRADIENTS, VIEWS
from analyzer.counting.operators.higher_order import name_of
from analyzer.counting.operators.matrix_products import EINSUM_AND_MATMUL, SPARSE
from analyzer.counting.operators.one_flop_per_output import POINTWISE
from analyzer.counting.operators.quantized import QUANTIZED

# What the counter does with an operator.
Kind: TypeAlias = Literal["formula", "view", "free", "composite", "unknown"]


class Operator(NamedTuple):
    """An operator's name, kind and formula; cached, so that torch is queried once per operator."""

    name: str
    kind: Kind
    formula: Formula | None
    mutable: bool
    as_if_dense: bool  # Quantized or sparse, and counted like its dense floating-point form.


_formulas: dict[str, Formula] = {
    **CONVOLUTIONS_AND_LINEAR,
    **EINSUM_AND_MATMUL,
    **DISTANCES_AND_LOOKUPS,
    **SPARSE,
    **QUANTIZED,
    **BLOCKS,
    **OPERATIONS,
}
_registered: set[str] = set()  # Names that users registered.
# By id, with the operator's object: hashing it runs Python code of torch.
_known: dict[int, tuple[Any, Operator]] = {}
_pointwise = per_output(1)
# Formulas of operators without MACs, so that a counter of MACs need not evaluate them.
WITHOUT_MACS = frozenset({*OPERATIONS.values(), _pointwise})


def set_formula(op: str, formula: Formula) -> None:
    """Sets a user's formula, in place of an existing one."""
    _formulas[op] = formula
    _registered.add(op)
    _known.clear()


def any_registered() -> bool:
    """Whether a user has set a formula."""
    return bool(_registered)


def lookup(func: Any) -> Operator:
    """An operator's name and kind, and its formula if it has one."""
    known = _known.get(id(func))
    if known is None:
        mutable = hasattr(func, "_schema") and func._schema.is_mutable
        name = name_of(func)
        known = _known[id(func)] = func, Operator(name, *_classify(func), mutable, name in SPARSE or name in QUANTIZED)
    return known[1]


def composite(func: Any) -> bool:
    """Whether the operator decomposes into others, which the counter can count instead."""
    key = DispatchKey.CompositeImplicitAutograd
    return key in func.py_kernels or bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key))


def functional_name(name: str) -> str:
    """`aten::addmm_` → `aten::addmm`, `aten::__iand__` → `aten::__and__`; an `out` variant is an overload, with the
    functional name."""
    if dunder := re.fullmatch(r"(\w+::__)i(\w+__)", name):
        return dunder[1] + dunder[2]
    return name.removesuffix("_") if not name.endswith("__") else name


def _classify(func: Any) -> tuple[Kind, Formula | None]:
    name = name_of(func)
    namespace, functional = name.partition("::")[0], functional_name(name)
    formula = _formulas.get(name) or _formulas.get(functional)
    if formula is not None:
        return "formula", _of_written(func, formula)
    if not hasattr(func, "_schema"):
        return "unknown", None
    if namespace == "prim":  # `prim::device` reads a fake tensor's device; the dispatcher does not have it.
        return "view", None
    if composite(func):
        return "composite", None
    if functional in VIEWS:
        return "view", None
    if functional in FREE or name in GRADIENTS or namespace in COMMUNICATION:
        return "free", None
    if name in POINTWISE or functional in POINTWISE:
        return "formula", _of_written(func, _pointwise)
    return "unknown", None


def _of_written(func: Any, formula: Formula) -> Formula:
    """The formula of an operator that returns no tensor receives the tensors that it writes to as outputs."""
    if not hasattr(func, "_schema") or any("Tensor" in str(value.type) for value in func._schema.returns):
        return formula
    written = [
        (place, argument.name)
        for place, argument in enumerate(func._schema.arguments)
        if argument.alias_info is not None and argument.alias_info.is_write
    ]

    def work(call: Call) -> Work:
        values = [call.arg(place, name) for place, name in written]
        return formula(call._replace(outputs=tuple(shape for value in values for shape in _shapes(value))))

    return work if written else formula


def _shapes(value: Any) -> tuple[Any, ...]:
    """The shapes of an argument that is a tensor, a list of tensors or absent."""
    if value is None:
        return ()
    return value if value and isinstance(value[0], tuple) else (value,)
