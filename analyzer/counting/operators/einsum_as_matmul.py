"""Runs `einsum`, `tensordot` and `vecdot` as matrix products, so that a pass under autograd has their MACs."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor

from analyzer.counting.operators.matrix_products import Pair, pairs, parse
from analyzer.counting.operators.python_functions import ModeOfFunctions


class EinsumAsMatmul(ModeOfFunctions):
    """Under autograd torch multiplies elementwise in `vecdot`, and in `einsum` where a summed axis has one element.

    Here both are matrix products, so that forward and backward have the MACs of any other spelling.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.functional.einsum and isinstance(args[0], str):
            operands = args[1] if len(args) == 2 and isinstance(args[1], list | tuple) else args[1:]
            result = _as_products(args[0], list(operands), func)
            if result is not None:
                return result
        if func is torch.functional.tensordot and len(args) == 2:
            dims = (kwargs or {}).get("dims", 2)
            if dims == 0 or (isinstance(dims, list | tuple) and not len(dims[0])):
                return args[0].reshape(*args[0].shape, *[1] * args[1].dim()) * args[1]
        if func is torch.linalg.vecdot and not (kwargs or {}).get("out"):
            return _vecdot_as_product(*args, **(kwargs or {}))
        return self.run(func, types, args, kwargs or {})


def _vecdot_as_product(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    left, right = x.conj().movedim(dim, -1).unsqueeze(-2), y.movedim(dim, -1).unsqueeze(-1)
    return (left @ right)[..., 0, 0]


def _as_products(equation: str, operands: list[Tensor], einsum: Callable[..., Tensor]) -> Tensor | None:
    """The einsum in pairs, or None where torch runs all of them as products anyway."""
    terms_text = equation.replace(" ", "").replace(".", "").partition("->")[0].split(",")
    if len(operands) < 2 or any(len(set(term)) < len(term) for term in terms_text):
        return None  # A label that an operand repeats is a diagonal.
    terms, output = parse(equation, [tuple(operand.shape) for operand in operands])
    steps = list(pairs(terms, output))
    if all(pair.macs == 0 or any(pair.operands[0][label] > 1 for label in pair.summed) for pair in steps):
        return None
    letters = {label: chr(ord("a") + index) for index, label in enumerate({label for term in terms for label in term})}
    for pair in steps:
        left, right, *operands = operands
        first, second = pair.operands
        final = output if not operands else list(pair.result)
        if not pair.summed or any(first[label] > 1 for label in pair.summed) or _broadcasts(pair):
            spelled = ["".join(letters[label] for label in term) for term in (first, second, final)]
            joined = einsum(f"{spelled[0]},{spelled[1]}->{spelled[2]}", left, right)
        else:
            joined = _matrix_product(left, right, pair).permute([list(pair.result).index(label) for label in final])
        operands.insert(0, joined)
    return operands[0]


def _broadcasts(pair: Pair) -> bool:
    first, second = pair.operands
    return any(label not in pair.result and label not in pair.summed for label in {**first, **second}) or any(
        first[label] != second[label] for label in first if label in second
    )


def _matrix_product(left: Tensor, right: Tensor, pair: Pair) -> Tensor:
    """Batches, rows and columns from the axes that both, only the left and only the right operand keep."""
    first, second = pair.operands
    batch = [label for label in first if label in second and label in pair.result]
    rows = [label for label in first if label not in second]
    columns = [label for label in second if label not in first]
    left = left.permute([list(first).index(label) for label in [*batch, *rows, *pair.summed]])
    right = right.permute([list(second).index(label) for label in [*batch, *pair.summed, *columns]])
    sizes = [[pair.result[label] for label in labels] for labels in (batch, rows, columns)]
    many, high, wide = map(prod, sizes)
    product = torch.bmm(left.reshape(many, high, 1), right.reshape(many, 1, wide))
    product = product.reshape([*sizes[0], *sizes[1], *sizes[2]])
    order = [*batch, *rows, *columns]
    return product.permute([order.index(label) for label in pair.result])
