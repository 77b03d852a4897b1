"""MACs of convolutions and linear layers, each formula from the shapes of one call.

No formula is shared with the closed form, so that equal results are evidence that both are right. Operators are named
as in torch's schemas. In inference mode torch dispatches what the user called (`conv2d`, `linear`); under autograd it
dispatches the decompositions (`convolution`, `addmm`). Both have formulas here. In-place and `out` variants follow from
their functional form, see `classify`.
"""

from __future__ import annotations

from math import prod

from analyzer.core.shapes import Shape
from analyzer.counting.operators.call import Call, Formula, Work, named, products


def convolution(call: Call) -> Work:
    """Every output element is a dot product with one filter; transposed, every input element is multiplied with one."""
    source, filters, bias = call.args[:3]
    moved = source if call.arg(6, "transposed", False) else call.outputs[0]
    return _filtered(moved, filters, bias, call.outputs[0])


def forward_convolution(call: Call) -> Work:
    """`conv1d`, `conv2d`, `conv3d` with any padding, also by name ("same"), dilated and grouped."""
    return _filtered(call.outputs[0], call.args[1], call.arg(2, "bias"), call.outputs[0])


def sized_convolution(call: Call) -> Work:
    """torch's own CPU and CUDA kernels, whose third argument is the kernel's size."""
    return _filtered(call.outputs[0], call.args[1], call.arg(3, "bias"), call.outputs[0])


def transposed_convolution(call: Call) -> Work:
    """`conv_transpose1d` to 3d: every input element is multiplied into one filter."""
    return _filtered(call.args[0], call.args[1], call.arg(2, "bias"), call.outputs[0])


def sized_transposed_convolution(call: Call) -> Work:
    return _filtered(call.args[0], call.args[1], call.arg(3, "bias"), call.outputs[0])


def _filtered(moved: Shape, filters: Shape, bias: Shape | None, output: Shape) -> Work:
    """`filters` is (out, in / groups, *kernel), transposed (in, out / groups, *kernel)."""
    return products(prod(moved) * prod(filters[1:]), prod(output) if isinstance(bias, tuple) else 0)


def convolution_backward(call: Call) -> Work:
    """The gradients of input and weight cost one forward pass each, for any groups; the bias's gradient is a sum."""
    gradient, source, filters = call.args[:3]
    transposed = call.arg(7, "transposed", False)
    to_input, to_weight, to_bias = call.arg(10, "output_mask")
    macs = prod(source if transposed else gradient) * prod(filters[1:])
    return products(macs * (bool(to_input) + bool(to_weight)), prod(gradient) if to_bias else 0)


def time_first_convolution(call: Call) -> Work:
    """`conv_tbc` over (time, batch, channels) with filters (kernel, in, out); it always has a bias."""
    kernel, channels, _ = call.args[1]
    return products(prod(call.outputs[0]) * kernel * channels, prod(call.outputs[0]))


def deformable_convolution(call: Call) -> Work:
    """A convolution whose every tap is a bilinear sample, 7 operations, and 1 more where a mask scales it."""
    source, filters = call.args[:2]
    output = call.outputs[0]
    samples = output[0] * source[1] * prod(filters[2:]) * prod(output[2:])
    return products(prod(output) * prod(filters[1:]), prod(output) + samples * (7 + bool(call.args[-1])))


def deformable_convolution_backward(call: Call) -> Work:
    gradient, _, filters = call.args[:3]
    return products(2 * prod(gradient) * prod(filters[1:]))


def affine_grid(call: Call) -> Work:
    """(batch, points, 3) · (batch, 3, 2) in a plane, (batch, points, 4) · (batch, 4, 3) in space."""
    return products(prod(call.outputs[0]) * call.args[0][-1])


def linear(call: Call) -> Work:
    """Each output element is a dot product over the input features."""
    bias = call.arg(2, "bias")
    return products(prod(call.outputs[0]) * call.args[1][-1], prod(call.outputs[0]) if bias is not None else 0)


