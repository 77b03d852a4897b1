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

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import Parameter
from torch.utils._pytree import tree_leaves

from analyzer.counting.shape_rules import attention, pointwise, products

Rule: TypeAlias = Callable[..., Any]


def _declines(*args: Any, **kwargs: Any) -> Any:
    """For operators of which only the types are checked."""
    return NotImplemented


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
    "convolution": products.convolution,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), products.conv),
    "max_pool2d": products.max_pool,
    "max_pool2d_with_indices": products.max_pool_with_indices,
    "avg_pool2d": products.avg_pool(2),
    "avg_pool3d": products.avg_pool(3),
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), products.adaptive_avg_pool),
    "cat": products.cat,
    "stack": products.stack,
    "constant_pad_nd": products.constant_pad,
    **dict.fromkeys(("mean", "sum"), pointwise.mean),
    "native_batch_norm": pointwise.native_batch_norm,
    **dict.fromkeys(("batch_norm", "instance_norm"), pointwise.batch_norm),
    "group_norm": pointwise.group_norm,
    **dict.fromkeys(("empty_like", "zeros_like", "ones_like"), pointwise.empty_like),
    "_native_multi_head_attention": attention.multi_head,
    "_transformer_encoder_layer_fwd": attention.encoder_layer,
    "lstm": attention.recurrent(4),
    "gru": attention.recurrent(3),
    **dict.fromkeys(("rnn_tanh", "rnn_relu"), attention.recurrent(1)),
}
STRIDED: dict[str, Rule] = {
    "linear": products.linear,
    "matmul": products.matmul,
    "mm": products.mm,
    "bmm": products.bmm,
    "addmm": products.addmm,
    "layer_norm": pointwise.layer_norm,
    "rms_norm": pointwise.rms_norm,
    "softmax": pointwise.softmax,
    "_softmax": pointwise.native_softmax,
    "dropout": pointwise.dropout,
    "dropout_": pointwise.dropout_in_place,
    "bernoulli_": pointwise.bernoulli_in_place,
    "embedding": products.embedding,
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
    "aten::_grouped_mm": products.grouped_matmul,
}
# torch's meta kernels accept operands of different types here, and booleans; its CPU kernels raise.
SAME_TYPE = frozenset(
    f"aten::{name}"
    for name in (
        "linear matmul mm bmm mv addmm addmv addbmm baddbmm dot vdot inner bilinear convolution conv1d conv2d conv3d "
        "conv_transpose1d conv_transpose2d conv_transpose3d tensordot"
    ).split()
)
# As above, but operands are in floating point, and those in half precision may have parameters in float32.
SAME_TYPE_OR_FLOAT = frozenset(
    f"aten::{name}"
    for name in "batch_norm native_batch_norm layer_norm native_layer_norm group_norm native_group_norm".split()
)
# As above, for a first operand that is not in floating point, unless a result type is given.
FLOATING = frozenset(
    f"aten::{name}"
    for name in (
        "gelu silu mish hardswish hardsigmoid elu celu selu hardshrink softshrink log_sigmoid glu softmax log_softmax "
        "_softmax _log_softmax adaptive_max_pool2d adaptive_max_pool3d upsample_linear1d upsample_bilinear2d "
        "upsample_bicubic2d upsample_trilinear3d"
    ).split()
)
HALF = (torch.float16, torch.bfloat16)
_CHECKED = SAME_TYPE | SAME_TYPE_OR_FLOAT | FLOATING
_TRANSPOSED = [f"aten::conv_transpose{axes}d" for axes in (1, 2, 3)]
_ALL: dict[str, Rule] = {
    **dict.fromkeys(_CHECKED, _declines),
    **RULES,
    **WITHOUT_META,
    **dict.fromkeys(_TRANSPOSED, products.conv_transpose),
}
_NUMBERS = frozenset({int, float, bool, str, type(None)})
_MIXED_TYPES: frozenset[Rule] = frozenset(
    {products.embedding, attention.attention, attention.flex_attention, products.grouped_matmul}
)
_RAISING: frozenset[Rule] = frozenset(
    {products.conv, products.convolution, products.conv_transpose, pointwise.unary_in_place, pointwise.binary_in_place}
)
# Errors of a signature or rank that a rule does not support: torch computes the result or raises.
_UNSURE = (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError)
_ANY_LAYOUT = frozenset((*(f"aten::{name}" for name in STRIDED), *WITHOUT_META))


