"""`analyzer.register`: a user's formula for an operator, such as a custom kernel."""

from __future__ import annotations

from collections.abc import Callable

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.counting.operators.call import Call, Work
from analyzer.counting.operators.classify import set_formula


def register(op: str, formula: Callable[[Call], Work | int]) -> None:
    """Registers a formula for an operator, such as `"mylib::fused_attention"`; replaces an existing formula.

    `formula` receives a `Call`: shapes instead of tensors. It returns `Work(macs, flops)`, or MACs alone. For an
    operator that returns no tensor, the outputs are the tensors that it writes to. Raises AnalyzerError if `op` is not
    an operator name or `formula` cannot be called.

    >>> from math import prod
    >>> register("mylib::rotate", lambda call: Work(flops=6 * prod(call.outputs[0])))
    """
    if not isinstance(op, str) or "::" not in op:
        shown = one_line(repr(op))[:80]
        raise AnalyzerError(f"{shown} is not an operator name; wanted NAMESPACE::NAME, such as mylib::fused_attention")
    if not callable(formula):
        shown = one_line(repr(formula))[:80]  # type: ignore[unreachable]
        raise AnalyzerError(f"the formula of {one_line(op)} is {shown}; wanted a function that takes a Call")

    def work(call: Call) -> Work:
        result = formula(call)
        return result if isinstance(result, Work) else Work(result, 2 * result)

    set_formula(op, work)
