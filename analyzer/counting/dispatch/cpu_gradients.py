"""Gradients that torch computes with other temporary tensors on a CPU than on meta.

On a CPU some formulas read values: whether a factor of a product is zero, whether a maximum is not a number. Here
neither is so. See `prod_backward`, `cumprod_backward` and `evenly_distribute_backward` in torch's
`FunctionsManual.cpp`. The gradient of `mish` is one kernel, and on meta its formula.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

aten = torch.ops.aten
Gradient = Callable[[Tensor, Tensor, Tensor, tuple[Any, ...]], Tensor]


@contextmanager
def gradients_as_on_a_cpu() -> Iterator[None]:
    library: Any = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    library.impl("mish_backward", mish_gradient, "AutogradMeta")
    for operator, gradient in GRADIENTS.items():
        library.impl(operator.name().removeprefix("aten::"), partial(_run, operator, gradient), "AutogradMeta")
    try:
        yield
    finally:
        library._destroy()


def _run(operator: Any, gradient: Gradient, x: Tensor, *args: Any, **kwargs: Any) -> Any:
    if x.requires_grad and torch.is_grad_enabled():
        return _WithGradient.apply(x, operator, gradient, args, kwargs)  # type: ignore[no-untyped-call]
    with torch._C._AutoDispatchBelowAutograd():
        return operator(x, *args, **kwargs)


class _WithGradient(Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, operator: Any, gradient: Gradient, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Tensor:
        with torch._C._AutoDispatchBelowAutograd():
            result: Tensor = operator(x, *args, **kwargs)
        ctx.save_for_backward(x, result)
        ctx.gradient, ctx.args = gradient, args
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, result = ctx.saved_tensors
        return ctx.gradient(gradients[0], x, result, ctx.args), None, None, None, None


def product_gradient(gradient: Tensor, x: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    if not x.dim():
        return gradient.clone()
    torch.eq(x, 0)  # Whose places are looked for.
    return gradient * (result / x)


def product_of_axis_gradient(gradient: Tensor, x: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    if not x.dim():
        return gradient.clone()
    axis, keeps_axis = (*args, False)[:2]
    if not keeps_axis:
        gradient, result = gradient.unsqueeze(axis), result.unsqueeze(axis)
    zeros = x == 0
    counts = zeros.sum(axis, keepdim=True)
    counts.sum()
    return gradient * (result / x)


def cumulative_product_gradient(gradient: Tensor, x: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    axis = args[0]
    if x.numel() <= 1 or x.shape[axis] == 1:
        return gradient
    weighted = result * gradient
    zeros = x == 0
    zeros.any()
    return _reversed_sums(weighted, axis) / x


def _reversed_sums(x: Tensor, axis: int) -> Tensor:
    flipped = x.flip(axis)
    sums = flipped.cumsum(axis)
    return sums.flip(axis)


def extremum_gradient(gradient: Tensor, x: Tensor, result: Tensor, args: tuple[Any, ...]) -> Tensor:
    result.isnan()
    chosen = x == result
    zeros = gradient.new_zeros(x.shape)
    count = chosen.sum()
    return zeros.masked_fill_(chosen, gradient / count)


def mish_gradient(gradient: Tensor, x: Tensor) -> Tensor:
    if torch.is_grad_enabled():
        result: Tensor = aten.mish_backward.default.decompose(gradient, x)
        return result
    return torch.empty_like(x)


GRADIENTS: dict[Any, Gradient] = {
    aten.prod.default: product_gradient,
    aten.prod.dim_int: product_of_axis_gradient,
    aten.cumprod.default: cumulative_product_gradient,
    **dict.fromkeys(
        (aten.max.default, aten.min.default, aten.median.default, aten.nanmedian.default), extremum_gradient
    ),
}
