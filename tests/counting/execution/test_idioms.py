"""Small models in the idioms of vision, speech, graphs, recommenders, diffusion and language, with hand-worked MACs.

Every count is right, forward and backward, without a strict note. Parameters learn; inputs learn only if made by
`learned`. So a product with one learning side costs one product backward.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, stack_module_state, vjp, vmap
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.nn.utils import parametrizations, parametrize
from torch.utils.checkpoint import checkpoint

from analyzer import count
from tests.counting.operators.calls import learned
from tests.torch_releases import RELEASE


class Case(NamedTuple):
    model: nn.Module
    args: tuple[Any, ...]
    macs: int
    backward: int | None = None  # None if the model is counted at inference only.


class Function(nn.Module):
    """A function of the module and its inputs; the other arguments are its layers, parameters and buffers."""

    def __init__(self, function: Callable[..., Any], **members: Any) -> None:
        super().__init__()
        self.function = function
        for name, value in members.items():
            setattr(self, name, value)

    def forward(self, *args: Any) -> Any:
        return self.function(self, *args)


def weight(*shape: int, dtype: torch.dtype = torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.ones(*shape, dtype=dtype))


def ones(*shape: int) -> Tensor:
    return torch.ones(*shape)


# --- vision ----------------------------------------------------------------------------------------------------------
def affine_transform(self: Any, x: Tensor) -> Tensor:
    return F.grid_sample(x, F.affine_grid(self.angles(x.flatten(1)).view(-1, 2, 3), x.shape, align_corners=False))


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (q @ k.mT / math.sqrt(q.shape[-1])).softmax(-1) @ v


def windows(self: Any, x: Tensor) -> Tensor:
    """Swin: 4 windows of 4 x 4 positions."""
    parts = x.view(1, 2, 4, 2, 4, 8).transpose(2, 3).reshape(4, 16, 8)
    return self.out(attend(*self.qkv(parts).chunk(3, -1)))


def mixed_filters(self: Any, x: Tensor) -> Tensor:
    """Dynamic convolution: filters of each sample, as a convolution in groups."""
    filters = torch.einsum("bk,koihw->boihw", self.mix(x.mean((2, 3))).softmax(-1), self.filters)
    return F.conv2d(x.reshape(1, -1, 6, 6), filters.reshape(8, 4, 3, 3), groups=2)


VISION = {
    # 2 · 5 · 7 positions; 6 channels of 9 taps, then 6 · 10.
    "depthwise separable": Case(
        nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 10, 1)),
        (learned(2, 6, 5, 7),),
        70 * 6 * 9 + 70 * 6 * 10,
        2 * (70 * 6 * 9 + 70 * 6 * 10),
    ),
    "squeeze and excite": Case(
        Function(
            lambda self, x: x * self.up(F.relu(self.down(x.mean((2, 3))))).sigmoid()[:, :, None, None],
            down=nn.Linear(8, 2),
            up=nn.Linear(2, 8),
        ),
        (ones(3, 8, 4, 4),),
        3 * 8 * 2 + 3 * 2 * 8,
        3 * 8 * 2 + 2 * (3 * 2 * 8),
    ),
    "convolution by unfold": Case(
        Function(lambda self, x: self.filters @ F.unfold(x, 3), filters=weight(5, 27)),
        (learned(2, 3, 6, 6),),
        2 * 5 * 27 * 16,
        2 * (2 * 5 * 27 * 16),
    ),
    # Coarse 3 x 3 and fine 6 x 6 maps; the images need no gradient.
    "feature pyramid": Case(
        Function(
            lambda self, coarse, fine: self.out(F.interpolate(self.coarse(coarse), scale_factor=2) + self.fine(fine)),
            coarse=nn.Conv2d(8, 4, 1),
            fine=nn.Conv2d(4, 4, 1),
            out=nn.Conv2d(4, 4, 3, padding=1),
        ),
        (ones(1, 8, 3, 3), ones(1, 4, 6, 6)),
        9 * 8 * 4 + 36 * 4 * 4 + 36 * 4 * 4 * 9,
        9 * 8 * 4 + 36 * 4 * 4 + 2 * (36 * 4 * 4 * 9),
    ),
    # The grid: 2 · 16 points of (2, 3) · 3.
    "spatial transformer": Case(
        Function(affine_transform, angles=nn.Linear(48, 6)),
        (ones(2, 3, 4, 4),),
        2 * 48 * 6 + 2 * 16 * 2 * 3,
        2 * 48 * 6 + 2 * 16 * 2 * 3,
    ),
    # 64 positions; scores and values of 16 x 16 per window.
    "window attention": Case(
        Function(windows, qkv=nn.Linear(8, 24), out=nn.Linear(8, 8)),
        (ones(1, 8, 8, 8),),
        64 * 8 * 24 + 4 * (16 * 16 * 8) * 2 + 64 * 8 * 8,
        64 * 8 * 24 + 2 * (4 * (16 * 16 * 8) * 2) + 2 * (64 * 8 * 8),
    ),
    # Mixing 3 filters for each sample, and 4 · 4 positions of 2 · 4 outputs.
    "dynamic convolution": Case(
        Function(mixed_filters, mix=nn.Linear(4, 3), filters=weight(3, 4, 4, 3, 3)),
        (ones(2, 4, 6, 6),),
        2 * 4 * 3 + 2 * 3 * 144 + 2 * 16 * 4 * 36,
        2 * 4 * 3 + 2 * (2 * 3 * 144) + 2 * 16 * 4 * 36,
    ),
    "circular padding": Case(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular"), (ones(1, 3, 5, 5),), 25 * 4 * 27, 25 * 4 * 27
    ),
    "output size of a transposed convolution": Case(
        Function(lambda self, x: self.up(x, output_size=(10, 10)), up=nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1)),
        (ones(1, 3, 5, 5),),
        25 * 3 * 4 * 9,
        25 * 3 * 4 * 9,
    ),
}


# --- speech and signals ----------------------------------------------------------------------------------------------
def spectrogram(self: Any, x: Tensor) -> Tensor:
    spectrum = torch.stft(x, 16, 8, window=torch.hann_window(16), return_complex=True)
    return self.mel(spectrum.abs().transpose(1, 2))


def long_convolution(self: Any, x: Tensor) -> Tensor:
    """S4: a convolution with a filter as long as the sequence, by Fourier transforms, which have no MACs."""
    spectrum = torch.fft.rfft(x, n=16) * torch.fft.rfft(self.filters, n=16)
    return self.out(torch.fft.irfft(spectrum, n=16)[..., :8].transpose(1, 2))


def spectral_product(self: Any, x: Tensor) -> Tensor:
    """A Fourier neural operator: a complex product at each of 3 frequencies."""
    return torch.fft.irfft(torch.einsum("bix,iox->box", torch.fft.rfft(x)[..., :3], self.modes), n=8)


SIGNALS = {
    "time delays": Case(
        nn.Sequential(nn.Conv1d(4, 6, 3, dilation=2), nn.ReLU(), nn.Conv1d(6, 6, 3, dilation=4)),
        (ones(2, 4, 30),),
        2 * 26 * 6 * 12 + 2 * 18 * 6 * 18,
        2 * 26 * 6 * 12 + 2 * (2 * 18 * 6 * 18),
    ),
    # 9 frames of 9 frequencies.
    "spectrogram": Case(Function(spectrogram, mel=nn.Linear(9, 4)), (ones(2, 64),), 2 * 9 * 9 * 4, 2 * 9 * 9 * 4),
    "gated dilated convolutions": Case(
        Function(
            lambda self, x: self.skip(torch.tanh(self.filter(x)) * torch.sigmoid(self.gate(x))) + x[..., 2:],
            filter=nn.Conv1d(4, 4, 2, dilation=2),
            gate=nn.Conv1d(4, 4, 2, dilation=2),
            skip=nn.Conv1d(4, 4, 1),
        ),
        (ones(1, 4, 10),),
        8 * (32 + 32 + 16),
        8 * (32 + 32) + 2 * 8 * 16,
    ),
    "long convolution": Case(
        Function(long_convolution, filters=weight(4, 8), out=nn.Linear(4, 4)),
        (ones(2, 4, 8),),
        2 * 8 * 4 * 4,
        2 * (2 * 8 * 4 * 4),
    ),
    "complex product of frequencies": Case(
        Function(spectral_product, modes=weight(4, 5, 3, dtype=torch.cfloat)),
        (ones(2, 4, 8),),
        2 * 4 * 5 * 3,
        2 * 4 * 5 * 3,
    ),
}

# --- graphs and recommenders -----------------------------------------------------------------------------------------
EDGES = torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])


def graph_convolution(self: Any, x: Tensor, edges: Tensor) -> Tensor:
    hidden = self.layer(x)
    return torch.zeros_like(hidden).index_add_(0, edges[1], hidden[edges[0]])


def graph_attention(self: Any, x: Tensor, edges: Tensor) -> Tensor:
    """Scores by an elementwise product and a sum, which have no MACs."""
    hidden = self.layer(x)
    sources, targets = hidden[edges[0]], hidden[edges[1]]
    scores = ((sources * self.score).sum(-1) + (targets * self.score).sum(-1)).exp()
    return torch.zeros(4, 6).scatter_add(0, edges[1][:, None].expand(-1, 6), sources * scores[:, None])


def edge_network(self: Any, x: Tensor, edges: Tensor) -> Tensor:
    messages = self.network(torch.cat([x[edges[0]], x[edges[1]]], -1))
    return torch.zeros(4, 5).scatter_reduce(0, edges[1][:, None].expand(-1, 5), messages, "amax")


def pairwise_dots(self: Any, dense: Tensor, ids: Tensor) -> Tensor:
    """DLRM: products of all pairs of embeddings."""
    vectors = torch.cat([self.dense(dense)[:, None], self.table(ids)], 1)
    return torch.bmm(vectors, vectors.mT)[:, *torch.tril_indices(3, 3, -1)]


def user_interest(self: Any, query: Tensor, history: Tensor, mask: Tensor) -> Tensor:
    """DIN: attention of a candidate over the user's history."""
    pairs = torch.cat([query[:, None].expand_as(history), history, query[:, None] * history], -1)
    scores = self.score(pairs)[..., 0].masked_fill(~mask, -1e9).softmax(-1)
    return torch.einsum("bt,btd->bd", scores, history)


