"""Multiply-adds of aten's operators, each formula from the shapes of one call.

It shares nothing with the closed form, which never sees an operator: their agreement would prove nothing if they did.
Operators are named as in torch's schemas. In inference mode torch hands over what the user called (`conv2d`, `linear`,
`einsum`); under autograd it hands over what that is made of (`convolution`, `addmm`, `bmm`): both are here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from analyzer.counting.operators.call import Call, Formula, Shape, Work, products


def convolution(call: Call) -> Work:
    """Every output element is a dot product with one filter; transposed, every input element spreads over one."""
    source, filters, bias = call.args[:3]
    moved = source if call.arg(6, "transposed", False) else call.outputs[0]
    return _filtered(moved, filters, bias, call.outputs[0])


def forward_convolution(call: Call) -> Work:
    """`conv1d`, `conv2d`, `conv3d` with any padding, also by name ("same"), dilated and grouped."""
    return _filtered(call.outputs[0], call.args[1], call.arg(2, "bias"), call.outputs[0])


def transposed_convolution(call: Call) -> Work:
    """`conv_transpose1d` to 3d: every input element is multiplied into one filter."""
    return _filtered(call.args[0], call.args[1], call.arg(2, "bias"), call.outputs[0])


def _filtered(moved: Shape, filters: Shape, bias: Shape | None, output: Shape) -> Work:
    """`filters` is (out, in / groups, *kernel), transposed (in, out / groups, *kernel)."""
    return products(prod(moved) * prod(filters[1:]), prod(output) if bias is not None else 0)


def convolution_backward(call: Call) -> Work:
    """The gradients of input and weight cost one forward each, whatever the groups; the bias's is a sum."""
    gradient, source, filters = call.args[:3]
    transposed = call.arg(7, "transposed", False)
    to_input, to_weight, to_bias = call.arg(10, "output_mask")
    macs = prod(source if transposed else gradient) * prod(filters[1:])
    return products(macs * (bool(to_input) + bool(to_weight)), prod(gradient) if to_bias else 0)


def linear(call: Call) -> Work:
    """Each output element is a dot product over the input features."""
    bias = call.arg(2, "bias")
    return products(prod(call.outputs[0]) * call.args[1][-1], prod(call.outputs[0]) if bias is not None else 0)


def bilinear(call: Call) -> Work:
    """x1 · W · x2 for each output: in1 · in2 products with the weights, then in2 with x2."""
    output, second = prod(call.outputs[0]), call.args[1][-1]
    bias = call.arg(3, "bias")
    return products(output * (call.args[0][-1] * second + second), output if bias is not None else 0)


def trilinear(call: Call) -> Work:
    """What a bilinear layer and its gradients are made of: three operands, each missing some axes, summed over others.

    The first two are multiplied over all their axes and summed over those that the third lacks; then the third.
    """
    one, two, three, *missing, summed = [list(value) for value in call.args[:7]]
    for operand, axes in zip((one, two, three), missing, strict=True):
        for axis in axes:
            operand.insert(axis, 1)
    first = [max(sizes) for sizes in zip(one, two, strict=True)]
    second = [max(sizes) for sizes in zip(first, three, strict=True)]
    for axis in set(summed) & set(missing[2]):
        second[axis] = 1
    return products(prod(first) + prod(second))


def distances_backward(call: Call) -> Work:
    """The gradient of one side: a multiply-add a coordinate of each pair for the Euclidean norm."""
    gradient, left = call.args[:2]
    coordinates = prod(gradient) * left[-1]
    return products(coordinates) if call.args[3] == 2.0 else Work(flops=3 * coordinates)


def matmul(call: Call) -> Work:
    """In every rank: each output element is a dot product over the last axis of the left side."""
    return products(prod(call.outputs[0]) * call.args[0][-1])


def added_matmul(call: Call) -> Work:
    """`addmm`, `baddbmm`, `addmv`: the product, and one addition an output element."""
    output = prod(call.outputs[0])
    return products(output * call.args[1][-1], output)


def added_outer(call: Call) -> Work:
    """`addr`: the product of a column and a row, and one addition an output element."""
    return products(prod(call.outputs[0]), prod(call.outputs[0]))


def summed_matmul(call: Call) -> Work:
    """`addbmm` sums its batch of products: (batch, n, k) · (batch, k, m) → (n, m)."""
    batch, rows, depth = call.args[1]
    columns = call.args[2][-1]
    return products(batch * rows * depth * columns, rows * columns)


