"""Shape rules against torch's CPU kernels: shapes, types and strides agree wherever a rule answers, and a rule declines
whatever torch refuses. A rule that declines is right, for torch's own meta kernel then answers or raises."""

from __future__ import annotations

import itertools
import warnings
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from analyzer.counting.shape_rules import infer as rules
from analyzer.counting.shape_rules.infer import GRADIENTS, RULES, UNARY, infer
from tests.counting.shape_rules.draws import ATEN, STRATEGIES, Draw, DrawnCall

# Rules also cover names that this torch does not have.
NAMES = [name for name in (rule.removeprefix("aten::") for rule in RULES) if hasattr(ATEN, name)]


def test_every_rule_is_drawn():
    assert sorted(set(NAMES) ^ set(STRATEGIES)) == []


def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="meta")
    return type(value)(map(on_meta, value)) if isinstance(value, list | tuple) else value


def described(value: Any, *, strides: bool = True) -> Any:
    """Shapes, types and strides of all tensors in a result; axes of a single element have no meaningful stride."""
    if not isinstance(value, Tensor):
        return [described(item, strides=strides) for item in value] if isinstance(value, list | tuple) else value
    steps = [step for step, size in zip(value.stride(), value.shape, strict=True) if size > 1]
    return tuple(value.shape), value.dtype, steps if strides and value.numel() else None


def with_names(draw: Draw, call: DrawnCall) -> DrawnCall:
    """The same call; in a quarter of draws its last arguments are passed by the schema's names."""
    cut = draw.choice(*[len(call.args)] * 3, draw.integer(1, len(call.args)))
    names = [argument.name for argument in call.kernel._schema.arguments]
    named = dict(zip(names[cut:], call.args[cut:], strict=False))
    return call._replace(args=call.args[:cut], named={**named, **call.named})


def both(call: DrawnCall) -> tuple[Any, Any]:
    """The rule's result and torch's, described; NotImplemented where the rule declines or either raises."""
    meta = tuple(map(on_meta, call.args))
    try:
        answer = infer(call.kernel._schema.name, meta, {name: on_meta(value) for name, value in call.named.items()})
    except RuntimeError:
        answer = NotImplemented
    if call.kernel._schema.is_mutable and answer is not NotImplemented:
        assert answer is meta[0], "an in-place operator returns its first argument"
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            real = described(call.kernel(*call.args, **call.named), strides=call.compare_strides)
    except (RuntimeError, IndexError, TypeError, ValueError):
        real = NotImplemented
    return described(answer, strides=call.compare_strides), real


def examples(name: str) -> int:
    """One rule serves all pointwise functions, so each of them needs fewer draws."""
    return 10 if name.removesuffix("_") in (*UNARY, *GRADIENTS) else 80


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_agrees_with_torch(name):
    answered = []

    @given(st.data())
    @settings(max_examples=examples(name))
    def check(data: st.DataObject) -> None:
        draw = Draw(data.draw, daring=False)
        answer, real = both(with_names(draw, STRATEGIES[name](draw)))
        assert real is not NotImplemented, "the strategy drew a call that torch refuses"
        answered.append(answer is not NotImplemented)
        assert answer in (NotImplemented, real)

    check()
    assert any(answered)


@pytest.mark.parametrize("mask", list(itertools.product([False, True], repeat=3)))
def test_the_gradients_of_a_convolution_are_those_asked_for(mask):
    gradient, source, weight = (
        torch.empty(shape, device="meta") for shape in ((2, 4, 5, 5), (2, 3, 7, 7), (4, 3, 3, 3))
    )
    args = (gradient, source, weight, [4], [1, 1], [0, 0], [1, 1], False, [0, 0], 1, list(mask))
    answer = infer("aten::convolution_backward", args, {})
    assert described(answer) == described(ATEN.convolution_backward.default(*args))
    assert tuple(gradient is not None for gradient in answer) == mask