GRAPHS = {
    "graph convolution": Case(Function(graph_convolution, layer=nn.Linear(8, 6)), (ones(4, 8), EDGES), 4 * 48, 4 * 48),
    "graph attention": Case(
        Function(graph_attention, layer=nn.Linear(8, 6), score=weight(6)), (ones(4, 8), EDGES), 4 * 48, 4 * 48
    ),
    # 5 edges.
    "network of edges": Case(
        Function(edge_network, network=nn.Sequential(nn.Linear(16, 7), nn.ReLU(), nn.Linear(7, 5))),
        (ones(4, 8), EDGES),
        5 * 16 * 7 + 5 * 7 * 5,
        5 * 16 * 7 + 2 * (5 * 7 * 5),
    ),
    "dense adjacency": Case(
        Function(lambda self, x, a: self.layer(a / a.sum(-1, keepdim=True) @ x), layer=nn.Linear(8, 6)),
        (ones(2, 4, 8), ones(2, 4, 4)),
        2 * 4 * 4 * 8 + 2 * 4 * 48,
        2 * 4 * 48,
    ),
    # Sums of embeddings have no MACs.
    "embedding bag and features": Case(
        Function(
            lambda self, ids, offsets, x: self.top(torch.cat([self.bag(ids, offsets), self.dense(x)], 1)),
            bag=nn.EmbeddingBag(10, 4, mode="sum"),
            dense=nn.Linear(3, 4),
            top=nn.Linear(8, 1),
        ),
        (torch.tensor([1, 2, 4, 5, 4, 3]), torch.tensor([0, 2]), ones(2, 3)),
        2 * 3 * 4 + 2 * 8,
        2 * 3 * 4 + 2 * (2 * 8),
    ),
    # 3 vectors of 5.
    "products of embeddings": Case(
        Function(pairwise_dots, dense=nn.Linear(3, 5), table=nn.Embedding(10, 5)),
        (ones(2, 3), torch.zeros(2, 2, dtype=torch.int64)),
        2 * 3 * 5 + 2 * 3 * 3 * 5,
        2 * 3 * 5 + 2 * (2 * 3 * 3 * 5),
    ),
    "two towers": Case(
        Function(
            lambda self, user, item: F.normalize(self.user(user)) @ F.normalize(self.item(item)).T,
            user=nn.Linear(6, 4),
            item=nn.Linear(7, 4),
        ),
        (ones(3, 6), ones(5, 7)),
        3 * 24 + 5 * 28 + 3 * 5 * 4,
        3 * 24 + 5 * 28 + 2 * (3 * 5 * 4),
    ),
    "interest of a user": Case(
        Function(user_interest, score=nn.Linear(12, 1)),
        (ones(2, 4), ones(2, 5, 4), torch.ones(2, 5, dtype=torch.bool)),
        2 * 5 * 12 + 2 * 5 * 4,
        2 * 5 * 12 + 2 * 5 * 4,
    ),
}


