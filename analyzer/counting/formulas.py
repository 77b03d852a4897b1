"""What each aten operator costs, from the shapes it was called with: three explicit sets, formula, free and unknown.

A formula sees shapes only. It shares nothing with the closed form, which never sees an operator: their agreement
would prove nothing if they did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]


class Work(NamedTuple):
    """Multiply-adds and operations of one call."""

    macs: int = 0
    flops: int = 0


class Call(NamedTuple):
    """One operator call: tensors stand as their shapes, everything else as it was passed."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Shape, ...]

    def arg(self, index: int, name: str, default: Any = None) -> Any:
        return self.args[index] if index < len(self.args) else self.kwargs.get(name, default)


Formula: TypeAlias = Callable[[Call], Work]


def _products(macs: int, additions: int = 0) -> Work:
    return Work(macs, 2 * macs + additions)


def convolution(call: Call) -> Work:
    """Every output element is a dot product with one filter; transposed, every input element spreads over one."""
    source, filters, bias = call.args[:3]
    transposed = call.arg(6, "transposed", False)
    moved = source if transposed else call.outputs[0]
    return _products(prod(moved) * prod(filters[1:]), prod(call.outputs[0]) if bias is not None else 0)


def addmm(call: Call) -> Work:
    """(rows x depth) · (depth x columns), and the bias added to every element."""
    _, left, right = call.args[:3]
    return _products(left[0] * left[1] * right[1], left[0] * right[1])


def mm(call: Call) -> Work:
    left, right = call.args[:2]
    return _products(left[0] * left[1] * right[1])


def bmm(call: Call) -> Work:
    left, right = call.args[:2]
    return _products(left[0] * left[1] * left[2] * right[2])


def window(call: Call) -> Work:
    """A pool reads its window once an output element; a square kernel may be given as one number."""
    kernel = call.args[1]
    size = kernel[0] * kernel[-1] if isinstance(kernel, Sequence) else kernel * kernel
    return Work(flops=prod(call.outputs[0]) * size)


def per_input(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(call.args[0]))


def per_output(each: int) -> Formula:
    return lambda call: Work(flops=each * prod(call.outputs[0]))


def batch_norm(training_index: int) -> Formula:
    """2 an element where the statistics are given, 6 where they are taken from the batch."""

    def work(call: Call) -> Work:
        each = 6 if call.arg(training_index, "training") else 2
        return Work(flops=each * prod(call.args[0]))

    return work


FORMULAS: dict[str, Formula] = {
    "aten::convolution": convolution,
    "aten::_convolution": convolution,
    "aten::addmm": addmm,
    "aten::mm": mm,
    "aten::bmm": bmm,
    "aten::max_pool2d_with_indices": window,
    "aten::avg_pool2d": window,
    "aten::_adaptive_avg_pool2d": per_input(1),
    "aten::mean": per_input(1),
    "aten::native_batch_norm": batch_norm(5),
    "aten::_native_batch_norm_legit": batch_norm(5),
    "aten::_batch_norm_with_update": per_input(6),
    "aten::_batch_norm_no_update": per_input(2),
    "aten::cudnn_batch_norm": batch_norm(5),
    "aten::miopen_batch_norm": batch_norm(5),
    "aten::native_dropout": per_output(2),
    **dict.fromkeys(("aten::_softmax", "aten::_log_softmax"), per_output(5)),
    **dict.fromkeys(
        (
            f"aten::{name}{place}"
            for name in (
                "relu",
                "add",
                "sub",
                "mul",
                "div",
                "pow",
                "neg",
                "exp",
                "sqrt",
                "sigmoid",
                "tanh",
                "threshold",
            )
            for place in ("", "_")
        ),
        per_output(1),
    ),
}

# Nothing is computed and nothing moves: the output is the input, seen otherwise, or not yet written.
VIEWS = frozenset(
    f"aten::{name}"
    for name in [
        "alias",
        "as_strided",
        "detach",
        "diagonal",
        "empty",
        "empty_like",
        "empty_strided",
        "expand",
        "lift_fresh",
        "new_empty",
        "permute",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "t",
        "transpose",
        "unbind",
        "unfold",
        "unsqueeze",
        "view",
        "_reshape_alias",
        "_unsafe_view",
    ]
)

# Nothing is computed, but data moves: counted in bytes.
COPIES = frozenset(
    f"aten::{name}"
    for name in [
        "cat",
        "clone",
        "constant_pad_nd",
        "copy_",
        "fill",
        "fill_",
        "full",
        "full_like",
        "index_select",
        "new_zeros",
        "ones",
        "ones_like",
        "scalar_tensor",
        "stack",
        "zero_",
        "zeros",
        "zeros_like",
        "_to_copy",
    ]
)


# Modules whose operators are an implementation detail: one formula for the module's call, in place of their sum.
# It sees the module's settings, its input's shape and its output's shape.
def local_response_norm(module: Any, source: Shape, output: Shape) -> Work:
    """torch takes it apart into a square, a padded 3-d average pool and four elementwise operators."""
    squares, sums, scale_add_power_divide = module.size, module.size - 1, 4
    return Work(flops=prod(output) * (squares + sums + scale_add_power_divide))


def dropout(module: Any, source: Shape, output: Shape) -> Work:
    """Mask and scale, however many operators torch draws the mask with; nothing at inference."""
    return Work(flops=2 * prod(source) if module.training else 0)


MODULES: dict[str, Callable[[Any, Shape, Shape], Work]] = {
    "LocalResponseNorm": local_response_norm,
    "Dropout": dropout,
}