def test_the_gradient_of_a_transposed_convolution_has_the_size_of_its_result():
    """1x1 by a 1x1 filter with stride (1, 2): one column; two columns also convolve to 1x1, and torch refuses them."""
    gradient, source, weight = (
        torch.empty(shape, device="meta") for shape in ((1, 1, 1, 2), (1, 2, 1, 1), (2, 1, 1, 1))
    )
    spread = (None, [1, 2], [0, 0], [1, 1], True)
    mask = [True, True, False]
    name = "aten::convolution_backward"
    assert infer(name, (gradient, source, weight, *spread, [0, 0], 1, mask), {}) is NotImplemented
    assert described(infer(name, (gradient[..., :1].contiguous(), source, weight, *spread, [0, 0], 1, mask), {})) == [
        ((1, 2, 1, 1), torch.float32, [1]),
        ((2, 1, 1, 1), torch.float32, [1]),
        None,
    ]


# Operators for which the strategies draw nothing that torch refuses.
NEVER_REFUSED = frozenset(
    {
        *UNARY,
        *(f"{name}_" for name in UNARY),
        "empty_like",
        "zeros_like",
        "ones_like",
        "native_batch_norm",
        "_native_multi_head_attention",
        "_transformer_encoder_layer_fwd",
        "lstm",
    }
)
# Rules that are tested on expanded operands too.
EXPANDED = frozenset(
    "linear matmul mm bmm addmm cat constant_pad_nd max_pool2d max_pool2d_with_indices empty_like abs mul".split()
)


def checks_dimensions_of_gradients() -> bool:
    try:
        ATEN._adaptive_avg_pool2d_backward.default(torch.ones(1, 1, 1), torch.ones(1, 1, 4, 4))
    except RuntimeError:
        return True
    return False


UNCHECKED = pytest.mark.skipif(
    not checks_dimensions_of_gradients(), reason="this torch writes beyond the result instead of refusing the call"
)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=UNCHECKED) if name == "_adaptive_avg_pool2d_backward" else name for name in NAMES],
)
def test_a_rule_declines_what_torch_refuses(name):
    """Otherwise a model that cannot run would be counted, and its error would not be torch's."""
    refused = []

    @given(st.data())
    @settings(max_examples=examples(name))
    def check(data: st.DataObject) -> None:
        draw = Draw(data.draw, daring=True, expanded=name in EXPANDED)
        call = with_names(draw, STRATEGIES[name](draw))
        answer, real = both(call)
        refused.append(real is NotImplemented)
        assert answer in (NotImplemented, real), call

    check()
    assert any(refused) or name in NEVER_REFUSED


# --- single calls ----------------------------------------------------------------------------------------------------
def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


