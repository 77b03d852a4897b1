"""MACs of contractions: the same product has the same MACs as einsum, @, bmm, inner or vecdot.

A contraction multiplies two operands and sums over at least one axis that both have, even if that axis has one element.
Without a shared summed axis, as in an outer product, the multiplication is elementwise: FLOPs and no MACs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from analyzer.core.shapes import Shape
from analyzer.counting.operators.call import Call, Formula, Work, named, products
from analyzer.counting.operators.python_functions import ModeOfFunctions

Sizes = dict[str, int]  # The size of each axis, by its label in the equation.


def matmul(call: Call) -> Work:
    """Products of every rank: each output element is a dot product over the last axis of the left side."""
    return products(prod(call.outputs[0]) * call.args[0][-1])


def inner(call: Call) -> Work:
    """A dot product over the last axis of both sides; with a number it is a multiplication."""
    left, right = call.args[:2]
    return matmul(call) if left and right else Work(flops=prod(call.outputs[0]))


def vecdot(call: Call) -> Work:
    """A dot product along one axis of two broadcast operands: a MAC for each pair of elements."""
    return products(prod(torch.broadcast_shapes(*call.args[:2])))  # type: ignore[no-untyped-call]


def outer(call: Call) -> Work:
    return Work(flops=prod(call.outputs[0]))


def added_outer(call: Call) -> Work:
    """`addr`: an outer product, which is elementwise, and an addition per output element."""
    return Work(flops=2 * prod(call.outputs[0]))


def added_matmul(call: Call) -> Work:
    """`addmm`, `baddbmm`, `addmv`: the product, and an addition per output element."""
    output = prod(call.outputs[0])
    return products(output * call.args[1][-1], output)


def summed_matmul(call: Call) -> Work:
    """`addbmm` sums its batch of products: (batch, n, k) · (batch, k, m) → (n, m)."""
    batch, rows, depth = call.args[1]
    columns = call.args[2][-1]
    return products(batch * rows * depth * columns, rows * columns)


def tensordot(call: Call) -> Work:
    """An axis that only one operand has more than once is summed before the product; without axes an outer product."""
    left, right, *axes = call.args[:4]
    if not axes[0]:
        return outer(call)
    pairs = [(left[one], right[other]) for one, other in zip(*axes, strict=True)]
    summed = sum(
        prod(shape)
        for shape, sizes in zip((left, right), zip(*pairs, strict=True), strict=True)
        if any(size > min(pair) for size, pair in zip(sizes, pairs, strict=True))
    )
    return products(prod(call.outputs[0]) * prod(map(min, pairs)), summed)


def einsum(call: Call) -> Work:
    """The sum over the pairs that torch contracts: in order, or along opt_einsum's path where torch was given one."""
    equation, shapes = call.args[:2]
    terms, output = parse(equation, shapes)
    macs = flops = 0
    for pair in pairs(terms, output, call.kwargs.get("path")):
        macs += pair.macs
        flops += pair.flops
    return products(macs, flops)


def parse(equation: str, shapes: Sequence[Shape]) -> tuple[list[Sizes], list[str]]:
    """The axes of each operand, and the labels of the output. An ellipsis stands for axes counted from the right."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = [
        dict(zip(_labels(term, len(shape)), shape, strict=True))
        for term, shape in zip(left.split(","), shapes, strict=True)
    ]
    rank = max(sum(label.startswith(".") for label in term) for term in terms)
    if arrow:
        return terms, _labels(right, len(right.replace("...", "")) + rank if "..." in right else len(right))
    letters = left.replace("...", "").replace(",", "")
    once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
    return terms, [*_labels("...", rank), *once]


def _labels(term: str, rank: int) -> list[str]:
    before, ellipsis, after = term.partition("...")
    covered = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *(f".{index}" for index in range(covered, 0, -1)), *after]


class Pair(NamedTuple):
    """One step of an einsum: indices into the remaining operands, the result of their contraction, and the work."""

    places: tuple[int, ...]
    operands: tuple[Sizes, ...]
    result: Sizes
    summed: tuple[str, ...]
    macs: int
    flops: int


def pairs(terms: list[Sizes], output: list[str], path: Sequence[int] | None = None) -> Iterator[Pair]:
    """The steps of an einsum; a step's result joins the operands that are left, at their end if there is a path."""
    terms = list(terms)
    if len(terms) == 1:
        flops = prod(terms[0].values()) if set(terms[0]) - set(output) else 0
        yield Pair((0,), (terms[0],), {label: terms[0].get(label, 1) for label in output}, (), 0, flops)
        return
    steps = list(zip(path[::2], path[1::2], strict=True)) if path else [(0, 1)] * (len(terms) - 1)
    for places in steps:
        one, other = (terms[place] for place in places)
        terms = [term for place, term in enumerate(terms) if place not in places]
        kept = {label for term in terms for label in term} | set(output)
        pair = _pair(tuple(places), one, other, kept)
        terms.insert(len(terms) if path else 0, pair.result)
        yield pair


