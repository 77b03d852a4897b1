"""Drawn calls of every operator that has a shape rule, for `test_infer`: valid calls, and calls that torch refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor

from analyzer.counting.shape_rules.infer import BINARY, GRADIENTS, UNARY

ATEN = torch.ops.aten
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class DrawnCall(NamedTuple):
    """A kernel and its arguments in the schema's order; `named` are keyword-only.

    `compare_strides` is False where the layout of the result is a choice of the kernel's library.
    """

    kernel: Any
    args: tuple[Any, ...]
    named: dict[str, Any] = {}
    compare_strides: bool = True


class Draw:
    """Draws valid values; with `daring` also invalid ones, and with `expanded` expanded operands too."""

    def __init__(self, draw: st.DrawFn, *, daring: bool, expanded: bool = False) -> None:
        self.draw, self.daring, self.expanded = draw, daring, expanded

    def choice(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def valid(self, *values: Any, invalid: Sequence[Any] = ()) -> Any:
        """A valid value; with `daring` an invalid one in a quarter of draws."""
        if self.daring and invalid and not self.draw(st.integers(0, 3)):
            return self.choice(*invalid)
        return self.choice(*values)

    def integer(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def integers(self, count: int, low: int, high: int) -> list[int]:
        return [self.integer(low, high) for _ in range(count)]

    def shape(self, low: int, high: int, smallest: int = 1, largest: int = 4) -> list[int]:
        return self.integers(self.integer(low, high), smallest, largest)

    def dtype(self) -> torch.dtype:
        return self.choice(*FLOATS)

    def tensor(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Ones of that shape: contiguous, with permuted axes, or every second element; with `daring` also expanded."""
        layout = self.valid(
            "contiguous", "contiguous", "permuted", "gaps", invalid=["expanded"] if self.expanded else []
        )
        if layout == "permuted":
            order = self.draw(st.permutations(range(len(shape))))
            back = [order.index(axis) for axis in range(len(shape))]
            return torch.ones([shape[axis] for axis in order], dtype=dtype).permute(back)
        if layout == "contiguous" or not shape:
            return torch.ones(list(shape), dtype=dtype)
        axis = self.integer(0, len(shape) - 1)
        if layout == "gaps":
            wide = [2 * size if place == axis else size for place, size in enumerate(shape)]
            return torch.ones(wide, dtype=dtype)[(*[slice(None)] * axis, slice(None, None, 2))]
        thin = [1 if place == axis else size for place, size in enumerate(shape)]
        return torch.ones(thin, dtype=dtype).expand(*shape)


Strategy = Callable[[Draw], DrawnCall]