def infer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator's result on meta by a rule, or NotImplemented if no rule applies.

    Raises RuntimeError for types with which torch's CPU kernels raise and its meta kernels do not.
    """
    rule = _ALL.get(name)
    if rule is None or not args or "out" in kwargs:
        return NotImplemented
    tensors: list[Tensor] = []
    any_layout = name in _ANY_LAYOUT
    plain = _plain(args, tensors, any_layout=any_layout) and (
        not kwargs or _plain(kwargs.values(), tensors, any_layout=any_layout)
    )
    if not plain or _without_rules:
        if name in _CHECKED:
            _check_types(name, (args, kwargs))
        if rule in _RAISING and type(args[0]) in (Tensor, Parameter, FakeTensor):
            with suppress(*_UNSURE):
                rule(*args, **kwargs)  # Raises for what torch's meta kernels accept, such as a dilation of 0.
        return NotImplemented
    if rule not in _MIXED_TYPES and any(tensor.dtype is not tensors[0].dtype for tensor in tensors):
        if name in _CHECKED:
            _check_types(name, (args, kwargs))
        return NotImplemented  # Where types mix, torch promotes them or keeps some in float32.
    if name in _CHECKED and tensors and not tensors[0].is_floating_point():
        _check_types(name, (args, kwargs))
    try:
        result = rule(*args, **kwargs)
    except _UNSURE:
        result = NotImplemented
    return result


# torch's own getter: during a pass the attribute of a tensor may be replaced by a slower one.
_is_meta = torch._C.TensorBase.is_meta.__get__  # type: ignore[attr-defined]
_without_rules: list[None] = []


@contextmanager
def without_rules() -> Iterator[None]:
    """Disables shape rules within the block: torch computes every operator."""
    _without_rules.append(None)
    try:
        yield
    finally:
        _without_rules.pop()


def _plain(arguments: Iterable[Any], tensors: list[Tensor], *, any_layout: bool) -> bool:
    """Whether every tensor is an ordinary meta tensor, contiguous if the rule needs that; adds them to `tensors`.

    Compares exact types, since this is called for every argument of every operator.
    """
    for argument in arguments:
        kind = type(argument)
        if kind is Tensor or kind is Parameter:
            if not _is_meta(argument) or not (any_layout or argument.is_contiguous() or argument.dim() <= 2):
                return False
            tensors.append(argument)
        elif kind not in _NUMBERS:
            nested = hasattr(argument, "__iter__")
            if isinstance(argument, Tensor) or (nested and not _plain(argument, tensors, any_layout=any_layout)):
                return False
    return True


def _check_types(name: str, arguments: Any) -> None:
    """Raises RuntimeError if meta or fake operands have types with which torch raises on real tensors."""
    leaves = tree_leaves(arguments)
    tensors = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
    simulated = all(tensor.is_meta or hasattr(tensor, "fake_mode") for tensor in tensors)
    if not tensors or not simulated or any(isinstance(leaf, torch.dtype) for leaf in leaves):
        return
    if name in FLOATING:
        if not tensors[0].is_floating_point() and not tensors[0].is_complex():
            raise RuntimeError(f"{name} has no kernel for {str(tensors[0].dtype).removeprefix('torch.')}")
        return
    first, rest = tensors[0].dtype, {tensor.dtype for tensor in tensors[1:]}
    if first is torch.bool or (name in SAME_TYPE_OR_FLOAT and not first.is_floating_point):
        raise RuntimeError(f"{name} has no kernel for {str(first).removeprefix('torch.')}")
    if name in SAME_TYPE_OR_FLOAT and first in HALF and rest <= {first, torch.float32}:
        return
    if rest - {first}:
        types = ", ".join(str(tensor.dtype).removeprefix("torch.") for tensor in tensors)
        raise RuntimeError(f"{name} needs operands of the same dtype, got {types}")