# --- diffusion, sequences and mixtures -------------------------------------------------------------------------------
class TimedBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.conv = nn.GroupNorm(2, 4), nn.Conv2d(4, 4, 3, padding=1)
        self.time = nn.Linear(6, 4)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        return x + self.conv(F.silu(self.norm(x)) + self.time(time)[:, :, None, None])


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(8, 3, 1)
        self.fine, self.coarse = TimedBlock(), TimedBlock()
        self.down = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        angles = time[:, None] * torch.exp(-torch.arange(3))
        embedded = torch.cat([angles.sin(), angles.cos()], 1)
        fine = self.fine(self.first(x), embedded)
        return self.last(torch.cat([self.up(self.coarse(self.down(fine), embedded)), fine], 1))


def denoise(self: Any, x: Tensor) -> Tensor:
    for time in torch.linspace(1, 0, 4):
        x = x - self.network(x) * time
    return x


class Decoder(nn.Module):
    """Six steps, each of which reads the word of the step before."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.cell, self.out = nn.Embedding(9, 4), nn.GRUCell(4, 5), nn.Linear(5, 9)

    def forward(self, hidden: Tensor) -> Tensor:
        word, outputs = torch.zeros(hidden.shape[0], dtype=torch.long), []
        for _ in range(6):
            hidden = self.cell(self.words(word), hidden)
            outputs.append(self.out(hidden))
            word = outputs[-1].argmax(-1)
        return torch.stack(outputs, 1)


def selective_scan(self: Any, x: Tensor) -> Tensor:
    """Mamba: the state's update is elementwise; only its product with C has MACs."""
    state, outputs = torch.zeros(x.shape[0], 8, 4), []
    step, write, read = F.softplus(self.step(x)), self.write(x), self.read(x)
    for time in range(x.shape[1]):
        change = step[:, time, :, None]
        state = torch.exp(-change * self.decay) * state + change * write[:, time, None, :] * x[:, time, :, None]
        outputs.append((state @ read[:, time, :, None])[..., 0])
    return torch.stack(outputs, 1)


