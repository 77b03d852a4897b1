"""The shape rules of the operators that users call, against torch's own kernels: shapes, types and, where a rule lays
its output out, strides. Attention and recurrent operators among them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from analyzer.counting.shape_rules.infer import BINARY, UNARY, infer

ATEN = torch.ops.aten


def made(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape).to(dtype) + 0.5 if dtype.is_floating_point else torch.ones(shape, dtype=dtype)


def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return type(value)(map(on_meta, value)) if isinstance(value, list | tuple) else value


def described(value: Any) -> Any:
    """Shape, type and strides; an axis of one element has no stride to speak of."""
    if isinstance(value, Tensor):
        strides = tuple(step for step, size in zip(value.stride(), value.shape, strict=True) if size > 1)
        return tuple(value.shape), value.dtype, strides
    return [described(item) for item in value]


def holds(kernel: Any, *args: Any, **kwargs: Any) -> None:
    answer = infer(kernel._schema.name, tuple(map(on_meta, args)), kwargs)
    assert answer is not NotImplemented, "the rule declined what it should know"
    with torch.inference_mode():
        assert described(answer) == described(kernel(*args, **kwargs))


IMAGE, WEIGHT, BIAS = made(2, 4, 9, 7), made(6, 2, 3, 3), made(6)
CELL = (made(5, 2, 6), made(1, 2, 4), [made(4, 6), made(4, 4)], False, 1, 0.0, False, False, False)
CASES = {
    "conv1d": (ATEN.conv1d.default, made(2, 4, 9), made(6, 4, 3), made(6), [2], [1], [1], 1),
    "conv1d defaults": (ATEN.conv1d.default, made(2, 4, 9), made(6, 4, 3)),
    "conv2d": (ATEN.conv2d.default, IMAGE, WEIGHT, BIAS, [2, 1], [1, 0], [1, 2], 2),
    "conv2d same": (ATEN.conv2d.padding, IMAGE, WEIGHT, BIAS, [1, 1], "same", [1, 1], 2),
    "conv2d valid": (ATEN.conv2d.padding, IMAGE, WEIGHT, BIAS, [1, 1], "valid", [1, 1], 2),
    "conv3d": (ATEN.conv3d.default, made(1, 2, 5, 6, 7), made(4, 2, 3, 3, 3), None, [1, 2, 1], [0, 1, 1], [1, 1, 1], 1),
    "max_pool2d": (ATEN.max_pool2d.default, IMAGE, [3, 3], [2, 2], [1, 1], [1, 1], True),
    "max_pool2d of an unbatched image": (ATEN.max_pool2d.default, made(4, 9, 7), [2, 2]),
    "adaptive_avg_pool2d": (ATEN.adaptive_avg_pool2d.default, IMAGE, [3, 2]),
    "_adaptive_avg_pool2d": (ATEN._adaptive_avg_pool2d.default, IMAGE, [3, 2]),
    "batch_norm": (ATEN.batch_norm.default, IMAGE, *(made(4) for _ in range(4)), False, 0.1, 1e-5, True),
    "batch_norm in training": (ATEN.batch_norm.default, IMAGE, *(made(4) for _ in range(4)), True, 0.1, 1e-5, True),
    "group_norm": (ATEN.group_norm.default, IMAGE, 2, made(4), made(4)),
    "instance_norm": (ATEN.instance_norm.default, IMAGE, made(4), made(4), None, None, True, 0.1, 1e-5, True),
    "layer_norm": (ATEN.layer_norm.default, made(2, 5, 6), [6], made(6), made(6)),
    "layer_norm, transposed": (ATEN.layer_norm.default, made(2, 6, 5).transpose(1, 2), [6], made(6), made(6)),
    "rms_norm": (ATEN.rms_norm.default, made(2, 5, 6), [6], made(6)),
    "linear": (ATEN.linear.default, made(2, 5, 6), made(3, 6), made(3)),
    "linear, transposed": (ATEN.linear.default, made(2, 6, 5).transpose(1, 2), made(3, 6), made(3)),
    "linear of one vector": (ATEN.linear.default, made(6), made(3, 6)),
    "matmul": (ATEN.matmul.default, made(2, 5, 6), made(2, 6, 3)),
    "mm": (ATEN.mm.default, made(5, 6), made(6, 3)),
    "bmm": (ATEN.bmm.default, made(2, 5, 6), made(2, 6, 3)),
    "bmm, transposed": (ATEN.bmm.default, made(2, 5, 6), made(2, 3, 6).transpose(1, 2)),
    "softmax": (ATEN.softmax.int, made(2, 5, 6), -1),
    "softmax to another type": (ATEN.softmax.int, made(2, 5, 6), 1, torch.float64),
    "_softmax": (ATEN._softmax.default, made(2, 5, 6), 1, False),
    "embedding": (ATEN.embedding.default, made(10, 4), torch.zeros(2, 3, dtype=torch.int64)),
    "dropout in training": (ATEN.dropout.default, made(2, 5), 0.5, True),
    "dropout_": (ATEN.dropout_.default, made(2, 5), 0.5, True),
    "attention": (ATEN.scaled_dot_product_attention.default, *(made(2, 4, 5, 8) for _ in range(3))),
    "attention of heads last": (
        ATEN.scaled_dot_product_attention.default,
        *(made(2, 5, 4, 8).transpose(1, 2) for _ in range(3)),
    ),
    "attention of one packed projection": (
        ATEN.scaled_dot_product_attention.default,
        *made(2, 5, 3, 4, 8).permute(2, 0, 3, 1, 4).unbind(0),
    ),
    "attention to another length": (
        ATEN.scaled_dot_product_attention.default,
        made(2, 4, 5, 8),
        made(2, 4, 7, 8),
        made(2, 4, 7, 8),
        torch.ones(5, 7, dtype=torch.bool),
    ),
    "attention to wider values": (
        ATEN.scaled_dot_product_attention.default,
        made(2, 4, 5, 8),
        made(2, 4, 7, 8),
        made(2, 4, 7, 6),
    ),
    "attention without a batch": (ATEN.scaled_dot_product_attention.default, *(made(4, 5, 8) for _ in range(3))),
    "_native_multi_head_attention": (
        ATEN._native_multi_head_attention.default,
        *(made(2, 5, 8),) * 3,
        8,
        2,
        made(24, 8),
        made(24),
        made(8, 8),
        made(8),
    ),
    "_native_multi_head_attention, weights a head": (
        ATEN._native_multi_head_attention.default,
        *(made(2, 5, 8),) * 3,
        8,
        2,
        made(24, 8),
        made(24),
        made(8, 8),
        made(8),
        None,
        True,
        False,
    ),
    "_transformer_encoder_layer_fwd": (
        ATEN._transformer_encoder_layer_fwd.default,
        made(2, 5, 8),
        8,
        2,
        made(24, 8),
        made(24),
        made(8, 8),
        made(8),
        False,
        False,
        1e-5,
        *(made(8) for _ in range(4)),
        made(16, 8),
        made(16),
        made(8, 16),
        made(8),
    ),
    "lstm": (
        ATEN.lstm.input,
        made(5, 2, 6),
        [made(1, 2, 4), made(1, 2, 4)],
        [made(16, 6), made(16, 4), made(16), made(16)],
        True,
        1,
        0.0,
        False,
        False,
        False,
    ),
    "lstm with a projection": (
        ATEN.lstm.input,
        made(5, 2, 6),
        [made(1, 2, 3), made(1, 2, 4)],
        [made(16, 6), made(16, 3), made(16), made(16), made(3, 4)],
        True,
        1,
        0.0,
        False,
        False,
        False,
    ),
    "gru both ways, batch first": (
        ATEN.gru.input,
        made(2, 5, 6),
        made(2, 2, 4),
        [made(12, 6), made(12, 4)] * 2,
        False,
        1,
        0.0,
        False,
        True,
        True,
    ),
    "rnn_tanh": (
        ATEN.rnn_tanh.input,
        made(5, 2, 6),
        made(1, 2, 4),
        [made(4, 6), made(4, 4)],
        False,
        1,
        0.0,
        *[False] * 3,
    ),
    "rnn_relu": (
        ATEN.rnn_relu.input,
        made(5, 2, 6),
        made(1, 2, 4),
        [made(4, 6), made(4, 4)],
        False,
        1,
        0.0,
        *[False] * 3,
    ),
}
POINTWISE = [f"aten::{name}{place}" for name in (*UNARY, *BINARY) for place in ("", "_")]
HELD = {*POINTWISE, *(kernel._schema.name for kernel, *_ in CASES.values())}


@pytest.mark.parametrize("case", CASES)
def test_the_rule_answers_as_torch_does(case):
    kernel, *args = CASES[case]
    if case.startswith(("lstm", "gru")):
        # oneDNN's recurrent layers hand their outputs out in an order of their own; what is compared is shapes.
        answer = infer(kernel._schema.name, tuple(map(on_meta, args)), {})
        with torch.inference_mode():
            real = kernel(*args)
        assert [tuple(t.shape) for t in answer] == [tuple(t.shape) for t in real]
        assert {t.dtype for t in answer} == {t.dtype for t in real}
    else:
        holds(kernel, *args)


LAYOUTS = {
    "in order": lambda t: t,
    "channels last": lambda t: t.to(memory_format=torch.channels_last),
    "permuted": lambda t: t.permute(3, 0, 2, 1),
    "with gaps": lambda t: t[:, :, ::2],
}
SETTINGS: dict[str, tuple[Any, ...]] = {"clamp": (0.0, 1.0), "clamp_min": (0.0,)}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", UNARY)
def test_pointwise_functions_keep_the_layout(name, layout):
    packet = getattr(ATEN, name)
    source = LAYOUTS[layout](made(2, 3, 4, 5))
    holds(packet.default, source, *SETTINGS.get(name, ()))


@pytest.mark.parametrize("name", [name for name in UNARY if hasattr(ATEN, f"{name}_")])
def test_pointwise_functions_in_place(name):
    kernel = getattr(ATEN, f"{name}_").default
    holds(kernel, made(2, 3), *SETTINGS.get(name, ()))


def kernels(name: str) -> tuple[Any, Any]:
    packet = getattr(ATEN, name)
    overloads = packet.overloads()
    tensors = "Tensor" if "Tensor" in overloads else "Tensor_Tensor" if "Tensor_Tensor" in overloads else "default"
    numbers = "Tensor_Scalar" if "Tensor_Scalar" in overloads else "Scalar" if "Scalar" in overloads else ""
    return getattr(packet, tensors), getattr(packet, numbers) if numbers else None


@pytest.mark.parametrize("name", BINARY)
def test_pointwise_operators(name):
    tensors, numbers = kernels(name)
    holds(tensors, made(2, 3, 4), made(2, 3, 4))
    holds(tensors, made(2, 3, 4), made(3, 1))
    holds(tensors, made(4), made(2, 3, 4))
    image = made(2, 3, 4, 5).to(memory_format=torch.channels_last)
    holds(tensors, image, image)
    if numbers is not None:
        holds(numbers, made(2, 3), 2.5)
    mixed = infer(tensors._schema.name, (on_meta(made(2, 3)), on_meta(made(2, 3, dtype=torch.float64))), {})
    assert mixed is NotImplemented


@pytest.mark.parametrize("name", [name for name in BINARY if hasattr(ATEN, f"{name}_")])
def test_pointwise_operators_in_place(name):
    tensors, _ = kernels(f"{name}_")
    holds(tensors, made(2, 3, 4), made(3, 1))
    assert infer(tensors._schema.name, (on_meta(made(3, 1)), on_meta(made(2, 3, 4))), {}) is NotImplemented


def test_dropout_at_inference_hands_its_input_on():
    source = on_meta(made(2, 3))
    assert infer("aten::dropout", (source, 0.5, False), {}) is source
