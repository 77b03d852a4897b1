"""Every shape rule against torch's own kernel on real tensors: equal shapes and types wherever the rule answers, and
no answer where torch has none.

A rule that declines is always right, for then torch answers; so valid settings must be answered, and the others must
be declined without an error of the rule's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from analyzer.counting.shape_rules.infer import RULES, infer

ATEN = torch.ops.aten
FLOATS = st.sampled_from([torch.float32, torch.float64, torch.bfloat16])


def described(value: Any) -> Any:
    """Shapes and types of all tensors in a result; nested as it is."""
    if isinstance(value, Tensor):
        return tuple(value.shape), value.dtype
    return [described(item) for item in value] if isinstance(value, list | tuple) else value


def on_meta(value: Any) -> Any:
    if isinstance(value, Tensor):
        return torch.empty(value.shape, dtype=value.dtype, device="meta")
    return type(value)(map(on_meta, value)) if isinstance(value, list | tuple) else value


def both(kernel: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """What the rule says of meta tensors and what torch makes of real ones; NotImplemented for an error of torch's."""
    answer = infer(kernel._schema.name, tuple(map(on_meta, args)), kwargs)
    try:
        real = described(kernel(*args, **kwargs))
    except (RuntimeError, IndexError, ValueError):
        real = NotImplemented
    return answer, real


def holds(kernel: Any, *args: Any, **kwargs: Any) -> None:
    """The rule answers, and as torch does."""
    answer, real = both(kernel, *args, **kwargs)
    assert real is not NotImplemented, "the test drew what torch refuses"
    assert answer is not NotImplemented, "the rule declined what it should know"
    assert described(answer) == real
    assert all(tensor.device.type == "meta" for tensor in flat(answer))


def flat(value: Any) -> list[Tensor]:
    return [value] if isinstance(value, Tensor) else [tensor for item in value for tensor in flat(item)]


# --- convolution -----------------------------------------------------------------------------------------------------
@st.composite
def convolutions(draw: st.DrawFn) -> tuple[Any, ...]:
    """Strides beyond the kernel, padding, dilation and groups, in one or two dimensions."""
    axes = draw(st.integers(1, 2))
    groups = draw(st.integers(1, 3))
    per_group_in, per_group_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, padding, dilation = (
        draw(st.lists(st.integers(*bounds), min_size=axes, max_size=axes))
        for bounds in ((1, 4), (1, 5), (0, 3), (1, 3))
    )
    sizes = [
        draw(st.integers(max(1, reach * (width - 1) + 1 - 2 * pad), 14))
        for width, pad, reach in zip(kernel, padding, dilation, strict=True)
    ]
    dtype = draw(FLOATS)
    source = torch.zeros(draw(st.integers(1, 3)), groups * per_group_in, *sizes, dtype=dtype)
    weight = torch.zeros(groups * per_group_out, per_group_in, *kernel, dtype=dtype)
    bias = torch.zeros(groups * per_group_out, dtype=dtype) if draw(st.booleans()) else None
    return source, weight, bias, stride, padding, dilation, False, [0] * axes, groups


@given(convolutions())
@settings(max_examples=300)
def test_convolution(args):
    holds(ATEN.convolution.default, *args)


def convolve(shape=(1, 4, 8, 8), weight=(4, 4, 3, 3), stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1) -> Any:
    source, filters = torch.zeros(shape), torch.zeros(weight)
    return source, filters, None, list(stride), list(padding), list(dilation), False, [0, 0], groups