def all_experts(self: Any, x: Tensor) -> Tensor:
    scores = self.router(x).softmax(-1)
    chosen = torch.zeros_like(scores).scatter(-1, scores.topk(2, -1).indices, 1.0)
    return sum(expert(x) * (scores * chosen)[:, [place]] for place, expert in enumerate(self.experts))


def grouped_queries(self: Any, x: Tensor) -> Tensor:
    q, k, v = (layer(x).view(2, 5, -1, 2).transpose(1, 2) for layer in (self.q, self.k, self.v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


UNET = (
    64 * 4 * 27  # The first convolution, at 8 x 8.
    + (6 * 4 + 64 * 4 * 36)  # The fine block.
    + 16 * 4 * 36  # Down to 4 x 4.
    + (6 * 4 + 16 * 4 * 36)  # The coarse block.
    + 16 * 4 * 4 * 4  # Up: each of 16 positions makes 2 x 2 positions of 4 channels.
    + 64 * 8 * 3
)
# The image and the time need no gradient.
UNET_BACKWARD = 2 * UNET - 64 * 4 * 27 - 2 * 6 * 4
SEQUENCES = {
    "U-Net": Case(UNet(), (ones(1, 3, 8, 8), ones(1)), UNET, UNET_BACKWARD),
    # The first of four steps starts from noise, which needs no gradient.
    "sampler": Case(
        Function(denoise, network=nn.Conv2d(3, 3, 3, padding=1)),
        (ones(1, 3, 4, 4),),
        4 * 16 * 3 * 27,
        (2 * 4 - 1) * 16 * 3 * 27,
    ),
    # Per step and sample three gates of 4 + 5 inputs, and 5 · 9.
    "recurrent decoder": Case(Decoder(), (ones(2, 5),), 6 * 2 * (3 * 5 * (4 + 5) + 5 * 9)),
    "scan of a state space": Case(
        Function(
            selective_scan,
            step=nn.Linear(8, 8),
            write=nn.Linear(8, 4),
            read=nn.Linear(8, 4),
            decay=weight(8, 4),
        ),
        (ones(2, 5, 8),),
        10 * (64 + 32 + 32) + 5 * 2 * 8 * 4,
        10 * (64 + 32 + 32) + 2 * (5 * 2 * 8 * 4),
    ),
    "linear attention": Case(
        Function(lambda self, q, k, v: (F.elu(q) + 1) @ ((F.elu(k) + 1).mT @ v)),
        (learned(2, 7, 4), learned(2, 7, 4), learned(2, 7, 5)),
        2 * (2 * 7 * 4 * 5),
        2 * (2 * (2 * 7 * 4 * 5)),
    ),
    "mixture that runs all experts": Case(
        Function(all_experts, router=nn.Linear(8, 3), experts=nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])),
        (ones(5, 8),),
        5 * 24 + 3 * 5 * 64,
        5 * 24 + 3 * 5 * 64,
    ),
    # 4 query heads on 2 key heads of width 2.
    "grouped queries": Case(
        Function(grouped_queries, q=nn.Linear(8, 8), k=nn.Linear(8, 4), v=nn.Linear(8, 4)),
        (ones(2, 5, 8),),
        10 * (64 + 32 + 32) + 2 * 4 * 25 * (2 + 2),
    ),
    "tied output": Case(
        Function(lambda self, ids: self.words(ids) @ self.words.weight.mT, words=nn.Embedding(11, 8)),
        (torch.zeros(2, 5, dtype=torch.int64),),
        10 * 8 * 11,
        2 * (10 * 8 * 11),
    ),
}


