"""Which of three sets an operator is in: it has a formula, it is known to be free, or it is unknown."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import torch

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.counting.operators.attention import BLOCKS
from analyzer.counting.operators.call import Call, Formula, Work
from analyzer.counting.operators.elementwise import FREE, NOT_ARITHMETIC, OPERATIONS, per_output
from analyzer.counting.operators.higher_order import name_of
from analyzer.counting.operators.products import AS_IF_DENSE, PRODUCTS, QUANTIZED


class Kind(Enum):
    """What the counter does with an operator that it meets."""

    FORMULA = "formula"
    VIEW = "view"
    FREE = "free"
    COMPOSITE = "composite"
    UNKNOWN = "unknown"


class Operator(NamedTuple):
    """What is known of an operator; asked of torch once, and not at every call."""

    name: str
    kind: Kind
    formula: Formula | None
    mutable: bool


_formulas: dict[str, Formula] = {**PRODUCTS, **AS_IF_DENSE, **QUANTIZED, **BLOCKS, **OPERATIONS}
_known: dict[Any, Operator] = {}
_pointwise = per_output(1)
# Views by another name: torch drops the alias from their schemas, or writes the view over its own input.
_OTHER_VIEWS = frozenset(
    f"aten::{name}"
    for name in (
        "_unsafe_view unsafe_split unsafe_split_with_sizes unsafe_chunk detach_ squeeze_ unsqueeze_ t_ transpose_ "
        "as_strided_ swapaxes_ swapdims_"
    ).split()
)


def register(op: str, formula: Callable[[Call], Work | int]) -> None:
    """Teaches the counter an operator, such as `"mylib::fused_attention"`; replaces what it knew of that name.

    `formula` sees a `Call`: shapes in place of tensors. It returns `Work(macs, flops)`, or MACs alone. Raises
    AnalyzerError for what is no operator's name, and for a formula that cannot be called.
    """
    if not isinstance(op, str) or "::" not in op:
        shown = one_line(repr(op))[:80]
        raise AnalyzerError(f"{shown} is no operator's name; wanted NAMESPACE::NAME, such as mylib::fused_attention")
    if not callable(formula):
        shown = one_line(repr(formula))[:80]  # type: ignore[unreachable]
        raise AnalyzerError(f"the formula of {one_line(op)} is {shown}; wanted a function of a call")

    def work(call: Call) -> Work:
        said = formula(call)
        return said if isinstance(said, Work) else Work(said, 2 * said)

    _formulas[op] = work
    _known.clear()


def lookup(func: Any) -> Operator:
    """An operator's name and set, and its formula if it has one."""
    found = _known.get(func)
    if found is None:
        mutable = hasattr(func, "_schema") and func._schema.is_mutable
        found = _known[func] = Operator(name_of(func), *_classify(func), mutable)
    return found


def as_if_dense(name: str) -> bool:
    """Whether this operator is counted as a dense floating-point one, which it is not."""
    return name in AS_IF_DENSE or name in QUANTIZED


def _classify(func: Any) -> tuple[Kind, Formula | None]:
    name = name_of(func)
    if name in _formulas:
        return Kind.FORMULA, _formulas[name]
    if not hasattr(func, "_schema"):
        return Kind.UNKNOWN, None
    if composite(func):
        return Kind.COMPOSITE, None
    returns = func._schema.returns
    if name in _OTHER_VIEWS:
        return Kind.VIEW, None
    if returns and returns[0].alias_info is not None and not returns[0].alias_info.is_write:
        return Kind.VIEW, None
    if name in FREE or name in NOT_ARITHMETIC:
        return Kind.FREE, None
    if torch.Tag.pointwise in func.tags:
        return Kind.FORMULA, _pointwise
    if not returns or not any("Tensor" in str(value.type) for value in returns):
        return Kind.FREE, None  # It answers with numbers or nothing: a question, not a computation.
    return Kind.UNKNOWN, None


def composite(func: Any) -> bool:
    """Whether the operator is made of others that the counter can watch in its place."""
    return bool(torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"))
