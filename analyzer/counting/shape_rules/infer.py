"""Shape rules: what the commonest operators make of meta tensors, without torch's own Python kernels for them.

On meta the first convolution imports sympy and the first concatenation torch._dynamo, 1.2 s together, and a warm pass
spends most of its time in reference kernels. A rule answers only for plain meta tensors that it is sure of, and
otherwise declines, so that torch answers. Tests hold every rule against torch's own kernels on real tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from torch import Tensor
from torch.nn import Parameter

from analyzer.counting.shape_rules.attention import attention, encoder_layer, flex_attention, multi_head, recurrent
from analyzer.counting.shape_rules.rules import (
    adaptive_avg_pool,
    addmm,
    avg_pool,
    avg_pool3d,
    binary,
    cat,
    constant_pad,
    conv,
    convolution,
    dropout,
    embedding,
    empty_like,
    grouped_matmul,
    in_place,
    linear,
    matmul,
    max_pool,
    max_pool_with_indices,
    mean,
    native_batch_norm,
    same_shape,
    softmax,
    unary,
)

Rule: TypeAlias = Callable[..., Any]


UNARY = (
    "relu gelu silu sigmoid tanh hardswish hardsigmoid hardtanh leaky_relu elu exp neg rsqrt sqrt abs erf "
    "mish softplus relu6 square reciprocal clamp clamp_min log sin cos"
).split()
BINARY = ["add", "sub", "mul", "div", "pow", "maximum", "minimum"]
NORMS = ["batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"]

CONTIGUOUS: dict[str, Rule] = {
    "convolution": convolution,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), conv),
    "max_pool2d": max_pool,
    "max_pool2d_with_indices": max_pool_with_indices,
    "avg_pool2d": avg_pool,
    "avg_pool3d": avg_pool3d,
    **dict.fromkeys(("adaptive_avg_pool2d", "_adaptive_avg_pool2d"), adaptive_avg_pool),
    "cat": cat,
    "constant_pad_nd": constant_pad,
    "mean": mean,
    "native_batch_norm": native_batch_norm,
    "batch_norm": same_shape,
    "group_norm": same_shape,
    "instance_norm": same_shape,
    "empty_like": empty_like,
    "_native_multi_head_attention": multi_head,
    "_transformer_encoder_layer_fwd": encoder_layer,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), recurrent),
}
STRIDED: dict[str, Rule] = {
    "linear": linear,
    "matmul": matmul,
    "mm": matmul,
    "bmm": matmul,
    "addmm": addmm,
    "layer_norm": same_shape,
    "rms_norm": same_shape,
    "softmax": softmax,
    "_softmax": lambda source, dim, half: NotImplemented if half else same_shape(source),
    "dropout": dropout,
    "embedding": embedding,
    "scaled_dot_product_attention": attention,
    "bernoulli_": in_place,
    **dict.fromkeys(UNARY, unary),
    **{f"{name}_": in_place for name in (*UNARY, *BINARY, "dropout")},
    **dict.fromkeys(BINARY, binary),
}
RULES: dict[str, Rule] = {f"aten::{name}": rule for name, rule in {**CONTIGUOUS, **STRIDED}.items()}
# What torch itself does not run on meta; their result's layout is not theirs to choose.
OTHERS: dict[str, Rule] = {"higher_order::flex_attention": flex_attention, "aten::_grouped_mm": grouped_matmul}
NUMBERS = frozenset({int, float, bool, str, type(None)})
MIXED: frozenset[Rule] = frozenset({embedding, attention, flex_attention, grouped_matmul})
ANY_LAYOUT = frozenset((*(f"aten::{name}" for name in STRIDED), *OTHERS))


def infer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The operator's result on meta by rule, or NotImplemented where no rule is sure of it."""
    rule = RULES.get(name) or OTHERS.get(name)
    if rule is None or not args or "out" in kwargs:
        return NotImplemented
    tensors: list[Tensor] = []
    any_layout = name in ANY_LAYOUT
    if not _plain(args, tensors, any_layout=any_layout):
        return NotImplemented
    if rule not in MIXED and any(tensor.dtype is not tensors[0].dtype for tensor in tensors):
        return NotImplemented  # Where types mix, torch promotes them or keeps some in float32.
    if kwargs and not _plain(kwargs.values(), tensors, any_layout=any_layout):
        return NotImplemented
    try:
        return rule(*args, **kwargs)
    except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return (
            NotImplemented  # A signature or rank that the rule was not made for: torch answers, or says what is wrong.
        )


def _plain(arguments: Iterable[Any], found: list[Tensor], *, any_layout: bool) -> bool:
    """Whether every tensor is an ordinary one on meta, and laid out in order if the rule needs that; adds them.

    By exact type, since it is asked of every argument of every call.
    """
    for argument in arguments:
        kind = type(argument)
        if kind is Tensor or kind is Parameter:
            if not argument.is_meta or not (any_layout or argument.is_contiguous() or argument.dim() <= 2):
                return False
            found.append(argument)
        elif kind not in NUMBERS:
            inside = hasattr(argument, "__iter__")
            if isinstance(argument, Tensor) or (inside and not _plain(argument, found, any_layout=any_layout)):
                return False
    return True