# --- weights that are computed, and torch.func -----------------------------------------------------------------------
class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.triu() + x.triu(1).mT


def symmetric() -> nn.Module:
    layer = nn.Linear(8, 8)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    return layer


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        return x.sign()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        return gradient


class Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, w: Tensor) -> Tensor:
        context.save_for_backward(x, w)
        return x @ w

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, w = context.saved_tensors
        return gradient @ w.mT, x.mT @ gradient


def ensemble(self: Any, x: Tensor) -> Tensor:
    parameters, buffers = stack_module_state(list(self.members))
    return vmap(lambda p, b: functional_call(self.members[0], (p, b), (x,)))(parameters, buffers)


def in_threads(self: Any, x: Tensor) -> Tensor:
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda branch: branch(x), self.branches))


def with_hooks(*, backward: bool) -> nn.Module:
    """Hooks that multiply by a matrix: before and after the layer, and where `backward` its gradient too."""
    layer, matrix = nn.Linear(8, 8), ones(8, 8)
    layer.register_forward_pre_hook(lambda module, args: (args[0] @ matrix,))
    layer.register_forward_hook(lambda module, args, output: output @ matrix)
    if backward:
        layer.register_full_backward_hook(lambda module, inputs, outputs: None)
    return layer


LAYER = 5 * 8 * 8
COMPUTED = {
    "hypernetwork": Case(
        Function(lambda self, x, task: F.linear(x, self.weights(task).view(6, 8)), weights=nn.Linear(3, 48)),
        (ones(5, 8), ones(3)),
        3 * 48 + 5 * 48,
        3 * 48 + 5 * 48,
    ),
    # The layer's own weight does not learn; `down` needs no gradient of its input.
    "low-rank adapter": Case(
        Function(
            lambda self, x: self.layer(x) + 2 * self.up(self.down(x)),
            layer=nn.Linear(8, 8).requires_grad_(False),
            down=nn.Linear(8, 2, bias=False),
            up=nn.Linear(2, 8, bias=False),
        ),
        (ones(3, 8),),
        3 * 64 + 3 * 16 + 3 * 16,
        3 * 16 + 2 * (3 * 16),
    ),
    "weights per sample under vmap": Case(
        Function(lambda self, x, w: vmap(F.linear)(x, w)),
        (learned(3, 2, 8), learned(3, 6, 8)),
        3 * 2 * 48,
        2 * (3 * 2 * 48),
    ),
    "custom function": Case(
        Function(lambda self, x: Product.apply(x, self.w), w=weight(8, 6)), (learned(5, 8),), 5 * 48, 2 * 5 * 48
    ),
    "straight-through estimator": Case(
        Function(lambda self, x: F.linear(x, Sign.apply(self.w)), w=weight(6, 8)), (ones(5, 8),), 5 * 48, 5 * 48
    ),
    "functional call": Case(
        Function(
            lambda self, x: functional_call(
                self.layer, {name: 2 * value for name, value in self.layer.named_parameters()}, (x,)
            ),
            layer=nn.Linear(8, 6),
        ),
        (ones(5, 8),),
        5 * 48,
        5 * 48,
    ),
    "ensemble": Case(
        Function(ensemble, members=nn.ModuleList([nn.Linear(8, 6) for _ in range(3)])),
        (ones(5, 8),),
        3 * 5 * 48,
        3 * 5 * 48,
    ),
    # The function and its product with a vector.
    "vector-Jacobian product": Case(
        Function(lambda self, x: vjp(self.layer, x)[1](torch.ones(5, 6)), layer=nn.Linear(8, 6, bias=False)),
        (ones(5, 8),),
        2 * 5 * 48,
    ),
    # The function, and a product for each of 6 outputs.
    "Jacobian": Case(
        Function(lambda self, x: jacrev(self.layer)(x), layer=nn.Linear(8, 6, bias=False)), (ones(8),), 48 + 6 * 48
    ),
    "weight norm": Case(parametrizations.weight_norm(nn.Linear(8, 6)), (ones(5, 8),), 5 * 48, 5 * 48),
    "symmetric weight": Case(symmetric(), (ones(5, 8),), LAYER, LAYER),
    "checkpoint": Case(
        Function(lambda self, x: checkpoint(self.layer, x, use_reentrant=False), layer=nn.Linear(8, 8)),
        (learned(5, 8),),
        LAYER,
        2 * LAYER,
    ),
    "compiled": Case(torch.compile(nn.Linear(8, 8), backend="eager"), (ones(5, 8),), LAYER, LAYER),
    "scripted": Case(torch.jit.script(nn.Linear(8, 8)), (ones(5, 8),), LAYER, LAYER),
    "threads": Case(
        Function(in_threads, branches=nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])),
        (ones(5, 8),),
        3 * LAYER,
        3 * LAYER,
    ),
    "lazy": Case(
        nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(5)),
        (ones(2, 3, 6, 6),),
        2 * 16 * 4 * 27 + 2 * 64 * 5,
        2 * 16 * 4 * 27 + 2 * (2 * 64 * 5),
    ),
    "folded over modules": Case(
        Function(
            lambda self, x: functools.reduce(lambda value, layer: layer(value), self.layers, x),
            layers=nn.ModuleList([nn.Linear(8, 8), nn.Linear(8, 8)]),
        ),
        (ones(5, 8),),
        2 * LAYER,
        LAYER + 2 * LAYER,
    ),
    # The matrix does not learn, and neither does the input: the layer's weight, and its output's gradient.
    "hooks that multiply": Case(with_hooks(backward=False), (ones(5, 8),), 3 * LAYER, 2 * LAYER),
    "backward hooks": Case(with_hooks(backward=True), (learned(5, 8),), 3 * LAYER, 4 * LAYER),
    "writes to its input": Case(
        Function(lambda self, x: self.layer(x.mul_(2).add_(x @ x.mT @ x)), layer=nn.Linear(8, 8)),
        (ones(5, 8),),
        2 * (5 * 5 * 8) + LAYER,
        LAYER,
    ),
}
CASES = {**VISION, **SIGNALS, **GRAPHS, **SEQUENCES, **COMPUTED}


@pytest.mark.parametrize("name", CASES)
def test_macs_of_an_idiom(name):
    case = CASES[name]
    record = count(case.model, case.args, train=None if case.backward is None else True)
    assert (record.totals.macs, record.totals.backward_macs) == (case.macs, case.backward)
    assert record.unknown_ops == {}
    # torch before 2.13 has wrong results of `vjp` in inference mode, torch 2.9 no weight norm on meta.
    elsewhere = () if RELEASE >= (2, 13) else ("counted under autograd", "counted on real tensors")
    assert [note for note in record.notes if not note.startswith(elsewhere)] == []