def convolve(shape=(1, 4, 8, 8), weight=(4, 4, 3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1) -> Any:
    source, filters = torch.zeros(shape), torch.zeros(weight)
    return source, filters, None, list(stride), list(padding), list(dilation), False, [0, 0], groups


HALF, LONG = torch.float16, torch.int64
# Valid calls whose answer is not of the common kind: a rule declines, or says what torch says.
UNUSUAL: dict[str, tuple[Any, ...]] = {
    "cat of two types": (ATEN.cat.default, [empty(2, 3, dtype=HALF), empty(2, 3)], 1),
    "cat of whole numbers and floats": (ATEN.cat.default, [empty(2, dtype=LONG), empty(2)], 0),
    "cat with the old empty tensor": (ATEN.cat.default, [empty(0), empty(2, 3)], 1),
    "division of whole numbers": (ATEN.div.Tensor, empty(2, dtype=LONG), empty(2, dtype=LONG)),
    "power of a number": (ATEN.pow.Scalar, 2.0, empty(2, 3)),
    "power by a whole number": (ATEN.pow.Tensor_Scalar, empty(2, 3), 2),
    "broadcasting": (ATEN.add.Tensor, empty(2, 1), empty(2, 3)),
    "two types": (ATEN.mul.Tensor, empty(2, dtype=HALF), empty(2)),
    "a number beside whole numbers": (ATEN.mul.Scalar, empty(2, dtype=LONG), 0.5),
    "mean of everything": (ATEN.mean.default, empty(2, 3)),
    "mean over no axis": (ATEN.mean.dim, empty(2, 3), []),
    "mean of one number": (ATEN.mean.dim, empty(), [0]),
    "pool with dilation": (ATEN.max_pool2d_with_indices.default, empty(1, 1, 9, 9), [2], [1], [0], [2, 2]),
    "padding given once": (ATEN.convolution.default, *convolve(padding=(1,))),
    "dilation given once": (ATEN.convolution.default, *convolve(dilation=(2,))),
    "stride given once": (ATEN.convolution.default, *convolve(stride=(2,))),
    "transposed convolution": (
        ATEN.convolution.default, empty(1, 4, 5, 5), empty(4, 2, 3, 3), None, [2, 2], [0, 0], [1, 1], True, [1, 1], 1,
    ),
    "3-d stride given once": (ATEN.avg_pool3d.default, empty(1, 1, 4, 4, 4), [2, 2, 2], [1]),
    "3-d kernel given once": (ATEN.avg_pool3d.default, empty(1, 1, 4, 4, 4), [2]),
    "3-d padding": (ATEN.avg_pool3d.default, empty(1, 1, 4, 4, 4), [2, 2, 2], [2, 2, 2], [1, 1, 1]),
    "3-d ceil mode": (ATEN.avg_pool3d.default, empty(1, 1, 5, 5, 5), [2, 2, 2], [2, 2, 2], [0, 0, 0], True),
    "padding to nothing": (ATEN.constant_pad_nd.default, empty(2, 3), [-1, -2]),
    "bias of a whole matrix": (ATEN.addmm.default, empty(2, 4), empty(2, 3), empty(3, 4)),
    "no rule at all": (ATEN.sigmoid.default, empty(2, 3)),
    "batch norm of half precision": (
        ATEN.native_batch_norm.default, empty(2, 3, 4, dtype=HALF), *[empty(3)] * 4, True, 0.1, 1e-5,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", UNUSUAL)
def test_an_unusual_call_is_declined_or_right(case):
    answer, real = both(DrawnCall(UNUSUAL[case][0], UNUSUAL[case][1:]))
    assert real is not NotImplemented, "the test is for calls that torch accepts"
    assert answer in (NotImplemented, real)


IMPOSSIBLE: dict[str, tuple[Any, ...]] = {
    "pool padded by more than half its window": (
        ATEN.max_pool2d_with_indices.default, empty(1, 1, 8, 8), [2, 2], [2, 2], [2, 2],
    ),
    "average padded by more than half its window": (
        ATEN.avg_pool2d.default, empty(1, 1, 8, 8), [2, 2], [2, 2], [2, 2],
    ),
    "pool of a plane without channels": (ATEN.max_pool2d_with_indices.default, empty(8, 8), [2, 2], [2, 2]),
    "pool of a volume": (ATEN.max_pool2d_with_indices.default, empty(1, 1, 8, 8, 8), [2, 2], [2, 2]),
    "pool larger than its image": (ATEN.max_pool2d_with_indices.default, empty(1, 1, 2, 2), [3, 3], [1, 1]),
    "pool that stands still": (ATEN.avg_pool2d.default, empty(1, 1, 8, 8), [2, 2], [0, 0]),
    "average divided by nothing": (
        ATEN.avg_pool2d.default, empty(1, 1, 8, 8), [2, 2], [2, 2], [0, 0], False, True, 0,
    ),
    "convolution that stands still": (ATEN.convolution.default, *convolve(stride=(0, 0))),
    "convolution of other channels": (ATEN.convolution.default, *convolve(weight=(4, 3, 3, 3))),
    "convolution larger than its image": (ATEN.convolution.default, *convolve(shape=(1, 4, 2, 2))),
    "groups that do not divide": (ATEN.convolution.default, *convolve(weight=(3, 2, 3, 3), groups=2)),
    "no groups": (ATEN.convolution.default, *convolve(groups=0)),
    "convolution of two types": (
        ATEN.convolution.default, empty(1, 4, 8, 8), empty(4, 4, 3, 3, dtype=HALF), *convolve()[2:],
    ),
    "bias of another width": (
        ATEN.convolution.default, empty(1, 4, 8, 8), empty(4, 4, 3, 3), empty(7), *convolve()[3:],
    ),
    "cat of nothing": (ATEN.cat.default, [], 0),
    "cat of numbers": (ATEN.cat.default, [empty(), empty()], 0),
    "cat beyond the axes": (ATEN.cat.default, [empty(2, 3), empty(2, 3)], 5),
    "cat of what does not fit": (ATEN.cat.default, [empty(2, 3), empty(4, 3)], 1),
    "products that do not fit": (ATEN.addmm.default, empty(4), empty(2, 5), empty(3, 4)),
    "products with another bias": (ATEN.addmm.default, empty(7), empty(2, 3), empty(3, 4)),
    "products of two types": (ATEN.addmm.default, empty(4), empty(2, 3), empty(3, 4, dtype=HALF)),
    "half a pair of pads": (ATEN.constant_pad_nd.default, empty(2, 3), [1, 1, 1]),
    "pads of more axes": (ATEN.constant_pad_nd.default, empty(2, 3), [1] * 6),
    "mean twice over an axis": (ATEN.mean.dim, empty(2, 3), [0, 0]),
    "mean beyond the axes": (ATEN.mean.dim, empty(2, 3), [5]),
    "3-d pool of six axes": (ATEN.avg_pool3d.default, empty(1, 1, 1, 4, 4, 4), [2, 2, 2]),
    "3-d pool that stands still": (ATEN.avg_pool3d.default, empty(1, 1, 4, 4, 4), [2, 2, 2], [0, 1, 1]),
    "division in place by what does not fit": (ATEN.div_.Tensor, empty(2, 3), empty(4, 5)),
    "division of whole numbers in place": (ATEN.div_.Scalar, empty(2, dtype=LONG), 2.0),
}  # fmt: skip


@pytest.mark.parametrize("case", IMPOSSIBLE)
def test_an_impossible_call_is_declined(case):
    answer, real = both(DrawnCall(IMPOSSIBLE[case][0], IMPOSSIBLE[case][1:]))
    assert real is NotImplemented, "the test is for calls that torch refuses"
    assert answer is NotImplemented


def test_unknown_keywords_real_tensors_and_subclasses_are_declined():
    meta = torch.empty(2, 3, device="meta")
    assert infer("aten::relu", (empty(2, 3),), {}) is NotImplemented
    assert infer("aten::add", (meta, meta), {"alpha": 2}) is not NotImplemented
    assert infer("aten::add", (meta, meta), {"out": meta}) is NotImplemented
    assert infer("aten::mean", (meta, [1]), {"dtype": torch.float64}) is NotImplemented
    assert infer("aten::empty_like", (meta,), {"dtype": torch.float64}) is NotImplemented
    assert infer("aten::cat", ([meta, empty(2, 3)], 0), {}) is NotImplemented
    assert infer("aten::relu", (), {}) is NotImplemented

    class Marked(Tensor):
        pass

    assert infer("aten::relu", (meta.as_subclass(Marked),), {}) is NotImplemented
    assert infer("aten::relu", (torch.nn.Parameter(meta),), {}) is not NotImplemented
    strided = torch.empty(2, 3, 4, 5, device="meta").to(memory_format=torch.channels_last)
    assert infer("aten::relu", (strided,), {}).stride() == strided.stride()
    assert infer("aten::max_pool2d", (strided, [2, 2]), {}) is NotImplemented
    assert infer("aten::empty_like", (meta,), {"device": torch.device("cpu")}) is NotImplemented


def test_dropout_at_inference_returns_its_input():
    source = on_meta(empty(2, 3))
    assert infer("aten::dropout", (source, 0.5, False), {}) is source


def test_the_comparison_detects_a_wrong_rule(monkeypatch):
    """Floor instead of ceil."""
    right: Any = RULES["aten::avg_pool2d"]
    monkeypatch.setitem(rules._ALL, "aten::avg_pool2d", lambda source, k, s, p, ceil: right(source, k, s, p, False))
    answer, real = both(DrawnCall(ATEN.avg_pool2d.default, (empty(1, 1, 8, 8), [3, 3], [2, 2], [0, 0], True)))
    assert NotImplemented is not answer != real
