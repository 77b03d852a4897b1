"""Every shape rule against torch's own CPU kernel, over drawn settings.

Over settings that fit, whatever the layouts of the operands: where a rule answers, its shapes, types and strides are
torch's. Over settings that may not fit: where torch refuses, the rule has declined, and without an error of its own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from analyzer.counting.shape_rules.infer import BINARY, RULES, UNARY, infer

ATEN = torch.ops.aten
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


class Drawn(NamedTuple):
    """A call: the kernel, and its arguments in the schema's order; `named` are those that only go by name.

    `lays`: whether the layout that torch gives the result is more than what its library has chosen here and today.
    """

    kernel: Any
    args: tuple[Any, ...]
    named: dict[str, Any] = {}
    lays: bool = True


class Pick:
    """Draws what fits; when daring, also what may not, and if asked to, expanded operands."""

    def __init__(self, draw: st.DrawFn, *, daring: bool, expanded: bool = False) -> None:
        self.draw, self.daring, self.expanded = draw, daring, expanded

    def one(self, *values: Any) -> Any:
        return self.draw(st.sampled_from(values))

    def fit(self, *values: Any, odd: Sequence[Any] = ()) -> Any:
        """One of the values, or when daring now and then an odd one."""
        if self.daring and odd and not self.draw(st.integers(0, 3)):
            return self.one(*odd)
        return self.one(*values)

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def flag(self) -> bool:
        return self.draw(st.booleans())

    def several(self, count: int, low: int, high: int) -> list[int]:
        return [self.whole(low, high) for _ in range(count)]

    def shape(self, low: int, high: int, smallest: int = 1, largest: int = 4) -> list[int]:
        return self.several(self.whole(low, high), smallest, largest)

    def type(self) -> torch.dtype:
        return self.one(*FLOATS)

    def laid(self, shape: Sequence[int], dtype: torch.dtype = torch.float32) -> Tensor:
        """Ones of that shape in some layout: in order, axes permuted, every second element; daring: expanded."""
        kind = self.fit("in order", "in order", "permuted", "gaps", odd=["expanded"] if self.expanded else [])
        if kind == "permuted":
            order = self.draw(st.permutations(range(len(shape))))
            back = [order.index(axis) for axis in range(len(shape))]
            return torch.ones([shape[axis] for axis in order], dtype=dtype).permute(back)
        if kind == "in order" or not shape:
            return torch.ones(list(shape), dtype=dtype)
        axis = self.whole(0, len(shape) - 1)
        if kind == "gaps":
            wide = [2 * size if place == axis else size for place, size in enumerate(shape)]
            return torch.ones(wide, dtype=dtype)[(*[slice(None)] * axis, slice(None, None, 2))]
        thin = [1 if place == axis else size for place, size in enumerate(shape)]
        return torch.ones(thin, dtype=dtype).expand(*shape)


Strategy = Callable[[Pick], Drawn]


# --- products --------------------------------------------------------------------------------------------------------
def convolution(axes: int, name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        dtype, groups, wide, deep = pick.type(), pick.whole(1, 3), pick.whole(1, 2), pick.whole(1, 2)
        kernel, dilation, padding = (pick.several(axes, *bounds) for bounds in ((1, 3), (1, 2), (0, 2)))
        stride = pick.fit(pick.several(axes, 1, 3), odd=[[0] * axes])
        image = [
            pick.whole(1 if pick.daring else reach * (width - 1) + 1, 9)
            for width, reach in zip(kernel, dilation, strict=True)
        ]
        batch = pick.one([1], [2], [] if name != "convolution" else [3])
        lay = pick.laid if pick.daring else torch.ones
        source = lay([*batch, pick.fit(groups * deep, odd=[groups * deep + 1]), *image], dtype=dtype)
        weight = lay([pick.fit(groups * wide, odd=[groups * wide + 1]), deep, *kernel], dtype=dtype)
        bias = pick.fit(None, torch.ones(weight.shape[0], dtype=dtype), odd=[torch.ones(9, dtype=dtype)])
        lays = dtype in (torch.float32, torch.float64)  # In half precision oneDNN has layouts of its own.
        if name == "convolution":
            turned = pick.flag() and groups == 1 and deep == wide and not any(padding)
            spread = (stride, padding, dilation, turned, [0] * axes, groups)
            return Drawn(ATEN.convolution.default, (source, weight, bias, *spread), lays=lays)
        packet, once = getattr(ATEN, name), pick.flag()
        if pick.flag():
            if once:
                stride, padding, dilation = stride[:1], [0], [1]
            return Drawn(packet.default, (source, weight, bias, stride, padding, dilation, groups), lays=lays)
        word = pick.fit("same", "valid", odd=["full"])
        if word == "same":
            stride = pick.fit([1] * axes, odd=[[2] * axes])
        return Drawn(packet.padding, (source, weight, bias, stride, word, dilation, groups), lays=lays)

    return drawn


def linear(pick: Pick) -> Drawn:
    dtype, shape = pick.type(), pick.shape(1, 4)
    weight = pick.laid([pick.whole(1, 4), pick.fit(shape[-1], odd=[shape[-1] + 1])], dtype)
    bias = pick.fit(None, weight.shape[0], odd=[weight.shape[0] + 1])
    return Drawn(ATEN.linear.default, (pick.laid(shape, dtype), weight, bias and torch.ones(bias, dtype=dtype)))


def product(name: str, low: int, high: int) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        dtype, lead = pick.type(), pick.shape(low - 2, high - 2, 1, 3)
        rows, depth, columns = pick.several(3, 0, 4)
        other = pick.fit(lead, odd=[pick.shape(0, 2)])
        right = pick.laid([*other, pick.fit(depth, odd=[depth + 1]), columns], dtype)
        return Drawn(getattr(ATEN, name).default, (pick.laid([*lead, rows, depth], dtype), right))

    return drawn


def addmm(pick: Pick) -> Drawn:
    dtype, (rows, depth, columns) = pick.type(), pick.several(3, 1, 4)
    bias = pick.laid(pick.fit([columns], [rows, columns], [1], odd=[[columns + 1]]), dtype)
    right = pick.laid([pick.fit(depth, odd=[depth + 1]), columns], dtype)
    return Drawn(ATEN.addmm.default, (bias, pick.laid([rows, depth], dtype), right))


# --- pools, norms ----------------------------------------------------------------------------------------------------
def pool(name: str, axes: int = 2) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        many = pick.one(1, axes)
        kernel = pick.several(many, 1, 4)
        stride = pick.fit([], pick.several(many, 1, 4), odd=[[0] * many])
        padding = [pick.fit(pick.whole(0, width // 2), odd=[width]) for width in kernel]
        lead = pick.fit([2, 3], [3], [1, 1], odd=[[0, 2], [2, 1, 3]])
        widths = kernel * axes if many == 1 else kernel
        image = [pick.whole(1 if pick.daring else width, 9) for width in widths]
        # torch's CPU kernel of volumes has no half precision.
        source = pick.laid([*lead, *image], pick.one(torch.float32, torch.float64) if axes == 3 else pick.type())
        ceil = pick.flag()
        if name.startswith("max"):
            dilation = pick.fit([1] * axes, [1], odd=[[2] * axes])
            return Drawn(getattr(ATEN, name).default, (source, kernel, stride, padding, dilation, ceil))
        rest = pick.fit((), (True,), (False,), (True, None), (True, 3), odd=[(True, 0)])
        return Drawn(getattr(ATEN, name).default, (source, kernel, stride, padding, ceil, *rest))

    return drawn


def adaptive(name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        source = pick.laid(pick.shape(2, 5) if pick.daring else pick.shape(3, 4), pick.type())
        return Drawn(getattr(ATEN, name).default, (source, pick.fit([1, 1], [2, 3], [3, 1], odd=[[-1, 2]])))

    return drawn


def statistics(pick: Pick, channels: int, dtype: torch.dtype, *, train: bool) -> list[Tensor | None]:
    """Weight, bias, running mean and variance, each of which may be missing where torch can do without."""
    one = torch.ones(channels, dtype=dtype)
    weight, bias = pick.one(one, None), pick.one(one, None)
    return [weight, bias, *(pick.one([one, one], [None, None]) if train else [one, one])]


def batch_norm(name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        dtype, shape, train = pick.type(), pick.shape(3 if name == "instance_norm" else 2, 5, 2), pick.flag()
        # Other widths torch's native kernel does not look at: it reads beyond its statistics.
        channels = shape[1] if name.startswith("native") else pick.fit(shape[1], odd=[shape[1] + 1])
        own = statistics(pick, channels, dtype, train=train)
        last = () if name.startswith("native") else (pick.flag(),)
        return Drawn(getattr(ATEN, name).default, (pick.laid(shape, dtype), *own, train, 0.1, 1e-5, *last))

    return drawn


def group_norm(pick: Pick) -> Drawn:
    dtype, groups, (batch, *image) = pick.type(), pick.whole(1, 3), pick.shape(1, 4)
    source = pick.laid([batch, pick.fit(2 * groups, odd=[2 * groups + 1]), *image], dtype)
    one = torch.ones(pick.fit(source.shape[1], odd=[source.shape[1] + 1]), dtype=dtype)
    return Drawn(ATEN.group_norm.default, (source, groups, pick.one(one, None), pick.one(one, None)))


def norm(name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        dtype, shape = pick.type(), pick.shape(1, 4)
        own = shape[-pick.whole(1, len(shape)) :]
        own[0] = pick.fit(own[0], odd=[own[0] + 1])
        one = torch.ones(own, dtype=dtype)
        affine = [pick.one(one, None) for _ in range(2 if name == "layer_norm" else 1)]
        source = pick.laid(shape, dtype) if name == "layer_norm" or pick.daring else torch.ones(shape, dtype=dtype)
        return Drawn(getattr(ATEN, name).default, (source, own, *affine))

    return drawn


def softmax(pick: Pick) -> Drawn:
    source = pick.laid(pick.shape(0, 4), pick.type())
    reach = max(source.dim(), 1)
    dim = pick.fit(pick.whole(-reach, reach - 1), odd=[reach, -reach - 1])
    if pick.flag():
        return Drawn(ATEN._softmax.default, (source, dim, False))
    return Drawn(ATEN.softmax.int, (source, dim, pick.one(None, torch.float64)))


# --- joining, reducing, looking up -----------------------------------------------------------------------------------
def cat(pick: Pick) -> Drawn:
    shape, dtype = pick.shape(1, 4), pick.type()
    axis = pick.fit(pick.whole(-len(shape), len(shape) - 1), odd=[len(shape), -len(shape) - 1])
    tensors = []
    for _ in range(pick.whole(1, 3)):
        own = list(shape)
        own[axis % len(shape)] = pick.whole(0, 3)
        own[0] += pick.fit(0, odd=[1])
        tensors.append(pick.laid(own if pick.daring else [max(size, 1) for size in own], dtype))
    return Drawn(ATEN.cat.default, (tensors, axis))


def constant_pad(pick: Pick) -> Drawn:
    shape, pad = pick.shape(1, 4), []
    for size in reversed(shape[-pick.whole(1, len(shape)) :]):
        before = pick.whole(-(size - 1), 3)
        pad += [before, pick.whole(-(size + min(before, 0) - 1), 3)]
    pad = pick.fit(pad, odd=[[1], [1] * 10, [-5, 0]])
    return Drawn(ATEN.constant_pad_nd.default, (pick.laid(shape, pick.type()), pad, 0.0))


def mean(pick: Pick) -> Drawn:
    source = pick.laid(pick.shape(1, 4), pick.fit(*FLOATS, odd=[torch.int64]))
    axes = pick.draw(st.lists(st.integers(0, source.dim() - 1), max_size=3, unique=True))
    signed = [axis - source.dim() if pick.flag() else axis for axis in axes]
    return Drawn(ATEN.mean.dim, (source, pick.fit(signed, odd=[[0, 0], [4], [0, -source.dim()]]), pick.flag()))


def embedding(pick: Pick) -> Drawn:
    table = pick.laid(pick.fit([3, 2], [1, 4], odd=[[3], [3, 2, 2]]), pick.type())
    kind = pick.fit(torch.int64, torch.int32, odd=[torch.float32, torch.bool])
    return Drawn(ATEN.embedding.default, (table, torch.zeros(pick.shape(0, 3, 0), dtype=kind)))


# --- blocks ----------------------------------------------------------------------------------------------------------
def asking(pick: Pick, shape: list[int], dtype: torch.dtype = torch.float32) -> Tensor:
    """Query, key or value in a layout that attention meets: in order, heads last, part of a packed projection."""
    if pick.daring:
        return pick.laid(shape, dtype)
    if len(shape) != 4:
        return torch.ones(shape, dtype=dtype)
    batch, heads, length, width = shape
    packed = torch.ones(batch, length, pick.one(1, 3), heads, width, dtype=dtype)
    return pick.one(torch.ones(shape, dtype=dtype), packed[:, :, 0].transpose(1, 2))


def attention(pick: Pick) -> Drawn:
    dtype, lead = pick.type(), pick.shape(0, 2)
    length, source, width, wide = pick.several(4, 1, 4)
    key = asking(pick, [*lead, source, pick.fit(width, odd=[width + 1])], dtype)
    value = asking(pick, [*lead, pick.fit(source, odd=[source + 1]), pick.one(width, wide)], dtype)
    bits, floats = torch.ones(length, source, dtype=torch.bool), torch.ones(length, source, dtype=dtype)
    mask = pick.fit(None, bits, floats, odd=[torch.ones(length, source + 1, dtype=torch.bool)])
    causal = pick.flag() if mask is None else pick.fit(False, odd=[True])
    args = (asking(pick, [*lead, length, width], dtype), key, value, mask, pick.one(0.0, 0.5), causal)
    return Drawn(ATEN.scaled_dot_product_attention.default, args, {"scale": pick.one(None, 0.5)})


def grouped_attention(pick: Pick) -> Drawn:
    """Several query heads to one of keys and values."""
    batch, groups, length, source = pick.several(4, 1, 3)
    query, key = asking(pick, [batch, 2 * groups, length, 4]), asking(pick, [batch, groups, source, 4])
    value = asking(pick, [batch, pick.fit(groups, odd=[groups + 1]), source, 4])
    named = {"enable_gqa": pick.fit(True, odd=[False])}
    return Drawn(ATEN.scaled_dot_product_attention.default, (query, key, value), named)


def heads(pick: Pick) -> Drawn:
    same = pick.laid([pick.whole(1, 3), pick.whole(1, 4), 4])
    parameters = (torch.ones(12, 4), torch.ones(12), torch.ones(4, 4), torch.ones(4))
    asked = (None, pick.fit(True, odd=[False]), pick.flag())
    return Drawn(ATEN._native_multi_head_attention.default, (same,) * 3 + (4, pick.whole(1, 2), *parameters, *asked))


def encoder(pick: Pick) -> Drawn:
    one = torch.ones
    source = pick.laid([pick.whole(1, 3), pick.whole(1, 4), 4])
    attend = (4, pick.whole(1, 2), one(12, 4), one(12), one(4, 4), one(4), pick.flag(), pick.flag(), 1e-5)
    feed = (*(one(4) for _ in range(4)), one(6, 4), one(6), one(4, 6), one(4))
    return Drawn(ATEN._transformer_encoder_layer_fwd.default, (source, *attend, *feed))


def recurrent(name: str, gates: int) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        hidden, features, steps, batch = pick.several(4, 1, 3)
        layers, both, biased, train = pick.whole(1, 2), pick.flag(), pick.flag(), pick.flag()
        first, ways, weights = pick.fit(False, odd=[True]), 2 if both else 1, []
        for layer in range(layers):
            for _ in range(ways):
                fed = ways * hidden if layer else features
                weights += [torch.ones(gates * hidden, fed), torch.ones(gates * hidden, hidden)]
                weights += [torch.ones(gates * hidden)] * 2 if biased else []
        source = pick.laid([batch, steps, features] if first else [steps, batch, features])
        state = torch.ones(layers * ways, pick.fit(batch, odd=[batch + 1]), hidden)
        states: Any = [state, state] if name == "lstm" else state
        return Drawn(getattr(ATEN, name).input, (source, states, weights, biased, layers, 0.0, train, both, first))

    return drawn


# --- element by element ----------------------------------------------------------------------------------------------
NEEDED: dict[str, tuple[Any, ...]] = {"clamp": (0.0, 1.0), "clamp_min": (0.0,)}


def unary(name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        source = pick.laid(pick.shape(0, 4), pick.fit(*FLOATS, odd=[torch.int64, torch.complex64]))
        named = {"approximate": pick.fit("none", "tanh", odd=["sine"])} if name.startswith("gelu") else {}
        return Drawn(getattr(ATEN, name).default, (source, *NEEDED.get(name.removesuffix("_"), ())), named)

    return drawn


def binary(name: str) -> Strategy:
    packet, plain = getattr(ATEN, name), name.removesuffix("_")
    known = packet.overloads()
    tensors = next(kind for kind in ("Tensor", "Tensor_Tensor", "default") if kind in known)
    scalar = next((kind for kind in ("Tensor_Scalar", "Scalar") if kind in known), None)

    def drawn(pick: Pick) -> Drawn:
        dtype, shape = pick.type(), pick.shape(0, 4, 1, 3)
        left = pick.laid(shape, dtype)
        named = {"alpha": pick.one(1, 2)} if plain in ("add", "sub") else {}
        if scalar and not pick.whole(0, 3):
            return Drawn(getattr(packet, scalar), (left, pick.fit(2, 0.5, odd=[True, 1j])))
        if plain == "div" and "Tensor_mode" in known and pick.flag():
            mode = {"rounding_mode": pick.fit(None, "floor", "trunc", odd=["round"])}
            return Drawn(packet.Tensor_mode, (left, pick.laid(shape, dtype)), mode)
        other = [pick.one(size, size, 1) for size in shape[pick.whole(0, len(shape)) :]]
        right = pick.laid(pick.fit(other, odd=[[7, 7], [4], [5]]), dtype)
        if plain == name and pick.flag():
            left, right = right, left
        return Drawn(getattr(packet, tensors), (left, right), named)

    return drawn


def dropout(name: str) -> Strategy:
    def drawn(pick: Pick) -> Drawn:
        source = pick.laid(pick.shape(0, 4), pick.type())
        return Drawn(getattr(ATEN, name).default, (source, pick.fit(0.5, 1.0, odd=[0.0, 2.0]), pick.flag()))

    return drawn


def bernoulli(pick: Pick) -> Drawn:
    return Drawn(ATEN.bernoulli_.float, (pick.laid(pick.shape(0, 4), pick.type()), pick.fit(0.5, odd=[2.0])))


def empty_like(pick: Pick) -> Drawn:
    return Drawn(ATEN.empty_like.default, (pick.laid(pick.shape(0, 4), pick.one(*FLOATS, torch.int64)),))


STRATEGIES: dict[str, Strategy] = {
    "convolution": convolution(2, "convolution"),
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
    "constant_pad_nd": constant_pad,
    "mean": mean,
    "embedding": embedding,
    "scaled_dot_product_attention": lambda pick: (grouped_attention if pick.whole(0, 3) == 0 else attention)(pick),
    "_native_multi_head_attention": heads,
    "_transformer_encoder_layer_fwd": encoder,
    **{name: recurrent(name, gates) for name, gates in (("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1))},
    **{name: dropout(name) for name in ("dropout", "dropout_")},
    "bernoulli_": bernoulli,
    "empty_like": empty_like,
    **{name + end: unary(name + end) for name in UNARY for end in ("", "_") if hasattr(ATEN, name + end)},
    **{name + end: binary(name + end) for name in BINARY for end in ("", "_") if hasattr(ATEN, name + end)},
}
# A rule under a name that torch does not have is never asked.
NAMES = [name for name in (rule.removeprefix("aten::") for rule in RULES) if hasattr(ATEN, name)]


def test_every_rule_has_its_draws():
    assert sorted(set(NAMES) ^ set(STRATEGIES)) == []


# --- the comparison --------------------------------------------------------------------------------------------------
def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return type(value)(map(on_meta, value)) if isinstance(value, list | tuple) else value


def described(value: Any, *, lays: bool = True) -> Any:
    """Shapes, types and strides; where there is no second element, no stride to speak of."""
    if not isinstance(value, Tensor):
        return [described(item, lays=lays) for item in value] if isinstance(value, list | tuple) else value
    strides = [step for step, size in zip(value.stride(), value.shape, strict=True) if size > 1]
    return tuple(value.shape), value.dtype, strides if lays and value.numel() else None


def by_name(pick: Pick, call: Drawn) -> Drawn:
    """The same call, one time in four with some of its last arguments given by their names in the schema."""
    cut = pick.one(*[len(call.args)] * 3, pick.whole(1, len(call.args)))
    names = [argument.name for argument in call.kernel._schema.arguments]
    named = dict(zip(names[cut:], call.args[cut:], strict=False))
    return call._replace(args=call.args[:cut], named={**named, **call.named})


def both(call: Drawn) -> tuple[Any, Any]:
    """What the rule says, and what torch does, described; NotImplemented where one declines or the other refuses."""
    meta = tuple(map(on_meta, call.args))
    answer = infer(call.kernel._schema.name, meta, {name: on_meta(value) for name, value in call.named.items()})
    if call.kernel._schema.is_mutable and answer is not NotImplemented:
        assert answer is meta[0], "in place is where it was"
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            real = described(call.kernel(*call.args, **call.named), lays=call.lays)
    except (RuntimeError, IndexError, TypeError, ValueError):
        real = NotImplemented
    return described(answer, lays=call.lays), real


def examples(name: str) -> int:
    """One rule serves all functions of single elements: they need fewer draws a name."""
    return 15 if name.removesuffix("_") in UNARY else 60


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_is_right_wherever_it_answers(name):
    answered = []

    @given(st.data())
    @settings(max_examples=examples(name))
    def hold(data: st.DataObject) -> None:
        pick = Pick(data.draw, daring=False)
        call = by_name(pick, STRATEGIES[name](pick))
        answer, real = both(call)
        assert real is not NotImplemented, "the test drew what torch refuses"
        answered.append(answer is not NotImplemented)
        assert answer in (NotImplemented, real)

    hold()
    assert any(answered)


# Rules that still trust their caller here and there: they answer some calls that torch refuses.
TRUSTING = frozenset(
    "conv1d conv2d conv3d avg_pool3d adaptive_avg_pool2d _adaptive_avg_pool2d batch_norm instance_norm group_norm "
    "layer_norm rms_norm softmax _softmax embedding dropout dropout_ bernoulli_ gelu gelu_ sub div add_ sub_ mul_ div_ "
    "pow_ scaled_dot_product_attention _native_multi_head_attention lstm gru rnn_tanh rnn_relu".split()
)
# Operators of which torch refuses nothing that is drawn here.
UNREFUSED = frozenset(
    {*UNARY, *(f"{name}_" for name in UNARY)}
    | {
        "empty_like",
        "native_batch_norm",
        "_transformer_encoder_layer_fwd",
    }
)
# Rules that are held on operands with an axis expanded, too.
EXPANDED = frozenset("linear matmul mm bmm addmm cat constant_pad_nd max_pool2d max_pool2d_with_indices".split())


@pytest.mark.parametrize("name", [name for name in NAMES if name not in TRUSTING])
def test_a_rule_declines_what_torch_refuses(name):
    """So that a model that cannot run is not counted as if it could, and its error is torch's."""
    refused = []

    @given(st.data())
    @settings(max_examples=examples(name))
    def hold(data: st.DataObject) -> None:
        pick = Pick(data.draw, daring=True, expanded=name in EXPANDED)
        answer, real = both(by_name(pick, STRATEGIES[name](pick)))
        refused.append(real is NotImplemented)
        assert answer in (NotImplemented, real)

    hold()
    assert any(refused) or name in UNREFUSED
