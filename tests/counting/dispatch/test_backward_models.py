"""Small models with backward counts worked out by hand: MACs of the forward and of the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

from analyzer.counting.execution.count_any_model import count_model
from tests.counting.dispatch.training_models import Forward

Case = tuple[nn.Module, tuple[Any, ...], int, int]
LINEAR = 2 * 8 * 8  # MACs of a layer of width 8 for two samples, and of each of its gradients.
X = (2, 8)


def linears(function: Callable[..., Any], **options: Any) -> nn.Module:
    return Forward(function, a=nn.Linear(8, 8, **options), b=nn.Linear(8, 8, **options), c=nn.Linear(8, 8, **options))


def layers(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts)


def on(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> tuple[Tensor]:
    return (torch.zeros(shape, dtype=dtype),)


def ids(*shape: int) -> tuple[Tensor]:
    return on(shape, torch.int64)


def attends(query: int = 4, key: int = 4, **options: Any) -> nn.Module:
    """Queries (2, heads, 5, 8); keys and values (2, heads, 6, 8), all parameters."""
    parts = {"q": torch.zeros(2, query, 5, 8), "k": torch.zeros(2, key, 6, 8), "v": torch.zeros(2, key, 6, 8)}
    parameters = {name: nn.Parameter(part) for name, part in parts.items()}
    return Forward(lambda s, x: F.scaled_dot_product_attention(s.q, s.k, s.v, **options), **parameters)


def product(text: str, left: tuple[int, ...], right: tuple[int, ...], *, both: bool = True) -> nn.Module:
    parts = {"l": nn.Parameter(torch.zeros(left)), "r": nn.Parameter(torch.zeros(right), both)}
    return Forward(lambda s, x: torch.einsum(text, s.l, s.r), **parts)


def learned(**shapes: tuple[int, ...]) -> dict[str, nn.Parameter]:
    return {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}


def vectors(function: Callable[..., Any]) -> nn.Module:
    """A function of a matrix (3, 4) and vectors of 4 and 3."""
    return Forward(lambda s, x: function(s.m, s.v, s.w), **learned(m=(3, 4), v=(4,), w=(3,)))


class Square(torch.autograd.Function):
    """One product forward, two backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        return gradients[0] @ weight.t(), x.t() @ gradients[0]


