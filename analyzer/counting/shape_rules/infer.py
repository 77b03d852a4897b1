"""Shape rules: results of the commonest operators on meta tensors, without torch's own Python meta kernels.

On meta the first convolution imports sympy and the first concatenation torch._dynamo, 1.2 s together, and a warm pass
spends most of its time in reference kernels. A rule applies only to plain meta tensors whose shapes and settings it has
checked; otherwise it returns NotImplemented, and torch computes the result or raises. Tests compare every rule with
torch's CPU kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeAlias

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import Parameter

from analyzer.counting.shape_rules import (
    attention,
    channels_last,
    concatenation,
    convolutions,
    matmul,
    pointwise,
    refused_arguments,
)
from analyzer.counting.shape_rules.layouts import is_meta

Rule: TypeAlias = Callable[..., Any]


UNARY = (
    "relu gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu exp neg rsqrt sqrt abs erf "
    "mish softplus relu6 square reciprocal clamp clamp_min log sin cos"
).split()
# Gradients of pointwise functions, of the gradient and of what the function saved.
GRADIENTS = (
    "sigmoid_backward tanh_backward threshold_backward gelu_backward silu_backward hardtanh_backward "
    "leaky_relu_backward hardswish_backward hardsigmoid_backward mish_backward softplus_backward"
).split()
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum"]

# Rules that answer only for contiguous operands, and rules that know every layout.
CONTIGUOUS: dict[str, Rule] = {
    "convolution_backward": convolutions.convolution_backward,
    "max_pool2d": convolutions.max_pool,
    "max_pool2d_with_indices": convolutions.max_pool_with_indices,
    "avg_pool2d": convolutions.avg_pool(2),
    "avg_pool3d": convolutions.avg_pool(3),
    "max_pool2d_with_indices_backward": convolutions.max_pool_backward,
    "avg_pool2d_backward": convolutions.backward_of(convolutions.avg_pool(2)),
    "avg_pool3d_backward": convolutions.backward_of(convolutions.avg_pool(3)),
    "_adaptive_avg_pool2d_backward": convolutions.adaptive_avg_pool_backward,
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), convolutions.adaptive_avg_pool),
    "cat": concatenation.cat,
    "stack": concatenation.stack,
    "constant_pad_nd": concatenation.constant_pad,
    **dict.fromkeys(("mean", "sum"), pointwise.mean),
    "native_batch_norm": pointwise.native_batch_norm,
    **dict.fromkeys(("batch_norm", "instance_norm"), pointwise.batch_norm),
    **dict.fromkeys(("empty_like", "zeros_like", "ones_like"), pointwise.empty_like),
    "_native_multi_head_attention": attention.multi_head,
    "_transformer_encoder_layer_fwd": attention.encoder_layer,
    "lstm": attention.recurrent(4),
    "gru": attention.recurrent(3),
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), attention.recurrent(1)),
}
STRIDED: dict[str, Rule] = {
    "convolution": convolutions.convolution,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), convolutions.conv),
    "group_norm": channels_last.keeps_format("group_norm", pointwise.group_norm),
    "linear": matmul.linear,
    "matmul": matmul.matmul,
    "mm": matmul.mm,
    "bmm": matmul.bmm,
    "addmm": matmul.addmm,
    "layer_norm": pointwise.layer_norm,
    "rms_norm": pointwise.rms_norm,
    "softmax": pointwise.softmax,
    "_softmax": pointwise.native_softmax,
    "dropout": pointwise.dropout,
    "dropout_": pointwise.dropout_in_place,
    "bernoulli_": pointwise.bernoulli_in_place,
    "embedding": matmul.embedding,
    "scaled_dot_product_attention": attention.attention,
    **dict.fromkeys(UNARY, pointwise.unary),
    **{f"{name}_": pointwise.unary_in_place for name in UNARY},
    "clamp": pointwise.clamp,
    **dict.fromkeys(BINARY, pointwise.binary),
    **dict.fromkeys(GRADIENTS, pointwise.gradient),
    **{f"{name}_": pointwise.binary_in_place for name in BINARY},
}
RULES: dict[str, Rule] = {f"aten::{name}": rule for name, rule in {**CONTIGUOUS, **STRIDED}.items()}
# torch does not run these on meta, so the layout of their result is not compared.
WITHOUT_META: dict[str, Rule] = {
    "higher_order::flex_attention": attention.flex_attention,
    "aten::_grouped_mm": matmul.grouped_matmul,
}
_KEEPS_FORMAT: dict[str, Rule] = {f"aten::{name}": channels_last.keeps_format(name) for name in channels_last.NAMES}
_TRANSPOSED = [f"aten::conv_transpose{axes}d" for axes in (1, 2, 3)]
_UPSAMPLES = [
    f"aten::{name}"
    for name in (
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d _upsample_nearest_exact2d "
        "_upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d upsample_trilinear3d upsample_bicubic2d "
        "_upsample_bilinear2d_aa _upsample_bicubic2d_aa"
    ).split()
]
SCATTERS = "scatter scatter_ scatter_add scatter_add_ scatter_reduce scatter_reduce_"
_REFUSALS: dict[str, Rule] = {
    "aten::uniform_": refused_arguments.uniform,
    "aten::multinomial": refused_arguments.multinomial,
    **dict.fromkeys(("aten::index_add", "aten::index_add_"), refused_arguments.index_add),
    **dict.fromkeys([f"aten::{name}" for name in SCATTERS.split()], refused_arguments.scatter),
    "aten::bucketize": refused_arguments.bucketize,
    "aten::sort": refused_arguments.sort,
    "aten::slice_scatter": refused_arguments.slice_scatter,
    "aten::_weight_norm_interface": refused_arguments.weight_norm,
}
_ALL: dict[str, Rule] = {
    **RULES,
    **WITHOUT_META,
    **_KEEPS_FORMAT,
    **dict.fromkeys(_TRANSPOSED, convolutions.conv_transpose),
    **dict.fromkeys(_UPSAMPLES, convolutions.upsample),
    **_REFUSALS,
}
_NUMBERS = frozenset({int, float, bool, str, type(None)})
_MIXED_TYPES: frozenset[Rule] = frozenset(
    (
        matmul.embedding, attention.attention, attention.flex_attention, matmul.grouped_matmul,
        convolutions.max_pool_backward, *_REFUSALS.values(),
    )
)  # fmt: skip
_DROPOUTS = (pointwise.dropout, pointwise.dropout_in_place, pointwise.bernoulli_in_place)
_ANY_TYPE: frozenset[Any] = frozenset(
    {matmul.embedding, concatenation.cat, concatenation.stack, pointwise.empty_like, *_DROPOUTS, *_REFUSALS.values()}
)
_RAISING: frozenset[Any] = frozenset(
    {convolutions.conv, convolutions.convolution, convolutions.conv_transpose, convolutions.upsample}
    | {
        attention.attention,
        pointwise.softmax,
        pointwise.native_softmax,
        pointwise.unary_in_place,
        pointwise.binary_in_place,
        *_DROPOUTS,
        *_REFUSALS.values(),
    }
)
# Errors of a signature or rank that a rule does not support: torch computes the result or raises.
_UNSURE = (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError)
_ANY_LAYOUT = frozenset((*(f"aten::{name}" for name in STRIDED), *WITHOUT_META, *_KEEPS_FORMAT, *_TRANSPOSED))
# Channels last, torch's own meta kernels return another layout.
_CHANNELS_LAST = frozenset(
    (*(f"aten::{name}" for name in ("convolution", "conv2d", "conv3d", "group_norm")), *_KEEPS_FORMAT, *_TRANSPOSED)
)


def infer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, always: bool = False) -> Any:
    """The operator's result on meta by a rule, or NotImplemented if no rule applies.

    `always` applies rules where `without_rules` disables them.

    Raises RuntimeError for what torch's CPU kernels refuse and its meta kernels do not; for types see `refused_types`.
    """
    rule = _ALL.get(name)
    if rule is None or not args or "out" in kwargs:
        return NotImplemented
    tensors: list[Tensor] = []
    any_layout = name in _ANY_LAYOUT
    plain = _plain(args, tensors, any_layout=any_layout) and (
        not kwargs or _plain(kwargs.values(), tensors, any_layout=any_layout)
    )
    if not plain or (
        _without_rules and not always and not (name in _CHANNELS_LAST and any(map(channels_last.format_of, tensors)))
    ):
        if rule in _RAISING and type(args[0]) in (Tensor, Parameter, FakeTensor):
            with suppress(*_UNSURE):
                rule(*args, **kwargs)  # Raises for what torch's meta kernels accept, such as a dilation of 0.
        return NotImplemented
    if rule not in _MIXED_TYPES and tensors:
        dtype = tensors[0].dtype
        for tensor in tensors:
            if tensor.dtype is not dtype:
                return NotImplemented  # Where types mix, torch promotes them or keeps some in float32.
    if tensors and not tensors[0].is_floating_point() and rule not in _ANY_TYPE:
        return NotImplemented  # The kernel may not support the type.
    try:
        result = rule(*args, **kwargs)
    except _UNSURE:
        result = NotImplemented
    return result


_without_rules: list[None] = []


def rules_enabled() -> bool:
    return not _without_rules


@contextmanager
def without_rules() -> Iterator[None]:
    """Disables shape rules within the block: torch computes every operator."""
    _without_rules.append(None)
    try:
        yield
    finally:
        _without_rules.pop()


def _is_row_major(tensor: Tensor) -> bool:
    """Whether kernels take a tensor for contiguous. Some strides fit both formats and are channels-last to them."""
    return tensor.is_contiguous() and (
        tensor.dim() < 4 or tensor.stride(1) != 1 or channels_last.format_of(tensor) is None
    )


def _plain(arguments: Iterable[Any], tensors: list[Tensor], *, any_layout: bool) -> bool:
    """Whether every tensor is an ordinary meta tensor, contiguous if the rule needs that; adds them to `tensors`.

    Compares exact types, since this is called for every argument of every operator.
    """
    for argument in arguments:
        kind = type(argument)
        if kind is Tensor or kind is Parameter:
            if not is_meta(argument) or not (any_layout or argument.dim() <= 2 or _is_row_major(argument)):
                return False
            tensors.append(argument)
        elif kind not in _NUMBERS:
            nested = hasattr(argument, "__iter__")
            if isinstance(argument, Tensor) or (nested and not _plain(argument, tensors, any_layout=any_layout)):
                return False
    return True