def distances(call: Call) -> Work:
    """`cdist`: one multiply-add a coordinate of each pair for the Euclidean norm, 3 operations for any other."""
    coordinates = prod(call.outputs[0]) * call.args[0][-1]
    if call.arg(2, "p", 2.0) == 2.0:
        return products(coordinates, prod(call.outputs[0]))
    return Work(flops=3 * coordinates)


def embedding_bag(call: Call) -> Work:
    """Sums the rows it looks up: an addition an element, a multiply-add where samples are weighted."""
    gathered = prod(call.args[1]) * call.args[0][-1]
    weights = call.arg(6, "per_sample_weights")
    return products(gathered) if weights is not None else Work(flops=gathered)


def embedding_bag_backward(weights: int) -> Formula:
    """The table's gradient gets the bag's for every sample, times its weight if it has one (the argument's place)."""

    def work(call: Call) -> Work:
        gathered = prod(call.args[1]) * call.args[0][-1]
        weighted = call.arg(weights, "per_sample_weights") is not None
        return products(gathered) if weighted else Work(flops=gathered)

    return work


def embedding_bag_weights_backward(call: Call) -> Work:
    """A sample's weight gets the dot product of its row and the bag's gradient."""
    return products(prod(call.args[2]) * call.args[1][-1])


def grouped_matmul(call: Call) -> Work:
    """`_grouped_mm`, a product a group of tokens, as mixtures of experts have it: every token meets one matrix.

    With two axes each, what is summed over is divided among the groups.
    """
    left, right = call.args[:2]
    shared = len(left) == len(right) == 2
    output, bias = prod(call.outputs[0]), call.arg(3, "bias")
    return products(prod(left) * right[-1] if shared else output * left[-1], output if bias is not None else 0)


def _named(formula: Formula, *names: str) -> dict[str, Formula]:
    return {f"aten::{name}": formula for name in names}


PRODUCTS: dict[str, Callable[[Call], Work]] = {
    **_named(convolution, "convolution", "_convolution", "convolution_overrideable"),
    **_named(forward_convolution, "conv1d", "conv2d", "conv3d", "_convolution_mode"),
    **_named(forward_convolution, "mkldnn_convolution", "cudnn_convolution", "miopen_convolution"),
    **_named(forward_convolution, "thnn_conv2d", "slow_conv3d", "_slow_conv2d_forward", "_conv_depthwise2d"),
    **_named(transposed_convolution, "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"),
    **_named(convolution_backward, "convolution_backward"),
    **_named(linear, "linear", "mkldnn_linear"),
    **_named(bilinear, "bilinear"),
    **_named(trilinear, "_trilinear"),
    **_named(matmul, "matmul", "mm", "bmm", "mv", "dot", "vdot", "inner", "_scaled_mm", "linalg_vecdot"),
    **_named(added_matmul, "addmm", "baddbmm", "addmv", "_addmm_activation"),
    **_named(added_outer, "addr"),
    **_named(summed_matmul, "addbmm"),
    **_named(grouped_matmul, "_grouped_mm"),
    **_named(distances, "cdist", "_cdist_forward", "_euclidean_dist"),
    **_named(distances_backward, "_cdist_backward"),
    **_named(embedding_bag, "embedding_bag", "_embedding_bag", "_embedding_bag_forward_only"),
    **_named(embedding_bag_backward(8), "_embedding_bag_dense_backward"),
    **_named(embedding_bag_backward(10), "_embedding_bag_backward"),
    **_named(embedding_bag_weights_backward, "_embedding_bag_per_sample_weights_backward"),
}
# Sparse operands have the shapes of dense ones, and int8 weights those of float ones: these are counted as if dense.
AS_IF_DENSE: dict[str, Formula] = {
    **_named(matmul, "_sparse_mm", "_sparse_sparse_matmul"),
    **_named(added_matmul, "_sparse_addmm", "sspaddmm", "sparse_sampled_addmm"),
}


def quantized_linear(call: Call) -> Work:
    """A packed weight hides its shape: output elements times the input features all the same."""
    return products(prod(call.outputs[0]) * call.args[0][-1], prod(call.outputs[0]))


QUANTIZED: dict[str, Formula] = {
    f"quantized::{name}": quantized_linear
    for name in ("linear", "linear_relu", "linear_dynamic", "linear_relu_dynamic", "linear_dynamic_fp16")
}
QUANTIZED |= _named(matmul, "_int_mm", "_weight_int8pack_mm", "_weight_int4pack_mm")
