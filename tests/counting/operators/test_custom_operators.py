"""Custom operators of every kind are counted through their decomposition or named unknown, never zero in silence."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from analyzer.counting.execution.count_any_model import count_model

NAMESPACE = "macscope_generated"
ROWS, DEPTH, COLUMNS = 3, 4, 5
MACS = ROWS * DEPTH * COLUMNS
library = torch.library.Library(NAMESPACE, "DEF")

# What the operator returns: the type in its schema, and how its kernel makes it of x and the product of x and w.
RETURNS: dict[str, tuple[str, Callable[[Tensor, Tensor], Any]]] = {
    "tensor": ("Tensor", lambda x, product: product),
    "tuple": ("(Tensor, Tensor)", lambda x, product: (product, product + 1)),
    "list": ("Tensor[]", lambda x, product: [product]),
    "nothing": ("()", lambda x, product: None),
    "number": ("float", lambda x, product: 0.5),
    "flag": ("bool", lambda x, product: True),
    "alias": ("Tensor(a)", lambda x, product: x.view(x.shape)),
    "its input": ("Tensor(a)", lambda x, product: x),
}
KINDS = list(product(RETURNS, (False, True), ("kernels", "no meta kernel", "decomposition")))


def define(returns: str, mutates: bool, kernels: str) -> Any:
    """Defines the operator and returns it; it multiplies x and w, and writes the product to `out` if it mutates."""
    name = "_".join((returns, "mutating" if mutates else "pure", kernels)).replace(" ", "_")
    if hasattr(getattr(torch.ops, NAMESPACE), name):
        return getattr(getattr(torch.ops, NAMESPACE), name)
    result, make = RETURNS[returns]
    source = "Tensor(a) x" if "(a)" in result else "Tensor x"
    library.define(f"{name}({source}, Tensor w, {'Tensor(b!)' if mutates else 'Tensor'} out) -> {result}")

    def kernel(x: Tensor, w: Tensor, out: Tensor) -> Any:
        values = x @ w
        if mutates:
            out.copy_(values)
        return make(x, values)

    if kernels == "decomposition":
        library.impl(name, kernel, "CompositeImplicitAutograd")
    else:
        library.impl(name, kernel, "CPU")
        if kernels == "kernels":
            library.impl(name, kernel, "Meta")
    return getattr(getattr(torch.ops, NAMESPACE), name)


class Calls(nn.Module):
    def __init__(self, operator: Any) -> None:
        super().__init__()
        self.operator = operator

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        out = x.new_zeros(ROWS, COLUMNS)
        self.operator(x, w, out)
        return out


@pytest.mark.parametrize(("returns", "mutates", "kernels"), KINDS, ids=lambda value: str(value))
def test_a_custom_operator_is_counted_or_named(returns, mutates, kernels):
    operator = define(returns, mutates, kernels)
    places = ("real",) if kernels == "no meta kernel" else ("meta", "real")
    for place in places:
        count = count_model(Calls(operator), (torch.zeros(ROWS, DEPTH), torch.zeros(DEPTH, COLUMNS)), on=place).count
        if kernels == "decomposition":
            assert (count.totals.macs, count.unknown_ops) == (MACS, {})
        else:
            assert (count.totals.macs, count.unknown_ops) == (0, {operator.default.name(): 1})


def test_pointwise_custom_operators_are_named_too():
    """A tag that its author gave proves nothing."""
    library.define("tagged(Tensor x) -> Tensor", tags=(torch.Tag.pointwise,))
    library.impl("tagged", lambda x: x @ x, "CPU")
    library.impl("tagged", torch.empty_like, "Meta")
    tagged = getattr(torch.ops, NAMESPACE).tagged
    for place in ("meta", "real"):
        count = count_model(Calls(lambda x, w, out: tagged(x)), (torch.zeros(4, 4), torch.zeros(4, 4)), on=place).count
        assert count.unknown_ops == {f"{NAMESPACE}::tagged": 1}