# --- pools -----------------------------------------------------------------------------------------------------------
@st.composite
def pools(draw: st.DrawFn, *, dilated: bool) -> tuple[Any, ...]:
    """Partial windows in ceil mode, strides beyond the kernel, padding, kernels given as one number or as a pair."""
    pair = draw(st.booleans())
    kernel = draw(st.lists(st.integers(1, 5), min_size=1 + pair, max_size=1 + pair))
    stride = draw(st.one_of(st.just([]), st.lists(st.integers(1, 7), min_size=1 + pair, max_size=1 + pair)))
    padding = [draw(st.integers(0, width // 2)) for width in kernel]
    ceil = draw(st.booleans())
    pads, widths = (padding * 2)[:2] if not pair else padding, (kernel * 2)[:2] if not pair else kernel
    sizes = [draw(st.integers(max(1, width - 2 * pad), 15)) for width, pad in zip(widths, pads, strict=True)]
    batch = [draw(st.integers(1, 2))] if draw(st.booleans()) else []
    source = torch.zeros(*batch, draw(st.integers(1, 3)), *sizes, dtype=draw(FLOATS))
    return (source, kernel, stride, padding, [1, 1], ceil) if dilated else (source, kernel, stride, padding, ceil)


@given(pools(dilated=True))
@settings(max_examples=400)
def test_max_pool(args):
    holds(ATEN.max_pool2d_with_indices.default, *args)


@given(pools(dilated=False))
@settings(max_examples=400)
def test_avg_pool(args):
    holds(ATEN.avg_pool2d.default, *args)


@given(st.integers(1, 20), st.integers(1, 6), st.integers(1, 8), st.integers(0, 3))
@settings(max_examples=300)
def test_a_last_window_must_start_inside_the_image_or_its_left_padding(size, kernel, stride, padding):
    """Ceil mode on a square, also where the kernel is larger than the padded image: torch has an answer or an error."""
    source = torch.zeros(1, 1, size, size)
    answer, real = both(
        ATEN.max_pool2d_with_indices.default, source, [kernel] * 2, [stride] * 2, [min(padding, kernel // 2)] * 2,
        [1, 1], True,
    )  # fmt: skip
    assert described(answer) == real


@st.composite
def volumes(draw: st.DrawFn) -> tuple[Any, ...]:
    kernel = draw(st.lists(st.integers(1, 4), min_size=3, max_size=3))
    stride = draw(st.one_of(st.just([]), st.lists(st.integers(1, 5), min_size=3, max_size=3)))
    sizes = [draw(st.integers(width, 8)) for width in kernel]
    batch = draw(st.lists(st.integers(1, 2), min_size=1, max_size=2))
    tail = draw(st.sampled_from([(), ([0, 0, 0],), ([0, 0, 0], False), ([0, 0, 0], False, True)]))
    dtype = draw(st.sampled_from([torch.float32, torch.float64]))  # torch's CPU kernel has no bfloat16.
    return torch.zeros(*batch, *sizes, dtype=dtype), kernel, stride, *tail


@given(volumes())
@settings(max_examples=200)
def test_avg_pool3d(args):
    holds(ATEN.avg_pool3d.default, *args)


# --- joining, reducing, padding --------------------------------------------------------------------------------------
@st.composite
def concatenations(draw: st.DrawFn) -> tuple[list[Tensor], int]:
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    axis, dtype = draw(st.integers(-len(shape), len(shape) - 1)), draw(FLOATS)
    tensors = []
    for width in draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)):
        shape[axis] = width
        tensors.append(torch.zeros(shape, dtype=dtype))
    return tensors, axis


@given(concatenations())
def test_cat(args):
    holds(ATEN.cat.default, *args)


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@given(st.data(), SHAPES, st.booleans(), FLOATS)
def test_mean(data, shape, keepdim, dtype):
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, max_size=len(shape), unique=True))
    signed = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in axes]
    holds(ATEN.mean.dim, torch.zeros(shape, dtype=dtype), signed, keepdim)


@given(st.data(), SHAPES, FLOATS)
def test_constant_pad(data, shape, dtype):
    axes = data.draw(st.integers(1, len(shape)))
    pad = []
    for size in reversed(shape[-axes:]):
        before = data.draw(st.integers(-(size - 1), 3))
        pad += [before, data.draw(st.integers(-(size + min(before, 0) - 1), 3))]
    holds(ATEN.constant_pad_nd.default, torch.zeros(shape, dtype=dtype), pad, 0.0)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), FLOATS)
def test_addmm(rows, depth, columns, dtype):
    left, right = torch.zeros(rows, depth, dtype=dtype), torch.zeros(depth, columns, dtype=dtype)
    holds(ATEN.addmm.default, torch.zeros(columns, dtype=dtype), left, right)