# --- products --------------------------------------------------------------------------------------------------------
def convolution(axes: int, name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        # oneDNN in torch 2.13 crashes at some valid calls in float16, such as a padded 1x1 kernel with a dilation.
        dtype = draw.choice(torch.float32, torch.float64, torch.bfloat16)
        groups, wide, deep = draw.integer(1, 3), draw.integer(1, 2), draw.integer(1, 2)
        kernel, dilation, padding = (draw.integers(axes, *bounds) for bounds in ((1, 3), (1, 2), (0, 2)))
        stride = draw.valid(draw.integers(axes, 1, 3), invalid=[[0] * axes])
        image = [
            draw.integer(1 if draw.daring else reach * (width - 1) + 1, 9)
            for width, reach in zip(kernel, dilation, strict=True)
        ]
        batch = draw.choice([1], [2], [] if name != "convolution" else [3])
        lay = draw.tensor if draw.daring else torch.ones
        source = lay([*batch, draw.valid(groups * deep, invalid=[groups * deep + 1]), *image], dtype=dtype)
        weight = lay([draw.valid(groups * wide, invalid=[groups * wide + 1]), deep, *kernel], dtype=dtype)
        bias = draw.valid(None, torch.ones(weight.shape[0], dtype=dtype), invalid=[torch.ones(9, dtype=dtype)])
        # In half precision oneDNN has layouts of its sizes. Of strides that fit two layouts, the CPU's kernels of one
        # axis choose another than torch's meta kernels.
        fixed_layout = axes > 1 and dtype in (torch.float32, torch.float64)
        if name == "convolution":
            turned = draw.flag() and groups == 1 and deep == wide and not any(padding)
            spread = (stride, padding, dilation, turned, [0] * axes, groups)
            return DrawnCall(ATEN.convolution.default, (source, weight, bias, *spread), compare_strides=fixed_layout)
        packet, once = getattr(ATEN, name), draw.flag()
        if draw.flag():
            if once:
                stride, padding, dilation = stride[:1], [0], [1]
            return DrawnCall(
                packet.default, (source, weight, bias, stride, padding, dilation, groups), compare_strides=fixed_layout
            )
        word = draw.valid("same", "valid", invalid=["full"])
        if word == "same":
            stride = draw.valid([1] * axes, invalid=[[2] * axes])
        return DrawnCall(
            packet.padding, (source, weight, bias, stride, word, dilation, groups), compare_strides=fixed_layout
        )

    return call


def linear(draw: Draw) -> DrawnCall:
    dtype, shape = draw.dtype(), draw.shape(1, 4)
    weight = draw.tensor([draw.integer(1, 4), draw.valid(shape[-1], invalid=[shape[-1] + 1])], dtype)
    bias = draw.valid(None, weight.shape[0], invalid=[weight.shape[0] + 1])
    return DrawnCall(ATEN.linear.default, (draw.tensor(shape, dtype), weight, bias and torch.ones(bias, dtype=dtype)))


def product(name: str, low: int, high: int) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        dtype, lead = draw.dtype(), draw.shape(low - 2, high - 2, 1, 3)
        rows, depth, columns = draw.integers(3, 0, 4)
        other = draw.valid(lead, invalid=[draw.shape(0, 2)])
        right = draw.tensor([*other, draw.valid(depth, invalid=[depth + 1]), columns], dtype)
        return DrawnCall(getattr(ATEN, name).default, (draw.tensor([*lead, rows, depth], dtype), right))

    return call


def addmm(draw: Draw) -> DrawnCall:
    dtype, (rows, depth, columns) = draw.dtype(), draw.integers(3, 1, 4)
    bias = draw.tensor(draw.valid([columns], [rows, columns], [1], invalid=[[columns + 1]]), dtype)
    right = draw.tensor([draw.valid(depth, invalid=[depth + 1]), columns], dtype)
    return DrawnCall(ATEN.addmm.default, (bias, draw.tensor([rows, depth], dtype), right))


# --- pools, norms ----------------------------------------------------------------------------------------------------
def pool(name: str, axes: int = 2) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        many = draw.choice(1, axes)
        kernel = draw.integers(many, 1, 4)
        stride = draw.valid([], draw.integers(many, 1, 4), invalid=[[0] * many])
        padding = [draw.valid(draw.integer(0, width // 2), invalid=[width]) for width in kernel]
        lead = draw.valid([2, 3], [3], [1, 1], invalid=[[0, 2], [2, 1, 3]])
        widths = kernel * axes if many == 1 else kernel
        image = [draw.integer(1 if draw.daring else width, 9) for width in widths]
        # torch's CPU kernel of volumes has no half precision.
        source = draw.tensor([*lead, *image], draw.choice(torch.float32, torch.float64) if axes == 3 else draw.dtype())
        ceil = draw.flag()
        if name.startswith("max"):
            dilation = draw.valid([1] * axes, [1], invalid=[[2] * axes])
            return DrawnCall(getattr(ATEN, name).default, (source, kernel, stride, padding, dilation, ceil))
        rest = draw.valid((), (True,), (False,), (True, None), (True, 3), invalid=[(True, 0)])
        return DrawnCall(getattr(ATEN, name).default, (source, kernel, stride, padding, ceil, *rest))

    return call


def adaptive(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        source = draw.tensor(draw.shape(2, 5) if draw.daring else draw.shape(3, 4), draw.dtype())
        return DrawnCall(getattr(ATEN, name).default, (source, draw.valid([1, 1], [2, 3], [3, 1], invalid=[[-1, 2]])))

    return call


def backward_of(name: str, forward: Strategy) -> Strategy:
    """The gradient of a drawn convolution or pool; with `daring` a gradient of another shape."""

    def call(draw: Draw) -> DrawnCall:
        kernel, args, _, compare_strides = forward(draw)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = kernel(*args)
        except (RuntimeError, IndexError):
            # Pools do not check the batch and the channels of a gradient, but write beyond the result.
            result = torch.ones(*(args[0].shape[:-2] if "pool" in name else (2, 3)), 4, 4)
        output, *indices = result if isinstance(result, tuple) else (result,)
        # The kernel of a max pool does not compare its gradient with the indices, but reads beyond them.
        wrong = [[*output.shape[:-1], output.shape[-1] + 1]] if not indices else []
        shape = draw.valid(list(output.shape), invalid=wrong)
        gradient = draw.tensor(shape, args[0].dtype)
        if name == "convolution_backward":
            source, weight, bias, *spread = args
            # oneDNN computes the gradient of the weight wherever that of the bias is asked for, so they go together.
            mask = [draw.flag(), draw.flag() or bias is not None, bias is not None]
            sizes = None if bias is None else list(bias.shape)
            return DrawnCall(
                ATEN.convolution_backward.default,
                (gradient, source, weight, sizes, *spread, mask),
                compare_strides=compare_strides,
            )
        if name == "_adaptive_avg_pool2d_backward":
            return DrawnCall(ATEN._adaptive_avg_pool2d_backward.default, (gradient, args[0]))
        source, *settings = args
        # With a dilation in ceil mode torch's indices may lie beyond the source, where the gradient's kernel writes.
        indices = [index.clamp(max=source.shape[-2:].numel() - 1) for index in indices]
        if name.startswith("avg"):
            settings += [True, None][len(settings) - 4 :]  # The schema has no defaults here.
        return DrawnCall(getattr(ATEN, name).default, (gradient, source, *settings, *indices))

    return call


def statistics(draw: Draw, channels: int, dtype: torch.dtype, *, train: bool) -> list[Tensor | None]:
    """Weight, bias, running mean and variance, each of which may be missing where torch can do without."""
    ones = torch.ones(channels, dtype=dtype)
    weight, bias = draw.choice(ones, None), draw.choice(ones, None)
    return [weight, bias, *(draw.choice([ones, ones], [None, None]) if train else [ones, ones])]


def batch_norm(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        dtype, shape, train = draw.dtype(), draw.shape(3 if name == "instance_norm" else 2, 5, 2), draw.flag()
        # Other widths torch's native kernel does not look at: it reads beyond its statistics.
        channels = shape[1] if name.startswith("native") else draw.valid(shape[1], invalid=[shape[1] + 1])
        sizes = statistics(draw, channels, dtype, train=train)
        last = () if name.startswith("native") else (draw.flag(),)
        return DrawnCall(getattr(ATEN, name).default, (draw.tensor(shape, dtype), *sizes, train, 0.1, 1e-5, *last))

    return call


def group_norm(draw: Draw) -> DrawnCall:
    dtype, groups, (batch, *image) = draw.dtype(), draw.integer(1, 3), draw.shape(1, 4)
    source = draw.tensor([batch, draw.valid(2 * groups, invalid=[2 * groups + 1]), *image], dtype)
    ones = torch.ones(draw.valid(source.shape[1], invalid=[source.shape[1] + 1]), dtype=dtype)
    return DrawnCall(ATEN.group_norm.default, (source, groups, draw.choice(ones, None), draw.choice(ones, None)))


def norm(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        dtype, shape = draw.dtype(), draw.shape(1, 4)
        sizes = shape[-draw.integer(1, len(shape)) :]
        sizes[0] = draw.valid(sizes[0], invalid=[sizes[0] + 1])
        ones = torch.ones(sizes, dtype=dtype)
        affine = [draw.choice(ones, None) for _ in range(2 if name == "layer_norm" else 1)]
        source = draw.tensor(shape, dtype) if name == "layer_norm" or draw.daring else torch.ones(shape, dtype=dtype)
        return DrawnCall(getattr(ATEN, name).default, (source, sizes, *affine))

    return call


def softmax(draw: Draw) -> DrawnCall:
    source = draw.tensor(draw.shape(0, 4), draw.dtype())
    reach = max(source.dim(), 1)
    dim = draw.valid(draw.integer(-reach, reach - 1), invalid=[reach, -reach - 1])
    if draw.flag():
        return DrawnCall(ATEN._softmax.default, (source, dim, False))
    return DrawnCall(ATEN.softmax.int, (source, dim, draw.choice(None, torch.float64)))


# --- joining, reducing, looking up -----------------------------------------------------------------------------------
def cat(draw: Draw) -> DrawnCall:
    shape, dtype = draw.shape(1, 4), draw.dtype()
    axis = draw.valid(draw.integer(-len(shape), len(shape) - 1), invalid=[len(shape), -len(shape) - 1])
    tensors = []
    for _ in range(draw.integer(1, 3)):
        sizes = list(shape)
        sizes[axis % len(shape)] = draw.integer(0, 3)
        sizes[0] += draw.valid(0, invalid=[1])
        tensors.append(draw.tensor(sizes if draw.daring else [max(size, 1) for size in sizes], dtype))
    return DrawnCall(ATEN.cat.default, (tensors, axis))


def stack(draw: Draw) -> DrawnCall:
    shape, dtype = draw.shape(0, 4), draw.dtype()
    axis = draw.valid(draw.integer(-len(shape) - 1, len(shape)), invalid=[len(shape) + 1, -len(shape) - 2])
    other = draw.valid(shape, invalid=[[*shape, 1], [2, *shape]])
    return DrawnCall(ATEN.stack.default, ([draw.tensor(shape, dtype), draw.tensor(other, dtype)], axis))


def constant_pad(draw: Draw) -> DrawnCall:
    shape, pad = draw.shape(1, 4), []
    for size in reversed(shape[-draw.integer(1, len(shape)) :]):
        before = draw.integer(-(size - 1), 3)
        pad += [before, draw.integer(-(size + min(before, 0) - 1), 3)]
    pad = draw.valid(pad, invalid=[[1], [1] * 10, [-5, 0]])
    return DrawnCall(ATEN.constant_pad_nd.default, (draw.tensor(shape, draw.dtype()), pad, 0.0))


def reduction(name: str) -> Strategy:
    return lambda draw: _reduction(draw, getattr(ATEN, name))


def _reduction(draw: Draw, packet: Any) -> DrawnCall:
    overload = getattr(packet, "dim", None) or packet.dim_IntList
    source = draw.tensor(draw.shape(1, 4), draw.valid(*FLOATS, invalid=[torch.int64]))
    axes = draw.draw(st.lists(st.integers(0, source.dim() - 1), max_size=3, unique=True))
    signed = [axis - source.dim() if draw.flag() else axis for axis in axes]
    return DrawnCall(overload, (source, draw.valid(signed, invalid=[[0, 0], [4], [0, -source.dim()]]), draw.flag()))


# The numbers that a gradient's schema demands after the upstream gradient and the saved tensor.
GRADIENT_NUMBERS: dict[str, tuple[Any, ...]] = {
    "threshold_backward": (0.0,),
    "hardtanh_backward": (-1.0, 1.0),
    "leaky_relu_backward": (0.01, False),
    "softplus_backward": (1.0, 20.0),
}


def gradient(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        shape, dtype = draw.shape(1, 4), draw.valid(torch.float32, torch.float64, invalid=[torch.int64])
        upstream = draw.tensor(shape, dtype)
        saved = draw.tensor(draw.valid(shape, invalid=[[*shape, 2]]), dtype)
        named = {"approximate": draw.valid("none", "tanh", invalid=["sine"])} if name.startswith("gelu") else {}
        return DrawnCall(getattr(ATEN, name).default, (upstream, saved, *GRADIENT_NUMBERS.get(name, ())), named)

    return call


def embedding(draw: Draw) -> DrawnCall:
    table = draw.tensor(draw.valid([3, 2], [1, 4], invalid=[[3], [3, 2, 2]]), draw.dtype())
    kind = draw.valid(torch.int64, torch.int32, invalid=[torch.float32, torch.bool])
    return DrawnCall(ATEN.embedding.default, (table, torch.zeros(draw.shape(0, 3, 0), dtype=kind)))


# --- blocks ----------------------------------------------------------------------------------------------------------
def attention_operand(draw: Draw, shape: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Query, key or value in a layout that attention meets: in order, heads last, part of a packed projection."""
    if draw.daring:
        return draw.tensor(shape, dtype)
    if len(shape) != 4:
        return torch.ones(shape, dtype=dtype)
    batch, heads, length, width = shape
    packed = torch.ones(batch, length, draw.choice(1, 3), heads, width, dtype=dtype)
    return draw.choice(torch.ones(shape, dtype=dtype), packed[:, :, 0].transpose(1, 2))


def attention(draw: Draw) -> DrawnCall:
    dtype, lead = draw.dtype(), draw.shape(0, 2)
    length, source, width, wide = draw.integers(4, 1, 4)
    key = attention_operand(draw, [*lead, source, draw.valid(width, invalid=[width + 1])], dtype)
    value = attention_operand(draw, [*lead, draw.valid(source, invalid=[source + 1]), draw.choice(width, wide)], dtype)
    bits, floats = torch.ones(length, source, dtype=torch.bool), torch.ones(length, source, dtype=dtype)
    mask = draw.valid(None, bits, floats, invalid=[torch.ones(length, source + 1, dtype=torch.bool)])
    causal = draw.flag() if mask is None else draw.valid(False, invalid=[True])
    args = (attention_operand(draw, [*lead, length, width], dtype), key, value, mask, draw.choice(0.0, 0.5), causal)
    return DrawnCall(ATEN.scaled_dot_product_attention.default, args, {"scale": draw.choice(None, 0.5)})


def grouped_attention(draw: Draw) -> DrawnCall:
    """Several query heads for each head of keys and values."""
    batch, groups, length, source = draw.integers(4, 1, 3)
    query, key = (
        attention_operand(draw, [batch, 2 * groups, length, 4]),
        attention_operand(draw, [batch, groups, source, 4]),
    )
    value = attention_operand(draw, [batch, draw.valid(groups, invalid=[groups + 1]), source, 4])
    named = {"enable_gqa": draw.valid(True, invalid=[False])}
    return DrawnCall(ATEN.scaled_dot_product_attention.default, (query, key, value), named)


def heads(draw: Draw) -> DrawnCall:
    same = draw.tensor([draw.integer(1, 3), draw.integer(1, 4), 4])
    parameters = (torch.ones(12, 4), torch.ones(12), torch.ones(4, 4), torch.ones(4))
    asked = (None, draw.valid(True, invalid=[False]), draw.flag())
    return DrawnCall(
        ATEN._native_multi_head_attention.default, (same,) * 3 + (4, draw.integer(1, 2), *parameters, *asked)
    )


def encoder(draw: Draw) -> DrawnCall:

    source = draw.tensor([draw.integer(1, 3), draw.integer(1, 4), 4])
    attend = (
        4,
        draw.integer(1, 2),
        torch.ones(12, 4),
        torch.ones(12),
        torch.ones(4, 4),
        torch.ones(4),
        draw.flag(),
        draw.flag(),
        1e-5,
    )
    feed = (*(torch.ones(4) for _ in range(4)), torch.ones(6, 4), torch.ones(6), torch.ones(4, 6), torch.ones(4))
    return DrawnCall(ATEN._transformer_encoder_layer_fwd.default, (source, *attend, *feed))


def recurrent(name: str, gates: int) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        hidden, features, steps, batch = draw.integers(4, 1, 3)
        layers, both, biased, train = draw.integer(1, 2), draw.flag(), draw.flag(), draw.flag()
        first, ways, weights = draw.valid(False, invalid=[True]), 2 if both else 1, []
        for layer in range(layers):
            for _ in range(ways):
                fed = ways * hidden if layer else features
                weights += [torch.ones(gates * hidden, fed), torch.ones(gates * hidden, hidden)]
                weights += [torch.ones(gates * hidden)] * 2 if biased else []
        source = draw.tensor([batch, steps, features] if first else [steps, batch, features])
        state = torch.ones(layers * ways, draw.valid(batch, invalid=[batch + 1]), hidden)
        states: Any = [state, state] if name == "lstm" else state
        return DrawnCall(getattr(ATEN, name).input, (source, states, weights, biased, layers, 0.0, train, both, first))

    return call


# --- element by element ----------------------------------------------------------------------------------------------
NEEDED: dict[str, tuple[Any, ...]] = {"clamp": (0.0, 1.0), "clamp_min": (0.0,)}


def unary(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        source = draw.tensor(draw.shape(0, 4), draw.valid(*FLOATS, invalid=[torch.int64, torch.complex64]))
        named = {"approximate": draw.valid("none", "tanh", invalid=["sine"])} if name.startswith("gelu") else {}
        return DrawnCall(getattr(ATEN, name).default, (source, *NEEDED.get(name.removesuffix("_"), ())), named)

    return call


def binary(name: str) -> Strategy:
    packet, plain = getattr(ATEN, name), name.removesuffix("_")
    known = packet.overloads()
    tensors = next(kind for kind in ("Tensor", "Tensor_Tensor", "default") if kind in known)
    scalar = next((kind for kind in ("Tensor_Scalar", "Scalar") if kind in known), None)

    def call(draw: Draw) -> DrawnCall:
        dtype, shape = draw.dtype(), draw.shape(0, 4, 1, 3)
        left = draw.tensor(shape, dtype)
        named = {"alpha": draw.choice(1, 2)} if plain in ("add", "sub") else {}
        if scalar and not draw.integer(0, 3):
            return DrawnCall(getattr(packet, scalar), (left, draw.valid(2, 0.5, invalid=[True, 1j])))
        if plain == "div" and "Tensor_mode" in known and draw.flag():
            mode = {"rounding_mode": draw.valid(None, "floor", "trunc", invalid=["round"])}
            return DrawnCall(packet.Tensor_mode, (left, draw.tensor(shape, dtype)), mode)
        other = [draw.choice(size, size, 1) for size in shape[draw.integer(0, len(shape)) :]]
        right = draw.tensor(draw.valid(other, invalid=[[7, 7], [4], [5]]), dtype)
        if plain == name and draw.flag():
            left, right = right, left
        return DrawnCall(getattr(packet, tensors), (left, right), named)

    return call


def dropout(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        source = draw.tensor(draw.shape(0, 4), draw.dtype())
        return DrawnCall(getattr(ATEN, name).default, (source, draw.valid(0.5, 1.0, invalid=[0.0, 2.0]), draw.flag()))

    return call


def bernoulli(draw: Draw) -> DrawnCall:
    return DrawnCall(
        ATEN.bernoulli_.float, (draw.tensor(draw.shape(0, 4), draw.dtype()), draw.valid(0.5, invalid=[2.0]))
    )


def like(name: str) -> Strategy:
    def call(draw: Draw) -> DrawnCall:
        operator = getattr(ATEN, name).default
        return DrawnCall(operator, (draw.tensor(draw.shape(0, 4), draw.choice(*FLOATS, torch.int64)),))

    return call


STRATEGIES: dict[str, Strategy] = {
    "convolution": convolution(2, "convolution"),
    "convolution_backward": backward_of("convolution_backward", convolution(2, "convolution")),
    **{
        f"{name}_backward": backward_of(f"{name}_backward", strategy)
        for name, strategy in (
            ("max_pool2d_with_indices", pool("max_pool2d_with_indices")),
            ("avg_pool2d", pool("avg_pool2d")),
            ("avg_pool3d", pool("avg_pool3d", 3)),
            ("_adaptive_avg_pool2d", adaptive("_adaptive_avg_pool2d")),
        )
    },
    **{f"conv{axes}d": convolution(axes, f"conv{axes}d") for axes in (1, 2, 3)},
    "linear": linear,
    "matmul": product("matmul", 2, 4),
    "mm": product("mm", 2, 2),
    "bmm": product("bmm", 3, 3),
    "addmm": addmm,
    **{name: pool(name) for name in ("max_pool2d", "max_pool2d_with_indices", "avg_pool2d")},
    "avg_pool3d": pool("avg_pool3d", 3),
    **{name: adaptive(name) for name in ("adaptive_avg_pool2d", "_adaptive_avg_pool2d")},
    **{name: batch_norm(name) for name in ("batch_norm", "instance_norm", "native_batch_norm")},
    "group_norm": group_norm,
    **{name: norm(name) for name in ("layer_norm", "rms_norm")},
    **dict.fromkeys(("softmax", "_softmax"), softmax),
    "cat": cat,
    "stack": stack,
    "constant_pad_nd": constant_pad,
    **{name: reduction(name) for name in ("mean", "sum")},
    **{name: gradient(name) for name in GRADIENTS},
    "embedding": embedding,
    "scaled_dot_product_attention": lambda draw: (grouped_attention if draw.integer(0, 3) == 0 else attention)(draw),
    "_native_multi_head_attention": heads,
    "_transformer_encoder_layer_fwd": encoder,
    **{name: recurrent(name, gates) for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1))},
    **{name: dropout(name) for name in ("dropout", "dropout_")},
    "bernoulli_": bernoulli,
    **{name: like(name) for name in ("empty_like", "zeros_like", "ones_like")},
    **{name + end: unary(name + end) for name in UNARY for end in ("", "_") if hasattr(ATEN, name + end)},
    **{name + end: binary(name + end) for name in BINARY for end in ("", "_") if hasattr(ATEN, name + end)},
}