def _pair(places: tuple[int, ...], one: Sizes, other: Sizes, kept: set[str]) -> Pair:
    flops, reduced = 0, []
    for term, partner in ((one, other), (other, one)):
        # An axis that is only here, or that the partner broadcasts, is summed before the product.
        alone = {label for label, size in term.items() if label not in kept and partner.get(label, 1) == 1 < size}
        flops += prod(term.values()) if alone else 0
        reduced.append({label: 1 if label in alone else size for label, size in term.items()})
    left, right = reduced
    sizes = {label: max(left.get(label, 1), right.get(label, 1)) for label in {**left, **right}}
    summed = tuple(label for label in left if label in right and label not in kept)
    result = {label: size for label, size in sizes.items() if label in kept}
    work = prod(sizes.values())
    return Pair(places, (one, other), result, summed, work if summed else 0, flops + (0 if summed else work))


class ContractionsAsProducts(ModeOfFunctions):
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
        one, other = pair.operands
        final = output if not operands else list(pair.result)
        if not pair.summed or any(one[label] > 1 for label in pair.summed) or _broadcasts(pair):
            spelled = ["".join(letters[label] for label in term) for term in (one, other, final)]
            joined = einsum(f"{spelled[0]},{spelled[1]}->{spelled[2]}", left, right)
        else:
            joined = _matrix_product(left, right, pair).permute([list(pair.result).index(label) for label in final])
        operands.insert(0, joined)
    return operands[0]


def _broadcasts(pair: Pair) -> bool:
    one, other = pair.operands
    return any(label not in pair.result and label not in pair.summed for label in {**one, **other}) or any(
        one[label] != other[label] for label in one if label in other
    )


def _matrix_product(left: Tensor, right: Tensor, pair: Pair) -> Tensor:
    """Batches, rows and columns from the axes that both, only the left and only the right operand keep."""
    one, other = pair.operands
    batch = [label for label in one if label in other and label in pair.result]
    rows = [label for label in one if label not in other]
    columns = [label for label in other if label not in one]
    left = left.permute([list(one).index(label) for label in [*batch, *rows, *pair.summed]])
    right = right.permute([list(other).index(label) for label in [*batch, *pair.summed, *columns]])
    sizes = [[pair.result[label] for label in labels] for labels in (batch, rows, columns)]
    many, high, wide = map(prod, sizes)
    product = torch.bmm(left.reshape(many, high, 1), right.reshape(many, 1, wide))
    product = product.reshape([*sizes[0], *sizes[1], *sizes[2]])
    order = [*batch, *rows, *columns]
    return product.permute([order.index(label) for label in pair.result])


CONTRACTIONS: dict[str, Formula] = {
    **named(matmul, "matmul mm bmm mv dot vdot"),
    **named(inner, "inner"),
    **named(vecdot, "linalg_vecdot"),
    **named(outer, "outer ger"),
    **named(tensordot, "tensordot"),
    **named(einsum, "einsum"),
    **named(added_matmul, "addmm baddbmm addmv _addmm_activation"),
    **named(added_outer, "addr"),
    **named(summed_matmul, "addbmm"),
}