def test_addmm_takes_a_transposed_weight():
    """What a linear layer hands over: `weight.t()`, a view that is not contiguous."""
    bias, left, weight = (torch.empty(*shape, device="meta") for shape in ((5,), (2, 3), (5, 3)))
    answer = infer("aten::addmm", (bias, left, weight.t()), {})
    assert described(answer) == ((2, 5), torch.float32)


# --- element by element ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kernel", [ATEN.relu.default, ATEN.relu_.default, ATEN.empty_like.default])
@given(shape=SHAPES, dtype=FLOATS)
def test_one_tensor(kernel, shape, dtype):
    holds(kernel, torch.zeros(shape, dtype=dtype))


@pytest.mark.parametrize("kernel", [ATEN.add.Tensor, ATEN.mul.Tensor, ATEN.div.Tensor, ATEN.pow.Tensor_Tensor])
@given(shape=SHAPES, dtype=FLOATS)
def test_two_tensors(kernel, shape, dtype):
    holds(kernel, torch.ones(shape, dtype=dtype), torch.ones(shape, dtype=dtype))


@pytest.mark.parametrize("kernel", [ATEN.add.Scalar, ATEN.mul.Scalar, ATEN.div.Scalar, ATEN.pow.Tensor_Scalar])
@given(shape=SHAPES, dtype=FLOATS)
def test_a_tensor_and_a_number(kernel, shape, dtype):
    holds(kernel, torch.ones(shape, dtype=dtype), 0.75)


@given(shape=SHAPES, dtype=FLOATS)
def test_in_place(shape, dtype):
    holds(ATEN.div_.Scalar, torch.ones(shape, dtype=dtype), 2.0)
    holds(ATEN.div_.Tensor, torch.ones(shape, dtype=dtype), torch.ones(shape, dtype=dtype))
    holds(ATEN.bernoulli_.float, torch.ones(shape, dtype=dtype), 0.5)


@given(st.integers(1, 3), st.integers(1, 4), st.lists(st.integers(1, 4), max_size=2), st.booleans(), FLOATS)
def test_batch_norm(batch, channels, sizes, training, dtype):
    ones = [torch.ones(channels, dtype=dtype) for _ in range(4)]
    source = torch.ones(batch, channels, *sizes, dtype=dtype)
    holds(ATEN.native_batch_norm.default, source, *ones, training, 0.1, 1e-5)


# --- what a rule must leave to torch ---------------------------------------------------------------------------------
def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype)


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
def test_what_is_unusual_is_declined_or_right(case):
    answer, real = both(*UNUSUAL[case])
    assert real is not NotImplemented, "the test is of calls that torch takes"
    assert answer is NotImplemented or described(answer) == real


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
def test_what_torch_refuses_is_declined(case):
    """So that a model that cannot run is not counted as if it could, and its error is torch's."""
    answer, real = both(*IMPOSSIBLE[case])
    assert real is NotImplemented, "the test is of calls that torch refuses"
    assert answer is NotImplemented


def test_keywords_real_tensors_and_subclasses_are_left_to_torch():
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


def test_every_rule_is_held_against_torch_here():
    """Each test above names its operator as `ATEN.name`, test_rules.py lists its own; a new rule needs one too."""
    from pathlib import Path

    from tests.counting.shape_rules.test_rules import HELD

    here = Path(__file__).read_text(encoding="utf-8")
    missing = [name for name in RULES if f"ATEN.{name.removeprefix('aten::')}." not in here and name not in HELD]
    assert missing == []


def test_a_wrong_rule_would_be_seen(monkeypatch):
    """Floor where ceil is asked for, and the comparison fails."""
    wrong: Callable[..., Any] = RULES["aten::avg_pool2d"]
    monkeypatch.setitem(RULES, "aten::avg_pool2d", lambda source, k, s, p, ceil: wrong(source, k, s, p, False))
    with pytest.raises(AssertionError):
        holds(ATEN.avg_pool2d.default, empty(1, 1, 8, 8), [3, 3], [2, 2], [0, 0], True)
