"""MACs of matrix products in every spelling: the same product has the same MACs as einsum, @, bmm or vecdot.

A contraction multiplies two operands and sums over at least one axis that both have, even if that axis has one element.
Without a shared summed axis, as in an outer product, the multiplication is elementwise: FLOPs and no MACs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch

from analyzer.core.shapes import Shape
from analyzer.counting.operators.call import Call, Formula, Work, named, products

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
    pairs = [(left[axis], right[partner]) for axis, partner in zip(*axes, strict=True)]
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
        first, second = (terms[place] for place in places)
        terms = [term for place, term in enumerate(terms) if place not in places]
        kept = {label for term in terms for label in term} | set(output)
        pair = _pair(tuple(places), first, second, kept)
        terms.insert(len(terms) if path else 0, pair.result)
        yield pair


def _pair(places: tuple[int, ...], first: Sizes, second: Sizes, kept: set[str]) -> Pair:
    flops, reduced = 0, []
    for term, partner in ((first, second), (second, first)):
        # An axis that is only here, or that the partner broadcasts, is summed before the product.
        alone = {label for label, size in term.items() if label not in kept and partner.get(label, 1) == 1 < size}
        flops += prod(term.values()) if alone else 0
        reduced.append({label: 1 if label in alone else size for label, size in term.items()})
    left, right = reduced
    sizes = {label: max(left.get(label, 1), right.get(label, 1)) for label in {**left, **right}}
    summed = tuple(label for label in left if label in right and label not in kept)
    result = {label: size for label, size in sizes.items() if label in kept}
    work = prod(sizes.values())
    return Pair(places, (first, second), result, summed, work if summed else 0, flops + (0 if summed else work))


EINSUM_AND_MATMUL: dict[str, Formula] = {
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
# Sparse operands are counted by the shapes of the dense ones.
SPARSE: dict[str, Formula] = {
    **named(matmul, "_sparse_mm _sparse_sparse_matmul _sparse_mm_reduce_impl hspmm"),
    **named(added_matmul, "_sparse_addmm sspaddmm sparse_sampled_addmm"),
}