class Silent(Square):
    """The backward pass has no product."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return gradients[0], None


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def tied() -> nn.Module:
    model = Forward(lambda s, i: s.out(s.table(i)), table=nn.Embedding(10, 8), out=nn.Linear(8, 10, bias=False))
    model.out.weight = model.table.weight
    return model


def normal(value: Tensor) -> Any:
    return torch.distributions.Normal(value, torch.ones_like(value), validate_args=False)


def c2(*args: Any, **options: Any) -> nn.Module:
    return nn.Conv2d(*args, **options)


IMAGE = (2, 4, 8, 8)
MASK = torch.ones(5, 6, dtype=torch.bool)
FIRST = 2 * 4 * 4 * 64  # A 1x1 convolution of IMAGE to 4 channels; first layers have a weight gradient only.
HEADS = 2 * 4 * 5 * 6 * 8  # One product of attention: scores, or scores times values.

CASES: dict[str, Callable[[], Case]] = {
    # Convolutions. The output of a 3x3 layer is 6x6; each output element has 4 x 9 MACs.
    "first convolution": lambda: (c2(4, 6, 3), on(IMAGE), 2 * 6 * 36 * 36, 2 * 6 * 36 * 36),
    "convolution": lambda: (
        layers(c2(4, 4, 1), c2(4, 6, 3)),
        on(IMAGE),
        FIRST + 2 * 6 * 36 * 36,
        FIRST + 2 * 2 * 6 * 36 * 36,
    ),
    "padded": lambda: (
        layers(c2(4, 4, 1), c2(4, 6, 3, padding=1)),
        on(IMAGE),
        FIRST + 2 * 6 * 64 * 36,
        FIRST + 4 * 6 * 64 * 36,
    ),
    # Stride 2: an output of 3x3.
    "strided": lambda: (
        layers(c2(4, 4, 1), c2(4, 6, 3, stride=2)),
        on(IMAGE),
        FIRST + 2 * 6 * 9 * 36,
        FIRST + 4 * 6 * 9 * 36,
    ),
    # Dilation 2: an output of 4x4.
    "dilated": lambda: (
        layers(c2(4, 4, 1), c2(4, 6, 3, dilation=2)),
        on(IMAGE),
        FIRST + 2 * 6 * 16 * 36,
        FIRST + 4 * 6 * 16 * 36,
    ),
    # Two groups: half of the input channels for each output channel.
    "grouped": lambda: (
        layers(c2(4, 4, 1), c2(4, 6, 3, groups=2)),
        on(IMAGE),
        FIRST + 2 * 6 * 36 * 18,
        FIRST + 4 * 6 * 36 * 18,
    ),
    "depthwise": lambda: (
        layers(c2(4, 4, 1), c2(4, 4, 3, groups=4)),
        on(IMAGE),
        FIRST + 2 * 4 * 36 * 9,
        FIRST + 4 * 4 * 36 * 9,
    ),
    "first grouped": lambda: (c2(4, 6, 3, groups=2), on(IMAGE), 2 * 6 * 36 * 18, 2 * 6 * 36 * 18),
    # Transposed: each of the 64 input elements of a channel has 6 x 9 MACs.
    "first transposed": lambda: (nn.ConvTranspose2d(4, 6, 3), on(IMAGE), 2 * 4 * 64 * 54, 2 * 4 * 64 * 54),
    "transposed": lambda: (
        layers(c2(4, 4, 1), nn.ConvTranspose2d(4, 6, 3)),
        on(IMAGE),
        FIRST + 2 * 4 * 64 * 54,
        FIRST + 4 * 4 * 64 * 54,
    ),
    "transposed strided": lambda: (
        layers(c2(4, 4, 1), nn.ConvTranspose2d(4, 6, 3, stride=2)),
        on(IMAGE),
        FIRST + 2 * 4 * 64 * 54,
        FIRST + 4 * 4 * 64 * 54,
    ),
    "transposed grouped": lambda: (
        layers(c2(4, 4, 1), nn.ConvTranspose2d(4, 6, 3, groups=2)),
        on(IMAGE),
        FIRST + 2 * 4 * 64 * 27,
        FIRST + 4 * 4 * 64 * 27,
    ),
    "frozen convolution after one that learns": lambda: (
        layers(c2(4, 4, 1), frozen(c2(4, 6, 3))),
        on(IMAGE),
        FIRST + 2 * 6 * 36 * 36,
        FIRST + 2 * 6 * 36 * 36,
    ),
    "convolution after a frozen one": lambda: (
        layers(frozen(c2(4, 4, 1)), c2(4, 6, 3)),
        on(IMAGE),
        FIRST + 2 * 6 * 36 * 36,
        2 * 6 * 36 * 36,
    ),
    "convolution without bias": lambda: (c2(4, 6, 3, bias=False), on(IMAGE), 2 * 6 * 36 * 36, 2 * 6 * 36 * 36),
    "only a bias learns": lambda: (_only_bias(c2(4, 6, 3)), on(IMAGE), 2 * 6 * 36 * 36, 0),
    "1d": lambda: (nn.Conv1d(4, 6, 3), on((2, 4, 10)), 2 * 6 * 8 * 12, 2 * 6 * 8 * 12),
    "3d": lambda: (nn.Conv3d(4, 6, 3), on((2, 4, 4, 4, 4)), 2 * 6 * 8 * 108, 2 * 6 * 8 * 108),
    "complex convolution": lambda: (
        nn.Conv1d(4, 6, 3, dtype=torch.cfloat),
        on((2, 4, 10), torch.cfloat),
        2 * 6 * 8 * 12,
        2 * 6 * 8 * 12,
    ),
    "batch norm between": lambda: (
        layers(c2(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), c2(4, 4, 1)),
        on(IMAGE),
        2 * FIRST,
        3 * FIRST,
    ),
    # Linear layers. Two gradients for each, one for the first.
    "linear": lambda: (linears(lambda s, x: s.a(x)), on(X), LINEAR, LINEAR),
    "two linear": lambda: (linears(lambda s, x: s.b(s.a(x))), on(X), 2 * LINEAR, 3 * LINEAR),
    "without bias": lambda: (linears(lambda s, x: s.b(s.a(x)), bias=False), on(X), 2 * LINEAR, 3 * LINEAR),
    "three axes": lambda: (linears(lambda s, x: s.b(s.a(x))), on((2, 3, 8)), 6 * LINEAR, 9 * LINEAR),
    "one layer twice": lambda: (linears(lambda s, x: s.a(s.a(x))), on(X), 2 * LINEAR, 3 * LINEAR),
    "one layer thrice": lambda: (linears(lambda s, x: s.a(s.a(s.a(x)))), on(X), 3 * LINEAR, 5 * LINEAR),
    "first frozen": lambda: (
        Forward(lambda s, x: s.b(s.a(x)), a=frozen(nn.Linear(8, 8)), b=nn.Linear(8, 8)),
        on(X),
        2 * LINEAR,
        LINEAR,
    ),
    "last frozen": lambda: (
        Forward(lambda s, x: s.b(s.a(x)), a=nn.Linear(8, 8), b=frozen(nn.Linear(8, 8))),
        on(X),
        2 * LINEAR,
        2 * LINEAR,
    ),
    "all frozen": lambda: (frozen(linears(lambda s, x: s.b(s.a(x)))), on(X), 2 * LINEAR, 0),
    "residual": lambda: (linears(lambda s, x: s.b(x + s.a(x))), on(X), 2 * LINEAR, 3 * LINEAR),
    "branches": lambda: (linears(lambda s, x: s.a(x) + s.b(x)), on(X), 2 * LINEAR, 2 * LINEAR),
    "gate": lambda: (linears(lambda s, x: s.c(F.silu(s.a(x)) * s.b(x))), on(X), 3 * LINEAR, 4 * LINEAR),
    # Forward x·W (2 x 5 x 3 x 4), then ·y (2 x 5 x 4). Backward for W: the gradient times x, elementwise, times y
    # (2 x 5 x 3 x 4).
    "bilinear": lambda: (nn.Bilinear(3, 4, 5), (torch.zeros(2, 3), torch.zeros(2, 4)), 120 + 40, 120),
    # For x: the gradient times W (2 x 5 x 3 x 4), times y (2 x 3 x 4). For y: x·W, times the gradient (2 x 5 x 4).
    "bilinear, inputs learn": lambda: (
        Forward(lambda s, x: s.m(s.x, s.y), m=nn.Bilinear(3, 4, 5), **learned(x=(2, 3), y=(2, 4))),
        on(X),
        120 + 40,
        120 + (120 + 24) + (120 + 40),
    ),
    # What has no gradient.
    "no_grad": lambda: (linears(lambda s, x: s.b(torch.no_grad()(s.a)(x))), on(X), 2 * LINEAR, LINEAR),
    "detached": lambda: (linears(lambda s, x: s.b(s.a(x).detach())), on(X), 2 * LINEAR, LINEAR),
    "detached target": lambda: (
        linears(lambda s, x: (s.a(x) - s.b(x).detach()).square().mean()),
        on(X),
        2 * LINEAR,
        LINEAR,
    ),
    "unused": lambda: (linears(lambda s, x: (s.a(x), s.b(x))[1]), on(X), 2 * LINEAR, LINEAR),
    "argmax": lambda: (linears(lambda s, x: (s.a(x).argmax(-1), s.b(x))), on(X), 2 * LINEAR, LINEAR),
    "stop in the middle": lambda: (linears(lambda s, x: s.c(s.b(s.a(x)).detach())), on(X), 3 * LINEAR, LINEAR),
    "frozen weight, input that learns": lambda: (
        linears(lambda s, x: F.linear(s.a(x), s.b.weight.detach())),
        on(X),
        2 * LINEAR,
        2 * LINEAR,
    ),
    # Outputs of every kind.
    "tuple": lambda: (linears(lambda s, x: (s.a(x), s.b(x))), on(X), 2 * LINEAR, 2 * LINEAR),
    "dictionary": lambda: (linears(lambda s, x: {"a": [s.a(x)], "b": s.b(x)}), on(X), 2 * LINEAR, 2 * LINEAR),
    "actor and critic": lambda: (linears(lambda s, x: (normal(s.b(s.a(x))), s.c(x))), on(X), 3 * LINEAR, 4 * LINEAR),
    "output used twice": lambda: (linears(lambda s, x: (s.a(x), s.b(s.a(x)))), on(X), 3 * LINEAR, 4 * LINEAR),
    "intermediate output": lambda: (linears(lambda s, x: (y := s.a(x), s.b(y))), on(X), 2 * LINEAR, 3 * LINEAR),
    "auxiliary head": lambda: (
        linears(lambda s, x: (s.a(x), s.b(x)) if s.training and torch.is_grad_enabled() else s.a(x)),
        on(X),
        2 * LINEAR,
        2 * LINEAR,
    ),
    "only at inference": lambda: (
        linears(lambda s, x: s.a(x) if s.training else s.b(s.a(x))),
        on(X),
        LINEAR,
        LINEAR,
    ),
    # Embeddings have no products.
    "embedding": lambda: (layers(nn.Embedding(10, 8), nn.Linear(8, 8)), ids(2), LINEAR, 2 * LINEAR),
    "frozen embedding": lambda: (layers(frozen(nn.Embedding(10, 8)), nn.Linear(8, 8)), ids(2), LINEAR, LINEAR),
    "embedding bag": lambda: (layers(nn.EmbeddingBag(10, 8), nn.Linear(8, 8)), ids(2, 3), LINEAR, 2 * LINEAR),
    "tied embedding": lambda: (tied(), ids(2), 2 * 8 * 10, 2 * 2 * 8 * 10),
    # LoRA: the base is frozen and its input does not learn; a has one gradient, b two.
    "LoRA": lambda: (_lora(), on(X), LINEAR + 2 * 2 * 16, 2 * 16 + 2 * 2 * 16),
    # The second base has an input gradient, the second a has two gradients.
    "two LoRA layers": lambda: (
        layers(_lora(), _lora()),
        on(X),
        2 * LINEAR + 4 * 2 * 16,
        LINEAR + 3 * 2 * 16 + 4 * 2 * 16,
    ),
    # Products. A gradient for each side costs as much as the product.
    "matmul": lambda: (product("ij,jk->ik", (3, 4), (4, 5)), on(X), 60, 120),
    "batched": lambda: (product("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), on(X), 120, 240),
    "one side": lambda: (product("ij,jk->ik", (3, 4), (4, 5), both=False), on(X), 60, 60),
    "batched, one side": lambda: (product("bij,bjk->bik", (2, 3, 4), (2, 4, 5), both=False), on(X), 120, 120),
    "transposed sides": lambda: (product("ji,kj->ik", (4, 3), (5, 4)), on(X), 60, 120),
    "four axes": lambda: (product("bhid,bhjd->bhij", (2, 3, 5, 4), (2, 3, 6, 4)), on(X), 720, 1440),
    "dot": lambda: (product("i,i->", (6,), (6,)), on(X), 6, 12),
    "matrix and vector": lambda: (product("ij,j->i", (3, 4), (4,)), on(X), 12, 24),
    # The weight's gradient is an outer product; that of `@` with one column has one summed element.
    "mv": lambda: (vectors(lambda m, v, w: m @ v), on(X), 12, 24),
    "mm with one column": lambda: (vectors(lambda m, v, w: m @ v[:, None]), on(X), 12, 24),
    "addmv": lambda: (vectors(lambda m, v, w: torch.addmv(w, m, v)), on(X), 12, 24),
    "einsum of three": lambda: (
        Forward(lambda s, x: torch.einsum("bi,oij,bj->bo", s.x, s.w, s.y), **learned(x=(2, 3), w=(5, 3, 4), y=(2, 4))),
        on(X),
        120 + 40,
        2 * (120 + 40),
    ),
    # The gradient of a bilinear layer's weight as a forward pass: the first pair of the three sums over no axis.
    "einsum of three, one pair elementwise": lambda: (
        Forward(lambda s, x: torch.einsum("bo,bi,bj->oij", s.g, s.x, s.y), **learned(g=(2, 5), x=(2, 3), y=(2, 4))),
        on(X),
        120,
        2 * 120,
    ),
    # An outer product sums over no axis: neither it nor its gradients have MACs.
    "einsum of an outer product": lambda: (product("i,j->ij", (3,), (4,)), on(X), 0, 0),
    "outer": lambda: (vectors(lambda m, v, w: torch.outer(w, v)), on(X), 0, 0),
    "ger": lambda: (vectors(lambda m, v, w: torch.ger(w, v)), on(X), 0, 0),
    "addr": lambda: (vectors(lambda m, v, w: torch.addr(m, w, v)), on(X), 0, 0),
    "addr after a product": lambda: (vectors(lambda m, v, w: torch.addr(m, w + m @ v, v)), on(X), 12, 24),
    "broadcast": lambda: (vectors(lambda m, v, w: w[:, None] * v), on(X), 0, 0),
    "kron": lambda: (vectors(lambda m, v, w: torch.kron(w, v)), on(X), 0, 0),
    "bmm": lambda: (
        Forward(lambda s, x: torch.bmm(x, s.w), w=nn.Parameter(torch.zeros(2, 4, 5))),
        on((2, 3, 4)),
        120,
        120,
    ),
    "baddbmm": lambda: (
        Forward(lambda s, x: torch.baddbmm(x[..., :1], x, s.w), w=nn.Parameter(torch.zeros(2, 4, 5))),
        on((2, 3, 4)),
        120,
        120,
    ),
    "addmm": lambda: (linears(lambda s, x: torch.addmm(s.b.bias, s.a(x), s.b.weight)), on(X), 2 * LINEAR, 3 * LINEAR),
    "a product with itself": lambda: (linears(lambda s, x: (y := s.a(x)) @ y.t()), on(X), LINEAR + 32, LINEAR + 64),
    # Attention: scores and values forward; their four gradients backward.
    "attention": lambda: (attends(), on(X), 2 * HEADS, 4 * HEADS),
    "causal attention": lambda: (attends(is_causal=True), on(X), 2 * HEADS, 4 * HEADS),
    "masked attention": lambda: (attends(attn_mask=MASK.new_zeros(5, 6).float()), on(X), 2 * HEADS, 4 * HEADS),
    "grouped queries": lambda: (attends(key=2, enable_gqa=True), on(X), 2 * HEADS, 4 * HEADS),
    "attention with dropout": lambda: (attends(dropout_p=0.1), on(X), 2 * HEADS, 4 * HEADS),
    "keys do not learn": lambda: (_freeze(attends(), "k"), on(X), 2 * HEADS, 3 * HEADS),
    "values alone learn": lambda: (_freeze(attends(), "q", "k"), on(X), 2 * HEADS, HEADS),
    # Four projections of 5 x 8 x 8 for two sequences; the input of three of them does not learn.
    "multi-head attention": lambda: (
        Forward(lambda s, x: s.m(x, x, x)[0], m=nn.MultiheadAttention(8, 2, batch_first=True)),
        on((2, 5, 8)),
        4 * 640 + 2 * 400,
        3 * 640 + 2 * 640 + 4 * 400,
    ),
    # Recurrent layers: three steps of two samples; the first state is no variable.
    "LSTM": lambda: (nn.LSTM(5, 4), on((3, 2, 5)), 6 * 16 * 9, 6 * 16 * 9 + 4 * 16 * 4),
    "GRU": lambda: (nn.GRU(5, 4), on((3, 2, 5)), 6 * 12 * 9, 6 * 12 * 9 + 4 * 12 * 4),
    "RNN": lambda: (nn.RNN(5, 4), on((3, 2, 5)), 6 * 4 * 9, 6 * 4 * 9 + 4 * 4 * 4),
    # The second layer's input learns.
    "two LSTM layers": lambda: (
        nn.LSTM(4, 4, 2),
        on((3, 2, 4)),
        2 * 6 * 16 * 8,
        2 * 6 * 16 * 8 + 2 * 4 * 16 * 4 + 6 * 16 * 4,
    ),
    "LSTM in both directions": lambda: (
        nn.LSTM(5, 4, bidirectional=True),
        on((3, 2, 5)),
        2 * 6 * 16 * 9,
        2 * (6 * 16 * 9 + 4 * 16 * 4),
    ),
    "LSTM cell": lambda: (Forward(lambda s, x: s.c(x)[0], c=nn.LSTMCell(8, 4)), on(X), 2 * 16 * 12, 2 * 16 * 12),
    "GRU cell": lambda: (nn.GRUCell(8, 4), on(X), 2 * 12 * 12, 2 * 12 * 12),
    # A checkpoint's second forward pass is no gradient.
    "checkpoint": lambda: (
        linears(lambda s, x: s.c(checkpoint(s.b, s.a(x), use_reentrant=False))),
        on(X),
        3 * LINEAR,
        5 * LINEAR,
    ),
    "reentrant checkpoint": lambda: (
        linears(lambda s, x: s.c(checkpoint(s.b, s.a(x), use_reentrant=True))),
        on(X),
        3 * LINEAR,
        5 * LINEAR,
    ),
    # Custom functions and parametrizations.
    "custom function": lambda: (linears(lambda s, x: Square.apply(s.a(x), s.b.weight)), on(X), 2 * LINEAR, 3 * LINEAR),
    "custom backward without products": lambda: (
        linears(lambda s, x: Silent.apply(s.a(x), s.b.weight)),
        on(X),
        2 * LINEAR,
        LINEAR,
    ),
    "weight norm": lambda: (parametrizations.weight_norm(nn.Linear(8, 8)), on(X), LINEAR, LINEAR),
    # W·v and Wᵀ·u of the power iteration, u·(W·v) of the norm; backward the layer, an outer product, a scaled vector.
    "spectral norm": lambda: (
        parametrizations.spectral_norm(nn.Linear(8, 8)),
        on(X),
        LINEAR + 3 * 64 + 8,
        LINEAR + 64 + 8,
    ),
}


def _only_bias(module: nn.Module) -> nn.Module:
    module.weight.requires_grad_(False)
    return module


def _freeze(module: nn.Module, *names: str) -> nn.Module:
    for name in names:
        getattr(module, name).requires_grad_(False)
    return module


def _lora() -> nn.Module:
    parts = {"a": nn.Linear(8, 2, bias=False), "b": nn.Linear(2, 8, bias=False)}
    return Forward(lambda s, x: s.base(x) + s.b(s.a(x)), base=frozen(nn.Linear(8, 8)), **parts)


@pytest.mark.parametrize("on_real", [False, True], ids=["meta", "real"])
@pytest.mark.parametrize("name", CASES)
def test_both_passes_are_exact(name: str, on_real: bool) -> None:
    model, args, macs, backward_macs = CASES[name]()
    totals = count_model(model, args, train=True, on="real" if on_real else "auto").count.totals
    assert (totals.macs, totals.backward_macs) == (macs, backward_macs)
