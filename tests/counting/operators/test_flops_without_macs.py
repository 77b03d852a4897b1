"""FLOPs of operators without MACs, by the formulas of docs/conventions.md, with the arithmetic written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it

from analyzer.counting.execution.count_any_model import count_model
from tests.counting.operators.calls import Calls

prims = torch.ops.prims
SHAPE = (2, 6, 9, 8)
N = 2 * 6 * 9 * 8
LOG2_8 = 3


def flops(what: Any, *args: Any, train: bool = False) -> int:
    """The same rows on meta and on real tensors, nothing unknown, no multiply-adds."""
    model = what if isinstance(what, nn.Module) else Calls(what)
    meta, real = (count_model(model, args, train=train, on=on).count for on in ("meta", "real"))
    assert meta.rows == real.rows
    assert meta.unknown_ops == real.unknown_ops == {}
    assert meta.totals.macs == (meta.totals.backward_macs or 0) == 0
    return meta.totals.flops


def image() -> Tensor:
    return torch.rand(SHAPE, requires_grad=True)


ACTIVATIONS = (
    "ReLU ReLU6 GELU SiLU ELU SELU CELU Mish Softplus Sigmoid Tanh Hardswish Hardsigmoid Hardtanh LeakyReLU PReLU \
LogSigmoid Softshrink Hardshrink RReLU"
)


@pytest.mark.parametrize("name", ACTIVATIONS.split())
@pytest.mark.parametrize("train", [False, True])
def test_an_activation_is_one_operation_an_element(name, train):
    assert flops(getattr(nn, name)(), image(), train=train) == N


MODULES: dict[str, tuple[nn.Module, int, int]] = {
    # Module: FLOPs at inference, in training.
    "batch norm": (nn.BatchNorm2d(6), 2 * N, 6 * N),
    "batch norm without statistics": (nn.BatchNorm2d(6, track_running_stats=False), 6 * N, 6 * N),
    "instance norm": (nn.InstanceNorm2d(6, affine=True), 6 * N, 6 * N),
    "group norm": (nn.GroupNorm(3, 6), 6 * N, 6 * N),
    "layer norm": (nn.LayerNorm((9, 8)), 6 * N, 6 * N),
    "rms norm": (nn.RMSNorm(8), 6 * N, 6 * N),
    "local response norm": (nn.LocalResponseNorm(5), (2 * 5 + 3) * N, (2 * 5 + 3) * N),
    "softmax": (nn.Softmax(1), 5 * N, 5 * N),
    "log softmax": (nn.LogSoftmax(1), 5 * N, 5 * N),
    "softmin, which negates first": (nn.Softmin(1), 6 * N, 6 * N),
    "a gate, half as large": (nn.GLU(1), N // 2, N // 2),
    "softsign, taken apart": (nn.Softsign(), 3 * N, 3 * N),
    "tanhshrink, taken apart": (nn.Tanhshrink(), 2 * N, 2 * N),
    "dropout": (nn.Dropout(0.3), 0, 2 * N),
    "dropout of channels": (nn.Dropout2d(0.3), 0, 2 * N),
    "alpha dropout": (nn.AlphaDropout(0.3), 0, 2 * N),
    "dropout of nothing": (nn.Dropout(0.0), 0, 0),
    "identity": (nn.Identity(), 0, 0),
    "flatten": (nn.Flatten(), 0, 0),
    "a shuffle of pixels": (nn.PixelShuffle(1), 0, 0),
    "padding": (nn.ReflectionPad2d(1), 0, 0),
}


@pytest.mark.parametrize("name", MODULES)
def test_norms_and_others(name):
    module, inference, training = MODULES[name]
    assert flops(module, image()) == inference
    assert flops(module, image(), train=True) == training


POOLS: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {
    # Window · output elements.
    "max_pool1d": (nn.MaxPool1d(3, 2, 1), (2, 3, 9), 3 * (2 * 3 * 5)),
    "max_pool2d": (nn.MaxPool2d(3, 2, 1), (2, 3, 9, 8), 9 * (2 * 3 * 5 * 4)),
    "max_pool2d with one number an axis": (nn.MaxPool2d((3, 2)), (2, 3, 9, 8), 6 * (2 * 3 * 3 * 4)),
    "max_pool2d, rounded up": (nn.MaxPool2d(3, 2, ceil_mode=True), (2, 3, 8, 8), 9 * (2 * 3 * 4 * 4)),
    "max_pool3d": (nn.MaxPool3d(2), (2, 3, 4, 6, 8), 8 * (2 * 3 * 2 * 3 * 4)),
    "avg_pool1d": (nn.AvgPool1d(3), (2, 3, 9), 3 * (2 * 3 * 3)),
    "avg_pool2d": (nn.AvgPool2d(3, 2), (2, 3, 9, 8), 9 * (2 * 3 * 4 * 3)),
    "avg_pool3d": (nn.AvgPool3d((1, 2, 3)), (2, 3, 4, 6, 9), 6 * (2 * 3 * 4 * 3 * 3)),
    # Elements read.
    "adaptive_avg_pool1d": (nn.AdaptiveAvgPool1d(2), (2, 3, 9), 2 * 3 * 9),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d((2, 3)), (2, 3, 9, 8), 2 * 3 * 9 * 8),
    "adaptive_avg_pool3d": (nn.AdaptiveAvgPool3d(2), (2, 3, 4, 6, 8), 2 * 3 * 4 * 6 * 8),
    "adaptive_max_pool1d": (nn.AdaptiveMaxPool1d(2), (2, 3, 9), 2 * 3 * 9),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d(2), (2, 3, 9, 8), 2 * 3 * 9 * 8),
    "adaptive_max_pool3d": (nn.AdaptiveMaxPool3d(2), (2, 3, 4, 6, 8), 2 * 3 * 4 * 6 * 8),
    "global pooling": (nn.AdaptiveAvgPool2d(1), (2, 3, 9, 8), 2 * 3 * 9 * 8),
}


@pytest.mark.parametrize("name", POOLS)
def test_pools(name):
    module, shape, expected = POOLS[name]
    assert flops(module, torch.zeros(shape)) == expected


def test_unpooling_only_moves():
    pooled = 4 * (2 * 6 * 4 * 4)
    assert flops(lambda x: F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2), image()) == pooled


SIZES: dict[str, tuple[Callable[[Tensor], Tensor], tuple[int, ...], int]] = {
    # A weighted sum of 2, 4, 8 or 16 neighbors: as many products, an addition less.
    "nearest 1d": (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 9), 0),
    "nearest 2d": (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 9, 8), 0),
    "nearest 3d": (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 4, 6, 8), 0),
    "nearest, exact": (lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"), (2, 3, 9, 8), 0),
    "linear": (lambda x: F.interpolate(x, scale_factor=2, mode="linear"), (2, 3, 9), (2 * 2 - 1) * (2 * 3 * 18)),
    "bilinear": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
        (2, 3, 9, 8),
        (2 * 4 - 1) * (2 * 3 * 18 * 16),
    ),
    "bicubic": (
        lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
        (2, 3, 9, 8),
        (2 * 16 - 1) * (2 * 3 * 18 * 16),
    ),
    "trilinear": (
        lambda x: F.interpolate(x, scale_factor=2, mode="trilinear"),
        (2, 3, 4, 6, 8),
        (2 * 8 - 1) * (2 * 3 * 8 * 12 * 16),
    ),
    "area, an adaptive pool": (lambda x: F.interpolate(x, size=(3, 2), mode="area"), (2, 3, 9, 8), 2 * 3 * 9 * 8),
    "a grid": (
        lambda x: F.grid_sample(x, torch.zeros(2, 5, 7, 2, device=x.device), align_corners=False),
        (2, 3, 9, 8),
        (2 * 4 - 1) * (2 * 3 * 5 * 7),
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_interpolation(name):
    function, shape, expected = SIZES[name]
    assert flops(function, torch.zeros(shape)) == expected


ELEMENTWISE: dict[str, tuple[Callable[[Tensor], Any], int]] = {
    "plus a number": (lambda x: x + 1, N),
    "plus itself": (lambda x: x + x, N),
    "broadcast": (lambda x: x[:, :1] * x, N),
    "in place": (lambda x: (x * 1).add_(x), 2 * N),
    "a power": (lambda x: x**2, N),
    "a root": (torch.sqrt, N),
    "a quotient": (lambda x: x / (x + 2), 2 * N),
    "the whole quotient": (lambda x: x.detach() // 2, N),
    "a sine": (torch.sin, N),
    "the error function": (torch.erf, N),
    "a choice after a product": (lambda x: torch.where(x > 0, x, x * 2), N),
    "bounds": (lambda x: x.clamp(0, 1), N),
    "a blend": (lambda x: torch.lerp(x, x, 0.5), N),
    "a comparison": (lambda x: x > 0, 0),
    "a sum of whole numbers": (lambda x: (x > 0).long() + 1, 0),
    "a copy": (lambda x: x.clone(), 0),
    "joined": (lambda x: torch.cat([x, x]), 0),
    "stacked": (lambda x: torch.stack([x, x]), 0),
    "another view": (lambda x: x.transpose(1, 2)[..., 1:].unsqueeze(0), 0),
    "another type": (lambda x: x.double(), 0),
    "rolled": (lambda x: x.roll(1, 1), 0),
    "sorted": (lambda x: x.sort().values, 0),
    "the largest four": (lambda x: x.topk(4).values, 0),
    "the place of the largest": (lambda x: x.argmax(1), 0),
    "gathered": (lambda x: x.gather(1, torch.zeros(2, 1, 9, 8, dtype=torch.int64, device=x.device)), 0),
    "a corner": (torch.triu, 0),
    "a sum": (lambda x: x.sum(1), N),
    "a mean": (lambda x: x.mean(), N),
    "the largest": (lambda x: x.max(1).values, N),
    "a running sum": (lambda x: x.cumsum(1), N),
    "a product of all": (lambda x: x.prod(1), N),
    "a variance": (lambda x: x.var(1), 2 * N),
    "a norm": (lambda x: x.norm(dim=1), 2 * N),
    "the logarithm of a sum": (lambda x: x.logsumexp(1), 2 * N),
    "squared errors": (lambda x: F.mse_loss(x, x * 2), 2 * N),
    "binary cross entropy": (lambda x: F.binary_cross_entropy_with_logits(x, x.detach() * 1), 2 * N),
    "cross entropy": (
        lambda x: F.cross_entropy(x.flatten(1), torch.zeros(2, dtype=torch.int64, device=x.device)),
        5 * N + N,
    ),
    "a cross product": (lambda x: torch.linalg.cross(x[..., :3], x[..., :3]), 3 * (2 * 6 * 9 * 3)),
    "an outer product": (lambda x: torch.outer(x[0, 0, 0], x[0, 0, 0]), 8 * 8),
    # An addition for every element that is put somewhere, however large the target.
    "added by index": (
        lambda x: torch.zeros(50, 6, 9, 8, device=x.device).index_add(0, torch.tensor([1, 2], device=x.device), x),
        N,
    ),
    "scattered": (
        lambda x: torch.zeros(2, 60, 9, 8, device=x.device).scatter_add(
            1, torch.zeros(SHAPE, dtype=torch.int64, device=x.device), x
        ),
        N,
    ),
    # Primitive operators, into which programs are decomposed.
    "primitive": (lambda x: prims.where(prims.gt(x, x), prims.mul(x, x), prims.cos(prims.clone(x))), N + N),
    "primitive reductions": (lambda x: prims.add(prims.sum(x, [1]), prims.amax(x, [1])), 2 * N + N // 6),
    # 5 n log2 n a transform of 8 points, half of it for a real signal.
    "fourier": (lambda x: torch.fft.fft(x.to(torch.complex64)), 5 * N * LOG2_8),
    "fourier of a real signal": (torch.fft.rfft, 5 * N * LOG2_8 // 2),
    "and back to a real one": (
        lambda x: torch.fft.irfft(torch.fft.rfft(x), n=8),
        5 * N * LOG2_8 // 2 + 5 * N * LOG2_8 // 2,
    ),
    # Two norms of 2 operations an element, a product, its sum, and a few by output.
    "random numbers": (torch.rand_like, N),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise_functions_reductions_and_moves(name):
    function, expected = ELEMENTWISE[name]
    assert flops(function, image()) == expected


def test_similarities_are_counted_by_what_they_read():
    """Not by what they write, which is a sixth of it."""
    for function in (F.cosine_similarity, F.pairwise_distance):
        assert flops(lambda x, f=function: f(x, x.detach() * 1), image()) >= 3 * N


def test_interpolation_against_aliases_is_a_weighted_sum_too():
    shrunk = flops(lambda x: F.interpolate(x, size=(4, 4), mode="bilinear", antialias=True), image())
    assert shrunk == (2 * 4 - 1) * (2 * 6 * 4 * 4)