def linear_backward(call: Call) -> Work:
    source, gradient, _, mask = call.args[:4]
    return products(prod(gradient) * source[-1] * (bool(mask[0]) + bool(mask[1])), prod(gradient) * bool(mask[2]))


def bilinear(call: Call) -> Work:
    """x1 · W · x2 for each output: in1 · in2 products with the weights, then in2 with x2."""
    output, second = prod(call.outputs[0]), call.args[1][-1]
    bias = call.arg(3, "bias")
    return products(output * (call.args[0][-1] * second + second), output if bias is not None else 0)


def trilinear(call: Call) -> Work:
    """The operator of a bilinear layer and its gradients: three operands, each without some axes, summed over others.

    The first two are multiplied over all their axes and summed over those that the third lacks; then the third. A step
    without a summed axis is elementwise.
    """
    *operands, missing1, missing2, missing3, summed = [list(value) for value in call.args[:7]]
    for operand, axes in zip(operands, (missing1, missing2, missing3), strict=True):
        for axis in axes:
            operand.insert(axis, 1)
    first = [max(sizes) for sizes in zip(*operands[:2], strict=True)]
    second = [max(sizes) for sizes in zip(first, operands[2], strict=True)]
    early = set(summed) & set(missing3)
    for axis in early:
        second[axis] = 1
    macs = flops = 0
    for size, is_summed in ((prod(first), early), (prod(second), set(summed) - early)):
        macs += size if is_summed else 0
        flops += 0 if is_summed else size
    return products(macs, flops)


def grouped_matmul(bias: int) -> Formula:
    """`_grouped_mm`, as in mixtures of experts: one product per group, so each token is multiplied by one matrix.

    With two axes each, the summed axis is divided among the groups. `bias` is the place of an optional bias.
    """

    def work(call: Call) -> Work:
        left, right = call.args[:2]
        shared = len(left) == len(right) == 2
        output, biased = prod(call.outputs[0]), call.arg(bias, "bias") is not None
        return products(prod(left) * right[-1] if shared else output * left[-1], output if biased else 0)

    return work


def listed_matmul(call: Call) -> Work:
    return products(sum(prod(output) * left[-1] for left, output in zip(call.args[0], call.outputs, strict=True)))


CONVOLUTIONS_AND_LINEAR: dict[str, Formula] = {
    **named(convolution, "convolution _convolution convolution_overrideable"),
    **named(forward_convolution, "conv1d conv2d conv3d _convolution_mode mkldnn_convolution cudnn_convolution"),
    **named(forward_convolution, "cudnn_convolution_relu miopen_convolution miopen_convolution_relu"),
    **named(forward_convolution, "miopen_depthwise_convolution _nnpack_spatial_convolution _mps_convolution"),
    **named(sized_convolution, "thnn_conv2d slow_conv3d _slow_conv2d_forward slow_conv3d_forward _conv_depthwise2d"),
    **named(sized_convolution, "conv_depthwise3d slow_conv_dilated2d slow_conv_dilated3d"),
    **named(transposed_convolution, "conv_transpose1d conv_transpose2d conv_transpose3d"),
    **named(transposed_convolution, "cudnn_convolution_transpose miopen_convolution_transpose"),
    **named(transposed_convolution, "_mps_convolution_transpose"),
    **named(sized_transposed_convolution, "slow_conv_transpose2d slow_conv_transpose3d"),
    **named(convolution_backward, "convolution_backward"),
    **named(time_first_convolution, "conv_tbc"),
    **named(deformable_convolution, "deform_conv2d", "torchvision"),
    **named(deformable_convolution_backward, "_deform_conv2d_backward", "torchvision"),
    **named(affine_grid, "affine_grid_generator cudnn_affine_grid_generator"),
    **named(linear, "linear mkldnn_linear"),
    **named(linear_backward, "linear_backward mkldnn_linear_backward"),
    **named(bilinear, "bilinear"),
    **named(trilinear, "_trilinear"),
    **named(grouped_matmul(3), "_grouped_mm"),
    **named(grouped_matmul(3), "grouped_mm_fallback", "transformers"),
    **named(listed_matmul, "_foreach_mm"),
}
